"""Probes that nobody here wrote: questions of reasoning-gym's generators, made by a seed, for evaluation alone.

    pip install '.[probes]'
    python -c "from mulfact.data_builders.problem_sets.reasoning_gym_probes import *; \
        print(*reasoning_gym_probe('products', 3, 0).items, sep='\n')"

Nothing may be trained on them: GSM-Symbolic's templates were made from GSM8K's test items (Mirzadeh et al. 2024, arXiv
2410.05229). Numbers are kept small enough for a small model to be right in some; the wording is the generators' own.
"""

import importlib
import importlib.metadata
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mulfact.data_builders.problems.items import Benchmark, Item, calculating, text_id
from mulfact.data_builders.problems.prompts import format_prompt
from mulfact.errors import UserError, unknown

PACKAGE = "reasoning-gym"
DRAWN = 20  # questions for each that is kept: small products come up more than once
PRODUCT = re.compile(r"(\d+) \* (\d+)")


@dataclass(frozen=True)
class Generator:
    """How one of the package's generators is asked: prompt style, family, its own settings, and what they give."""

    style: str
    family: str
    description: str
    settings: Mapping[str, int] = field(default_factory=dict)


GENERATORS = {
    "products": Generator("direct", "arithmetic", "products of two numbers below 100", {"max_digits": 2}),
    "chain_sum": Generator(
        "direct",
        "arithmetic",
        "two or three numbers below 100, added and subtracted",
        {"max_terms": 3, "max_digits": 2},
    ),
    "gsm_symbolic": Generator("cot", "word_problem", "word problems from GSM-Symbolic's templates"),
}


def task_of(generator: str) -> str:
    """Return the name of the benchmark that a generator gives."""
    return f"rg_{generator}"


def check_generators(names: Iterable[str]) -> None:
    """Raise UserError for a generator that is not one of GENERATORS, or where the package is not installed."""
    for name in names:
        if name not in GENERATORS:
            raise unknown("generator", name, GENERATORS, "benchmarks.reasoning_gym")
        installed_version(name)


def installed_version(name: str) -> str:
    """Return the package's version. Raises UserError, which names the generator, where it is missing."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise UserError(
            f"benchmarks.reasoning_gym holds {name}, and {PACKAGE} is not installed: pip install '.[probes]', or leave "
            "the list empty"
        ) from None


def reasoning_gym_probe(name: str, count: int, seed: int) -> Benchmark:
    """Return at most `count` different questions of a generator. Raises UserError as `check_generators`."""
    check_generators([name])
    generator, source = GENERATORS[name], f"{PACKAGE} {installed_version(name)}"
    entries: dict[str, Mapping[str, Any]] = {}
    package = importlib.import_module("reasoning_gym")  # takes a second, and is needed for nothing else
    for entry in package.create_dataset(name, seed=seed, size=DRAWN * count, **generator.settings):
        entries.setdefault(entry["question"], entry)
        if len(entries) == count:
            break
    items = [item_of(task_of(name), generator, entry) for entry in entries.values()]
    return Benchmark(task_of(name), generator.family, generator.style, source, generator.description, items)


def item_of(task: str, generator: Generator, entry: Mapping[str, Any]) -> Item:
    """Return a question of the package; what it calculates is known where the package says it."""
    question, expression = entry["question"], entry["metadata"].get("expression")
    operands = PRODUCT.fullmatch(expression or "")
    return Item(
        text_id(task, question),
        format_prompt(question, generator.style),
        entry["answer"],
        generator.family,
        operands=(int(operands[1]), int(operands[2])) if operands else None,
        **(calculating(expression) if expression else {}),
    )
