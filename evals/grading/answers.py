"""The final answer in a text, and whether it is right: one home for training reward and evaluation.

    python -c "from mulfact.evals.grading.answers import grade; print(grade('6*9=54. #### 54', '54'))"

Three rules read the same text:
- headline: the GSM8K authors' own (openai/grade-school-math, grade_school_math/dataset.py): the number behind the first
  "#### ", its commas removed, must be the gold string.
- strict: the strict-match filter of lm-evaluation-harness (lm_eval/tasks/gsm8k/gsm8k.yaml, version 3): the same number,
  compared after its normalisation, which also drops one final full stop.
- flexible: its flexible-extract filter: the last number anywhere in the text.
Plain prompts such as "6*9=" are not answered with "####"; the rule "number" reads their first line instead.

What is read, in training and in evaluation, is the text in front of the first stop sequence: `text_before`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mulfact.data_builders.problems.prompts import ANSWER, NUMBER, extract_answer

FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
HARNESS_IGNORES = (re.compile(","), re.compile(r"\$"), re.compile(r"(?s).*#### "), re.compile(r"\.$"))


@dataclass(frozen=True)
class Grade:
    """What was read from a text by the headline rule, and the verdict of each rule."""

    extracted: str | None
    correct: bool
    correct_strict: bool
    correct_flexible: bool


def text_before(text: str, stop_sequences: Sequence[str]) -> str:
    """Return `text` up to the first stop sequence."""
    for stop in stop_sequences:
        text = text.split(stop)[0]
    return text


def extract_strict(text: str) -> str | None:
    """Return what the strict-match filter of lm-evaluation-harness takes from `text`: the same number, as written."""
    match = ANSWER.search(text)
    return match.group(1) if match else None


def extract_flexible(text: str) -> str | None:
    """Return what the flexible-extract filter of lm-evaluation-harness takes: the last number, as written."""
    matches = FLEXIBLE.findall(text)
    return matches[-1][0] or matches[-1][1] if matches else None


def extract_number(text: str) -> str | None:
    """Return the first number of the first line of `text`, without commas: the answer to a prompt such as "6*9="."""
    match = NUMBER.search(text.partition("\n")[0])
    return match.group().replace(",", "") if match else None


def is_correct(extracted: str | None, gold: str) -> bool:
    """Return whether an extracted answer is the gold one: the same string, commas aside (the authors' comparison)."""
    return extracted is not None and extracted == gold.replace(",", "")


def is_correct_harness(extracted: str | None, gold: str) -> bool:
    """Return whether both are the same string after the normalisation of lm-evaluation-harness' gsm8k task."""
    return extracted is not None and _harness_normal(extracted) == _harness_normal(gold)


def _harness_normal(text: str) -> str:
    for ignored in HARNESS_IGNORES:
        text = ignored.sub("", text)
    return text.lower()


def grade(text: str, gold: str, rule: str = "gsm8k") -> Grade:
    """Return the three verdicts on a completion.

    `rule` is the row's answer_rule. "gsm8k": as described at the top. "number": the headline reads the first number of
    the first line, strict wants nothing else on that line, flexible takes the last number of that line.
    Raises ValueError for another rule.
    """
    if rule == "gsm8k":
        extracted = extract_answer(text)
        strict = is_correct_harness(extract_strict(text), gold)
        return Grade(extracted, is_correct(extracted, gold), strict, is_correct_harness(extract_flexible(text), gold))
    if rule == "number":
        line = text.partition("\n")[0]
        extracted = extract_number(line)
        return Grade(
            extracted,
            is_correct(extracted, gold),
            line.strip() == gold,
            is_correct_harness(extract_flexible(line), gold),
        )
    raise ValueError(f"unknown answer rule {rule!r}: expected gsm8k or number")
