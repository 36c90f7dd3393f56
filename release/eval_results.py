"""GSM8K's accuracy as the Hub's leaderboards read it: .eval_results/gsm8k.yaml in a checkpoint's repository.

The legacy form, `model-index` in the card, stays beside it (cards.py). Only the published test split counts as GSM8K,
and it is known by its questions: synthetic problems in its form, or a part of it, never stand under its name.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

from mulfact.data_builders.problems.prompts import question_of
from mulfact.data_builders.storage.rows import read_jsonl
from mulfact.release.repositories import EVAL_RESULTS

TASK = "gsm8k_cot"
# Of the 1,319 questions of openai/gsm8k's test split (config main), in alphabetical order, white space as one space.
QUESTIONS_SHA256 = "43bb1a1f34b3cf6ef37cd0c13de5eb5c93934597459eaf9531536fb525b6b81e"


def is_gsm8k(benchmark: Path) -> bool:
    """Return whether a benchmark's file asks GSM8K's whole test split, question for question."""
    if not benchmark.is_file():
        return False
    return hash_questions(row["prompt"] for _, row in read_jsonl(benchmark)) == QUESTIONS_SHA256


def hash_questions(prompts: Iterable[str]) -> str:
    questions = sorted(" ".join(question_of(prompt).split()) for prompt in prompts)
    return hashlib.sha256("\n".join(questions).encode()).hexdigest()


def write_eval_results(folder: Path, benchmarks: Path, rows: list[dict[str, Any]], seed: int, report_id: str) -> None:
    """Write .eval_results/gsm8k.yaml into a staged checkpoint; nothing where its numbers are not GSM8K's.

    `rows` are those of the checkpoint in results.json's `accuracy`; the value is this seed's accuracy in percent.
    """
    row = next((row for row in rows if row["task"] == TASK), None)
    path = benchmarks / f"{TASK}.jsonl"
    if row is None or not is_gsm8k(path) or row["items"] != sum(1 for _ in read_jsonl(path)):
        return
    entry = EvalResultEntry(
        dataset_id="openai/gsm8k",
        task_id="gsm8k",
        value=round(100 * row["seeds"][str(seed)], 2),
        source_url=f"https://huggingface.co/datasets/{report_id}",
        source_name="mulfact's report",
        notes="zero-shot, greedy, chain of thought; exact match by the rule of GSM8K's authors, in %",
    )
    (folder / EVAL_RESULTS).mkdir()
    text = yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False, allow_unicode=True)
    (folder / EVAL_RESULTS / "gsm8k.yaml").write_text(text, encoding="utf-8")
