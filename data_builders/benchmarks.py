"""Write out what is evaluated: every benchmark as data with ids, the same for every arm, seed and checkpoint.

python data_builders/benchmarks.py --config outputs/smoke/recipes/benchmarks.yaml
python data_builders/benchmarks.py --config outputs/smoke/recipes/benchmarks.yaml --svamp ChilleD/SVAMP
"""

from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mulfact.data_builders.contamination.shown_products import shown_in
from mulfact.data_builders.problem_sets import probes, word_problem_sets
from mulfact.data_builders.problem_sets.fact_probes import PROBES, fact_probe
from mulfact.data_builders.problem_sets.gsm8k import load_problems, synthetic_problems
from mulfact.data_builders.problem_sets.math_problems import math
from mulfact.data_builders.problem_sets.reasoning_gym_probes import reasoning_gym_probe
from mulfact.data_builders.problems.items import Benchmark, Item, calculating, text_id
from mulfact.data_builders.problems.problem import Problem
from mulfact.data_builders.problems.prompts import format_prompt
from mulfact.data_builders.storage.rows import write_jsonl
from mulfact.data_builders.storage.set_cards import describe_benchmarks
from mulfact.errors import UserError, command
from mulfact.provenance import stage_output, write_json
from mulfact.settings import parse


@dataclass
class BenchmarksArguments:
    output_dir: str = field(metadata={"help": "Folder that receives one <name>.jsonl a benchmark and manifest.json."})
    gsm8k: str | None = field(
        metadata={"help": "Folder with train.jsonl and test.jsonl, or a Hub id; null: held-out synthetic problems."}
    )
    seed: int = field(metadata={"help": "Of the sampled probes and the synthetic problems."})
    synthetic_problems: int = field(metadata={"help": "How many, when gsm8k is null."})
    synthetic_max_steps: int = field(metadata={"help": "Most steps of a synthetic problem."})
    probe_items: int = field(metadata={"help": "Items of each arithmetic probe that is sampled."})
    svamp: str | None = field(metadata={"help": "SVAMP.json or a Hub id; null leaves it out."})
    multiarith: str | None = field(metadata={"help": "MultiArith.json or a Hub id; null leaves it out."})
    asdiv: str | None = field(metadata={"help": "ASDiv.xml or a Hub id; null leaves it out."})
    math: str | None = field(metadata={"help": "MATH: .jsonl, folder or Hub id; null leaves it out."})
    math_levels: list[int] = field(metadata={"help": "Of MATH, 1 (easy) to 5."})
    reasoning_gym: list[str] = field(metadata={"help": "Generators of reasoning-gym, for probes of its questions."})


@command
def main() -> None:
    arguments = parse(BenchmarksArguments)
    benchmarks = [*gsm8k(arguments), *arithmetic(arguments), *word_problems(arguments), *made_elsewhere(arguments)]
    check_ids(benchmarks)
    with stage_output(arguments.output_dir, arguments, local_inputs(arguments)) as folder:
        for benchmark in benchmarks:
            write_jsonl(folder / f"{benchmark.name}.jsonl", (asdict(item) for item in benchmark.items))
        manifest = {"benchmarks": {b.name: summary(b) for b in benchmarks}}
        write_json(folder / "manifest.json", manifest)
        describe_benchmarks(folder, manifest)
    print(f"{arguments.output_dir}: " + ", ".join(f"{len(b.items)} {b.name}" for b in benchmarks))


def gsm8k(arguments: BenchmarksArguments) -> list[Benchmark]:
    """Return the same problems twice: asked for the answer alone, and for a chain of thought."""
    if arguments.gsm8k is None:
        problems = synthetic_problems(
            arguments.seed, arguments.synthetic_problems, arguments.synthetic_max_steps, held_out=True
        )
        source, description = "synthetic", "held-out synthetic problems in GSM8K's form"
    else:
        problems = load_problems(arguments.gsm8k, "test")
        source, description = arguments.gsm8k, "GSM8K test split"
    return [
        Benchmark(
            f"gsm8k_{style}",
            "gsm8k",
            style,
            source,
            f"{description}, {form}",
            [gsm8k_item(f"gsm8k_{style}", index, problem, style, source) for index, problem in enumerate(problems)],
        )
        for style, form in (("direct", "answer only"), ("cot", "chain of thought"))
    ]


def gsm8k_item(name: str, index: int, problem: Problem, style: str, source: str) -> Item:
    """Return a problem as an item: the published test split is numbered from 0, synthetic ones go by their words."""
    item_id = text_id(name, problem.question) if source == "synthetic" else f"{name}-{index:04d}"
    prompt, calculation = format_prompt(problem.question, style), calculating(problem.solution)
    return Item(item_id, prompt, problem.answer, "gsm8k", problem.solution, **calculation)


def arithmetic(arguments: BenchmarksArguments) -> list[Benchmark]:
    count, seed = arguments.probe_items, arguments.seed
    training = load_problems(arguments.gsm8k, "train") if arguments.gsm8k is not None else []
    shown = shown_in(f"{problem.question}\n{problem.solution}" for problem in training)
    return [
        *map(fact_probe, PROBES),
        probes.table_20(),
        probes.digits_2x1(count, seed, shown),
        probes.digits_2x2(count, seed, shown),
        probes.mixed(count, seed, shown),
    ]


def word_problems(arguments: BenchmarksArguments) -> list[Benchmark]:
    readers = (
        (arguments.svamp, word_problem_sets.svamp),
        (arguments.multiarith, word_problem_sets.multiarith),
        (arguments.asdiv, word_problem_sets.asdiv),
        (arguments.math, partial(math, levels=arguments.math_levels)),
    )
    return [read(source) for source, read in readers if source is not None]


def made_elsewhere(arguments: BenchmarksArguments) -> list[Benchmark]:
    """Return the probes of reasoning-gym's generators."""
    names = dict.fromkeys(arguments.reasoning_gym)
    return [reasoning_gym_probe(name, arguments.probe_items, arguments.seed) for name in names]


def check_ids(benchmarks: list[Benchmark]) -> None:
    """Raise UserError when an id stands twice: predictions are paired by it."""
    counts = Counter(item.id for benchmark in benchmarks for item in benchmark.items)
    repeated = [item_id for item_id, count in counts.items() if count > 1]
    if repeated:
        raise UserError(
            f"benchmarks: {len(repeated)} ids stand more than once, such as {repeated[0]}; remove the copies"
        )


def local_inputs(arguments: BenchmarksArguments) -> list[Path]:
    """Return the files and folders that the benchmarks were read from; a Hub id is not one."""
    sources = (arguments.svamp, arguments.multiarith, arguments.asdiv, arguments.math)
    files = [Path(source) for source in sources if source]
    if arguments.gsm8k is not None:
        files += [Path(arguments.gsm8k) / "train.jsonl", Path(arguments.gsm8k) / "test.jsonl"]
    return [path for path in files if path.exists()]


def summary(benchmark: Benchmark) -> dict[str, Any]:
    return {
        "family": benchmark.family,
        "items": len(benchmark.items),
        "source": benchmark.source,
        "style": benchmark.style,
        "description": benchmark.description,
    }


if __name__ == "__main__":
    main()
