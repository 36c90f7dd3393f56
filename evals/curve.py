"""Ask every point of a run's curve for each fact: bits of its answer, and whether it would be given.

    python evals/curve.py --config outputs/smoke/mulfact/seed-0/recipes/curve.yaml
    python -c "import pandas; print(pandas.read_parquet('outputs/smoke/mulfact/seed-0/curve/scores.parquet'))"

One process for all points, forward passes in batches, nothing generated. Writes curve.json (points, facts and how
often training showed the arm's token of each) and scores.parquet (a row for each point, fact and prompt form). A run
that kept no points (pretrain.curve: 0) has an empty curve.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import transformers
from transformers import AutoTokenizer, GPT2LMHeadModel, PreTrainedTokenizerBase

from mulfact.errors import UserError, command
from mulfact.evals.curves.probes import Probe, added_token, context_probes, fact_probes
from mulfact.evals.curves.records import CURVE, SCORES
from mulfact.evals.curves.score import Encoded, encode, score
from mulfact.modeling.pretraining.curve import POINT, points_of
from mulfact.provenance import stage_output, write_json
from mulfact.settings import parse
from mulfact.tokenizers.custom import parse_custom_tokens
from mulfact.tokenizers.facts import Facts, FactToken, read_facts


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
    if not arguments.use_cpu and not torch.cuda.is_available():
        raise UserError("curve.use_cpu is false, but torch sees no GPU here; set curve.use_cpu=true")
    transformers.logging.disable_progress_bar()
    started = time.time()
    points = points_of(Path(arguments.points))
    facts, tokenizer = read_facts(arguments.tokenizer), AutoTokenizer.from_pretrained(arguments.tokenizer)
    probes = fact_probes(facts.settings.max_operand)
    words = words_of(arguments, facts)
    probes += context_probes(words, validation_texts(arguments.corpus) if words else [], arguments.contexts)
    inputs = [arguments.tokenizer, arguments.tokens, *([arguments.points] if points else [])]
    with stage_output(arguments.output_dir, arguments, inputs, started=started) as folder:
        encoded = encode(probes, tokenizer)
        tables = [score_point(point, encoded, arguments) for point in points]
        pq.write_table(table(tables, probes), folder / SCORES)
        counts = json.loads((Path(arguments.tokens) / "manifest.json").read_text()).get("fact_counts", {})
        reached = [json.loads((point / POINT).read_text()) for point in points]
        write_json(folder / CURVE, {"points": reached, "facts": describe(probes, tokenizer, facts, counts)})
    print(f"{arguments.output_dir}: {len(points)} points, {len(probes)} answers each, {time.time() - started:.1f} s")


def words_of(arguments: CurveArguments, facts: Facts) -> list[FactToken]:
    """Return the tokens of words: those of the recipe's list, also those that a half lacks, or those of a placebo."""
    own = parse_custom_tokens(arguments.custom_tokens)
    return [token for token in own or facts.fact_tokens if token.operands is None]


def validation_texts(corpus: str) -> list[str]:
    """Return the validation documents of a corpus."""
    shards = sorted(Path(corpus).glob("validation-*.parquet"))
    return [text for shard in shards for text in pq.read_table(shard, columns=["text"])["text"].to_pylist()]


def score_point(point: Path, encoded: Sequence[Encoded], arguments: CurveArguments) -> pd.DataFrame:
    """Return step, bits and correctness of each probe, in their order."""
    model = GPT2LMHeadModel.from_pretrained(point, dtype=torch.float32, local_files_only=True, use_safetensors=True)
    model = model.eval().to("cpu" if arguments.use_cpu else "cuda")
    bits, correct = score(model, encoded, arguments.batch_size)
    return pd.DataFrame({"step": json.loads((point / POINT).read_text())["step"], "bits": bits, "correct": correct})


def table(tables: Sequence[pd.DataFrame], probes: Sequence[Probe]) -> pa.Table:
    """Return the scores of all points with the probe that each row is about."""
    about = pd.DataFrame({name: [getattr(p, name) for p in probes] for name in ("task", "unit", "form")})
    empty = pd.DataFrame({"step": [], "bits": [], "correct": []})
    whole = pd.concat(
        [pd.concat([about, scores], axis=1) for scores in tables] or [pd.concat([about[:0], empty], axis=1)]
    )
    return pa.Table.from_pandas(whole, preserve_index=False)


def describe(
    probes: Sequence[Probe], tokenizer: PreTrainedTokenizerBase, facts: Facts, counts: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Return each fact once, with the arm's token for it, if any, and how often training text holds that token."""
    rows = {}
    for probe in probes:
        if (probe.task, probe.unit) not in rows:
            token = added_token(probe, tokenizer, facts)
            rows[probe.task, probe.unit] = {
                "task": probe.task, "unit": probe.unit, "operands": probe.operands, "token": token,
                "count": counts.get(token, 0) if token else None,
            }  # fmt: skip
    return list(rows.values())


if __name__ == "__main__":
    main()
