"""Write lm-evaluation-harness tasks for every benchmark: the same prompts, lengths, stop sequences and rules.

    make lm_eval_tasks                        # outputs/smoke/lm_eval/mulfact_<benchmark>.yaml
    python evals/lm_eval_tasks.py --config outputs/smoke/mulfact/seed-0/recipes/eval.yaml \\
        --output_dir outputs/smoke/lm_eval
    python -m lm_eval --model hf --model_args pretrained=<checkpoint>,dtype=float32 --tasks mulfact_gsm8k_cot \\
        --include_path outputs/smoke/lm_eval

Whatever our evaluation asks (evals/evaluate.py), these tasks ask. docs/other_harnesses.md tells how far the two agree.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mulfact.data_builders.problems.items import Benchmark
from mulfact.errors import command
from mulfact.evals.evaluate_arguments import EvalArguments
from mulfact.provenance import stage_output
from mulfact.settings import parse

PREFIX = "mulfact_"
GRADING = "mulfact_grading.py"
# Run by lm_eval, which calls it with a row of the benchmark and the completion.
GRADING_CODE = '''"""How a completion is graded: by mulfact's own rules."""

from dataclasses import asdict

from mulfact.evals.grading.answers import grade


def grade_completion(row, results):
    verdicts = asdict(grade(results[0], row["answer"], row["answer_rule"]))
    return {name: float(verdicts[name]) for name in ("correct", "correct_strict", "correct_flexible")}
'''


class WithFunctions(yaml.SafeDumper):
    """Writes the tag by which a task of lm_eval names a function."""


@dataclass(frozen=True)
class Function:
    name: str


WithFunctions.add_representer(Function, lambda dumper, value: dumper.represent_scalar("!function", value.name))


@command
def main() -> None:
    arguments = parse(EvalArguments)
    write_tasks(arguments, Path(arguments.output_dir))


def write_tasks(arguments: EvalArguments, output_dir: Path) -> list[str]:
    """Write a task for each benchmark that the recipe of an evaluation names, and return their names."""
    from mulfact.evals.evaluation.tasks import read_benchmarks  # with lighteval, which takes seconds to import

    benchmarks = read_benchmarks(arguments.benchmarks)
    recipe = {"benchmarks": arguments.benchmarks, "generation_size": arguments.generation_size}
    with stage_output(output_dir, recipe, [arguments.benchmarks]) as folder:
        (folder / GRADING).write_text(GRADING_CODE)
        for benchmark in benchmarks:
            text = yaml.dump(task(benchmark, arguments), Dumper=WithFunctions, sort_keys=False, allow_unicode=True)
            (folder / f"{PREFIX}{benchmark.name}.yaml").write_text(text)
    return [PREFIX + benchmark.name for benchmark in benchmarks]


def task(benchmark: Benchmark, arguments: EvalArguments) -> dict[str, Any]:
    """Return one benchmark as lm_eval's task: zero-shot, greedy, and graded by `grade`."""
    from mulfact.evals.evaluation.tasks import VERDICTS

    rows = Path(arguments.benchmarks).resolve() / f"{benchmark.name}.jsonl"
    return {
        "task": PREFIX + benchmark.name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(rows)}},
        "output_type": "generate_until",
        "test_split": "test",
        "num_fewshot": 0,
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{answer}}",
        "process_results": Function(f"{GRADING.removesuffix('.py')}.grade_completion"),
        "generation_kwargs": {
            "until": list(arguments.stop_sequences[benchmark.style]),
            "max_gen_toks": arguments.generation_size[benchmark.style],
            "do_sample": False,
        },
        "metric_list": [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in VERDICTS],
        "metadata": {"version": 1},
    }


if __name__ == "__main__":
    main()
