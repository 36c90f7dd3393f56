"""Options that `make` fills in from its variables: a wrong value is told in one line, by the name of the variable.

    parser.add_argument("--seeds", nargs="*", action=Seeds, default=[0])

With `nargs="*"` an empty variable is told like any other wrong value.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from mulfact.errors import UserError

LARGEST_SEED = 2**32 - 1  # NumPy's generator, which the trainers seed too, takes no larger one


class Variable(argparse.Action):
    """An option whose words `read` turns into its value, or raises ValueError."""

    name: ClassVar[str]
    expected: ClassVar[str]

    def read(self, words: Sequence[str]) -> Any:
        raise NotImplementedError

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        try:
            setattr(namespace, self.dest, self.read(values))
        except ValueError:
            raise UserError(f"{self.name}: found {' '.join(values)!r}; expected {self.expected}") from None


class Conditions(Variable):
    name, expected = "CONDITIONS", "names of arms, divided by spaces, each once"

    def read(self, words: Sequence[str]) -> list[str]:
        if not words or any("," in word for word in words) or len(set(words)) < len(words):
            raise ValueError
        return list(words)


class Seeds(Variable):
    name, expected = "SEEDS", f"whole numbers from 0 to {LARGEST_SEED}, divided by spaces, each once"

    def read(self, words: Sequence[str]) -> list[int]:
        seeds = [int(word) for word in words if word.isdecimal() and str(int(word)) == word]  # 007 is another folder
        if not words or len(set(seeds)) < len(words) or max(seeds) > LARGEST_SEED:
            raise ValueError
        return seeds


class Number(Variable):
    """One whole number, from `least`."""

    least: ClassVar[int] = 1

    def read(self, words: Sequence[str]) -> int:
        (word,) = words
        if int(word) < self.least:
            raise ValueError
        return int(word)


class Jobs(Number):
    name, expected = "JOBS", "the number of cells that run at a time, from 1"


class Processes(Number):
    name, expected = "PROCESSES", "the number of processes that share one pretraining, from 1"


class Pairs(Number):
    name, expected = "PAIRS", "the number of pairs of arms, from 1"


class Blocks(Number):
    name, expected, least = "BLOCKS", "the number of blocks of runs to make now, from 0", 0


class Price(Variable):
    name, expected = "PRICE", "dollars for an hour of one device"

    def read(self, words: Sequence[str]) -> float:
        (word,) = words
        if not (0 <= float(word) < math.inf):
            raise ValueError
        return float(word)


class FigurePath(Variable):
    name, expected = "FIGURE", "a file name that ends in .svg or .png, in a folder that exists"

    def read(self, words: Sequence[str]) -> Path:
        path = Path(*words)
        if len(words) != 1 or path.suffix not in (".svg", ".png") or not path.parent.is_dir() or path.is_dir():
            raise ValueError
        return path
