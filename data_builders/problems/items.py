"""What a benchmark is made of: items with stable ids.

from mulfact.data_builders.problems.items import text_id
text_id('svamp', 'How many apples are left?')
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from mulfact.data_builders.problems.calculations import calculation_of

BENCHMARKS = (
    "gsm8k_direct", "gsm8k_cot",
    "table_9", "table_9_words", "table_9_plain", "product_of", "boxes", "tens", "sums_9", "sum_of",
    "table_20", "digits_2x1", "digits_2x2", "mixed",
    "svamp", "multiarith", "asdiv", "math",
    "rg_products", "rg_chain_sum", "rg_gsm_symbolic",
)  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One question with its gold answer.

    `answer_rule` says how a completion is read (evals/grading/answers.py). `operands` are those of the one fact that an
    item asks for, of 6*90 the 6 and the 9: items that ask for the same fact are not independent.
    `operations` and `facts` are what the gold solution calculates (calculations.py), None where that is not known.
    """

    id: str
    prompt: str
    answer: str
    family: str
    solution: str | None = None
    operands: tuple[int, int] | None = None
    answer_rule: str = "gsm8k"
    operations: tuple[str, ...] | None = None
    facts: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True)
class Benchmark:
    """Items that are scored together. `style` is the prompt form, "direct" or "cot"."""

    name: str
    family: str
    style: str
    source: str
    description: str
    items: list[Item]


def calculating(*expressions: str) -> dict[str, Any]:
    """Return the fields of an Item that say what these expressions of its gold solution hold."""
    return asdict(calculation_of(*expressions))


def text_id(benchmark: str, question: str) -> str:
    """Return an id that depends on the words of the question alone, whatever file or order they came in."""
    return f"{benchmark}-{sha256(' '.join(question.split()).encode()).hexdigest()[:12]}"


def text_ids(benchmark: str, questions: Iterable[str]) -> Iterator[str]:
    """Yield `text_id` for each question; a question that a published set asks again gets "-2", "-3", ... behind it."""
    seen: Counter[str] = Counter()
    for question in questions:
        name = text_id(benchmark, question)
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}-{seen[name]}"
