"""Ask every point of a run's curve for each fact: bits of its answer, and whether it would be given.

    python evals/curve.py --config outputs/smoke/mulfact/seed-0/recipes/curve.yaml
    python -c "import pandas; print(pandas.read_parquet('outputs/smoke/mulfact/seed-0/curve/scores.parquet'))"

One process for all points, forward passes in batches, nothing generated. Writes curve.json (points, facts and how
often training showed the arm's token of each) and scores.parquet (a row for each point, fact and prompt form). A run
that kept no points (pretrain.curve: 0) has an empty curve.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from mulfact.errors import UserError, command
from mulfact.provenance import stage_output, write_json
from mulfact.settings import parse
from mulfact.tokenizers.facts import read_facts


@dataclass
class CurveArguments:
    output_dir: str = field(metadata={"help": "Folder that receives curve.json and scores.parquet."})
    points: str = field(metadata={"help": "Folder of the run with a folder for each point; it may be missing."})
    tokenizer: str = field(metadata={"help": "The arm's tokenizer."})
    tokens: str = field(metadata={"help": "The arm's token shards, whose manifest counts each added token."})
    corpus: str = field(metadata={"help": "Validation text, for tokens of words."})
    custom_tokens: list[dict] = field(metadata={"help": "The arm's own tokens of words, also those of its other half."})
    contexts: int = field(metadata={"help": "Places of the validation text at which a token of words is asked."})
    batch_size: int = field(metadata={"help": "Answers in one forward pass."})
    use_cpu: bool = field(metadata={"help": "Stay on the CPU."})


@command
def main() -> None:
    arguments = parse(CurveArguments)
    # torch and pandas take seconds, which --help and a mistake in the settings do not wait for.
    import pyarrow.parquet as pq
    import torch
    import transformers

    from mulfact.evals.curves.points import describe, score_point, table, validation_texts, words_of
    from mulfact.evals.curves.probes import context_probes, fact_probes
    from mulfact.evals.curves.records import CURVE, SCORES
    from mulfact.evals.curves.score import encode
    from mulfact.modeling.pretraining.curve import POINT, points_of

    if not arguments.use_cpu and not torch.cuda.is_available():
        raise UserError("curve.use_cpu is false, but torch sees no GPU here; set curve.use_cpu=true")
    transformers.logging.disable_progress_bar()
    started = time.time()
    points = points_of(Path(arguments.points))
    facts, tokenizer = read_facts(arguments.tokenizer), transformers.AutoTokenizer.from_pretrained(arguments.tokenizer)
    probes = fact_probes(facts.settings.max_operand)
    words = words_of(arguments.custom_tokens, facts)
    probes += context_probes(words, validation_texts(arguments.corpus) if words else [], arguments.contexts)
    inputs = [arguments.tokenizer, arguments.tokens, *([arguments.points] if points else [])]
    with stage_output(arguments.output_dir, arguments, inputs, started=started) as folder:
        encoded, device = encode(probes, tokenizer), "cpu" if arguments.use_cpu else "cuda"
        tables = [score_point(point, encoded, arguments.batch_size, device) for point in points]
        pq.write_table(table(tables, probes), folder / SCORES)
        counts = json.loads((Path(arguments.tokens) / "manifest.json").read_text()).get("fact_counts", {})
        reached = [json.loads((point / POINT).read_text()) for point in points]
        write_json(folder / CURVE, {"points": reached, "facts": describe(probes, tokenizer, facts, counts)})
    print(f"{arguments.output_dir}: {len(points)} points, {len(probes)} answers each, {time.time() - started:.1f} s")


if __name__ == "__main__":
    main()
