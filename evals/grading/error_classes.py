"""Why an answer is wrong: an arithmetic slip, wrong reasoning, no answer in the expected form, or a text cut off.

    from mulfact.evals.grading.error_classes import classify_error as c
    c('6*9=55 #### 55', '54', False)

- arithmetic: the chain is right and an equation in it is false: with true results carried forward it ends at the gold.
- reasoning: any other number; its equations may be true or false.
- format: no number in the expected form, or the right one in another form (54.00).
- truncated: generation reached its limit before an answer.
"""

from fractions import Fraction

from mulfact.data_builders.problems.prompts import ANSWER
from mulfact.evals.grading.answers import grade
from mulfact.evals.grading.equations import chains, wrong_results


def classify_error(text: str, gold: str, truncated: bool, rule: str = "gsm8k", calculation: bool = False) -> str | None:
    """Return "arithmetic", "reasoning", "format" or "truncated" for a wrong completion, None for a right one.

    `truncated`: generation ended at its limit. `rule`: the item's answer_rule. `calculation`: the item asks for the
    value of an expression and nothing else (family "arithmetic"), so a wrong number is an arithmetic slip by itself.
    What stands behind the answer is not read.
    """
    verdict = grade(text, gold, rule)
    if verdict.correct:
        return None
    answer = number_in(verdict.extracted)
    if answer is None:
        return "truncated" if truncated and verdict.extracted is None else "format"
    right = number_in(gold.replace(",", ""))
    if answer == right:
        return "format"
    end = ANSWER.search(text) if rule == "gsm8k" else None
    solution = text[: end.start()] if end else text.partition("\n")[0]
    slipped = any(wrong_results(chain).get(answer) == right for chain in chains(solution))
    return "arithmetic" if calculation or (slipped and right is not None) else "reasoning"


def number_in(extracted: str | None) -> Fraction | None:
    """Return an extracted answer as a number; None for one without digits, or with two decimal points."""
    try:
        return Fraction((extracted or "").rstrip("."))
    except ValueError:
        return None
