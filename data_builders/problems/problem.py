"""A word problem with its worked solution, wherever it comes from: GSM8K, the generator, or a further set."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """A word problem: `solution` holds its annotated lines without the final "#### answer" line."""

    question: str
    solution: str
    answer: str
    steps: int
    source: str = "synthetic"
