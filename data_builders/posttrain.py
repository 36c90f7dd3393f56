"""GSM8K as SFT rows and GRPO prompts: raw text, the same bytes for every arm.

    python data_builders/posttrain.py --config outputs/smoke/recipes/posttrain.yaml
    python data_builders/posttrain.py --config outputs/smoke/recipes/posttrain.yaml --gsm8k openai/gsm8k

Reads the training split only, from a folder, from the Hub, or from the generator of word problems, or both. One seeded
permutation of the problems decides everything: its first ones are held out (SFT validation, GRPO development), the
others train, each in one format of problems/prompts.py, direct or chain of thought.
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mulfact.data_builders.contamination.guard import Guard, check_overlap
from mulfact.data_builders.problem_sets.gsm8k import load_extra_set, load_problems, synthetic_problems
from mulfact.data_builders.problems.problem import Problem
from mulfact.data_builders.problems.prompts import ANSWER_LABELS, format_completion, format_prompt, question_of
from mulfact.data_builders.storage.rows import read_jsonl, write_jsonl
from mulfact.data_builders.storage.set_cards import describe_posttrain
from mulfact.errors import UserError, command
from mulfact.provenance import COUNTS, stage_output, write_json
from mulfact.settings import parse

MULTIPLICATION_QUESTIONS = ("What is {a}*{b}?", "What is {a} × {b}?", "What is {a} times {b}?")


@dataclass
class PosttrainArguments:
    output_dir: str = field(metadata={"help": "Folder that receives sft/, grpo/ and manifest.json."})
    benchmarks: str = field(metadata={"help": "Folder of the benchmarks, which no training row may repeat."})
    gsm8k: str | None = field(
        metadata={"help": "Folder with train.jsonl and test.jsonl, or a Hub id; null: synthetic problems in its form."}
    )
    seed: int = field(metadata={"help": "Of the split, the mixture and the synthetic problems."})
    synthetic_problems: int = field(metadata={"help": "How many, when gsm8k is null."})
    added_synthetic: int = field(metadata={"help": "Synthetic problems that join those of gsm8k."})
    synthetic_max_steps: int = field(metadata={"help": "Most steps of a synthetic problem."})
    synthetic_max_operand: int = field(metadata={"help": "Largest factor and addend in its choices."})
    direct_fraction: float = field(metadata={"help": "Share of the problems in the direct format."})
    arithmetic_rows: int = field(metadata={"help": "SFT rows that ask for one multiplication of 1-9."})
    validation_rows: int = field(metadata={"help": "SFT rows held out of training."})
    development_prompts: int = field(metadata={"help": "GRPO prompts held out of SFT and GRPO."})
    grpo_max_steps: int | None = field(metadata={"help": "Most steps of a GRPO prompt; null: any."})
    max_characters: int | None = field(
        metadata={"help": "Problems whose chain-of-thought row is longer are left out; null: none."}
    )
    extra_sets: list[dict] = field(metadata={"help": "Further SFT problems, {source, rows} or {source, weight} each."})
    allow_overlap: list[str] = field(metadata={"help": "Benchmarks whose 13-gram overlap with training is accepted."})

    def __post_init__(self) -> None:
        if not 0 <= self.direct_fraction <= 1:
            raise UserError(f"posttrain.direct_fraction is {self.direct_fraction}: expected a share between 0 and 1")


@dataclass
class Split:
    """The problems by use: both held-out sets may share problems, training shares none with them."""

    validation: list[Problem]
    development: list[Problem]
    training: list[Problem]
    grpo: list[Problem]
    too_long: int

    def held_out(self) -> list[str]:
        """Return the questions that nothing trains on."""
        return list(dict.fromkeys(problem.question for problem in (*self.validation, *self.development)))


def split_problems(everything: Sequence[Problem], arguments: PosttrainArguments) -> Split:
    """Split the problems by one seeded permutation. Raises UserError when nothing is left to train on."""
    kept = [p for p in everything if fits(p, arguments.max_characters)]
    random.Random(f"split {arguments.seed}").shuffle(kept)
    easy = [p for p in kept if arguments.grpo_max_steps is None or p.steps <= arguments.grpo_max_steps]
    validation, development = kept[: arguments.validation_rows], easy[: arguments.development_prompts]
    held_out = {p.question for p in (*validation, *development)}
    training = [p for p in kept if p.question not in held_out]
    grpo = [p for p in easy if p.question not in held_out]
    if not training or not grpo:
        raise UserError(
            f"of {len(everything)} problems {len(kept)} fit max_characters={arguments.max_characters} and {len(easy)} "
            f"grpo_max_steps={arguments.grpo_max_steps}; with validation_rows={arguments.validation_rows} and "
            f"development_prompts={arguments.development_prompts} held out, "
            f"no {'GRPO prompt' if training else 'SFT row'} is left"
        )
    return Split(validation, development, training, grpo, len(everything) - len(kept))


def fits(problem: Problem, max_characters: int | None) -> bool:
    return max_characters is None or len("".join(sft_row(problem, "cot").values())) <= max_characters


def sft_row(problem: Problem, style: str) -> dict[str, str]:
    return {
        "prompt": format_prompt(problem.question, style),
        "completion": format_completion(problem.solution, problem.answer, style),
    }


def sft_rows(chosen: Sequence[Problem], direct_fraction: float) -> list[dict[str, str]]:
    """Return a row for each problem: direct for the first round(direct_fraction x n), then chain of thought."""
    direct = round(direct_fraction * len(chosen))
    return [sft_row(problem, "direct" if index < direct else "cot") for index, problem in enumerate(chosen)]


def grpo_rows(chosen: Iterable[Problem]) -> list[dict[str, str]]:
    """Return a row for each problem. TRL shows its gold completion to no reward; lengths are counted by it."""
    return [{**sft_row(problem, "cot"), "answer": problem.answer, "source": problem.source} for problem in chosen]


def arithmetic_rows(count: int, seed: int) -> list[dict[str, str]]:
    """Return `count` direct rows that ask for one product of 1-9, every fact and phrasing about equally often."""
    facts = [(a, b) for a in range(1, 10) for b in range(1, 10)]
    random.Random(f"arithmetic {seed}").shuffle(facts)
    rows = []
    for index in range(count):
        a, b = facts[index % len(facts)]
        phrasing = MULTIPLICATION_QUESTIONS[(index + index // len(facts)) % len(MULTIPLICATION_QUESTIONS)]
        rows.append(sft_row(Problem(phrasing.format(a=a, b=b), "", str(a * b), 1), "direct"))
    return rows


def benchmark_questions(folder: Path) -> dict[str, str]:
    """Return the word problems of the benchmarks, {item id: question}; arithmetic probes are asked in training too."""
    items = [row for path in sorted(folder.glob("*.jsonl")) for _, row in read_jsonl(path)]
    return {row["id"]: question_of(row["prompt"]) for row in items if row["family"] != "arithmetic"}


@command
def main() -> None:
    arguments = parse(PosttrainArguments)
    benchmarks = Path(arguments.benchmarks)
    everything = load_training_problems(arguments)
    split = split_problems(everything, arguments)
    asked = benchmark_questions(benchmarks)
    guard = Guard(benchmarks, asked, split.held_out())
    extra, extra_report = load_extra_sets(guard, len(split.training), arguments)
    training = [*split.training, *extra]
    rows = {
        "sft/train": training_rows(training, arguments),
        "sft/validation": sft_rows(split.validation, arguments.direct_fraction),
        "grpo/train": grpo_rows(split.grpo),
        "grpo/validation": grpo_rows(split.development),
    }
    texts = ["".join(row.values()) for row in rows["sft/train"]]  # the problem of every GRPO prompt is among them
    questions = [problem.question for problem in training]
    overlap = check_overlap(benchmarks, asked, questions, texts, arguments.allow_overlap)
    report = {**manifest(arguments, everything, split, rows), "extra_sets": extra_report, "overlap": overlap}
    with stage_output(arguments.output_dir, arguments, inputs(arguments), descriptions=COUNTS) as folder:
        for name, content in rows.items():
            write_jsonl(folder / f"{name}.jsonl", content)
        write_json(folder / "manifest.json", report)
        describe_posttrain(folder, report)
    print(f"{arguments.output_dir}: " + ", ".join(f"{len(content)} {name}" for name, content in rows.items()))


def load_training_problems(arguments: PosttrainArguments) -> list[Problem]:
    """Return the problems that are split: those of GSM8K, synthetic ones, or both."""
    own = [] if arguments.gsm8k is None else load_problems(arguments.gsm8k, "train")
    count = arguments.synthetic_problems if arguments.gsm8k is None else arguments.added_synthetic
    if count == 0:
        return own
    max_steps, max_operand = arguments.synthetic_max_steps, arguments.synthetic_max_operand
    return own + synthetic_problems(arguments.seed, count, max_steps, held_out=False, max_operand=max_operand)


def load_extra_sets(
    guard: Guard, own: int, arguments: PosttrainArguments
) -> tuple[list[Problem], list[dict[str, Any]]]:
    """Return the problems of the further sets that join `own` problems, and what was left out of each set."""

    def refuse(problem: Problem) -> str | None:
        return guard.reason(problem) if fits(problem, arguments.max_characters) else "longer than max_characters"

    chosen: list[Problem] = []
    report = []
    for entry in arguments.extra_sets:
        usable, left_out = load_extra_set(entry, own, refuse)
        chosen += usable
        report.append({**entry, "rows": len(usable), "left_out": dict(left_out)})
    return chosen, report


def training_rows(training: Sequence[Problem], arguments: PosttrainArguments) -> list[dict[str, str]]:
    """Return the SFT rows of the problems, in formats drawn at random, and the arithmetic rows, shuffled together."""
    generator = random.Random(f"rows {arguments.seed}")
    shuffled = generator.sample(training, len(training))
    rows = sft_rows(shuffled, arguments.direct_fraction) + arithmetic_rows(arguments.arithmetic_rows, arguments.seed)
    generator.shuffle(rows)
    return rows


def inputs(arguments: PosttrainArguments) -> list[Path]:
    local = arguments.gsm8k is not None and Path(arguments.gsm8k).is_dir()
    return [Path(arguments.benchmarks), *([Path(str(arguments.gsm8k)) / "train.jsonl"] if local else [])]


def manifest(
    arguments: PosttrainArguments, everything: Sequence[Problem], split: Split, rows: dict[str, list[dict[str, str]]]
) -> dict[str, Any]:
    """Return the counts of what was written, and the rules by which it was chosen."""
    return {
        "source": arguments.gsm8k or "synthetic",
        "added_synthetic": arguments.added_synthetic if arguments.gsm8k else 0,
        "most_frequent_answers": {
            source: most_frequent_answer(problem.answer for problem in everything if problem.source == source)
            for source in sorted({problem.source for problem in everything})
        },
        "rules": [
            "one seeded permutation of the training problems; the first ones are held out of SFT and GRPO alike",
            "each problem gives one SFT row: direct_fraction of them direct, the others chain of thought",
            "answers are written without commas; GRPO prompts are in the chain-of-thought form",
        ],
        "problems": {
            "read": len(everything),
            "longer_than_max_characters": split.too_long,
            "sft_validation": len(split.validation),
            "development": len(split.development),
            "training": len(split.training),
        },
        "arithmetic_rows": arguments.arithmetic_rows,
        "rows": {name: count_rows(content) for name, content in rows.items()},
    }


def most_frequent_answer(answers: Iterable[str]) -> str:
    """Return the answer that stands most often; among equals the first in the order of text."""
    counts = Counter(answers)
    return min(counts, key=lambda answer: (-counts[answer], answer))


def count_rows(rows: Sequence[dict[str, str]]) -> dict[str, int]:
    direct = sum(row["prompt"].endswith(f"\n{ANSWER_LABELS['direct']}:") for row in rows)
    characters = sum(len(text) for row in rows for text in row.values())
    return {"rows": len(rows), "direct": direct, "cot": len(rows) - direct, "characters": characters}


if __name__ == "__main__":
    main()
