"""The synthetic generator: tables, drills and word problems as an endless stream of training documents.

    python -m mulfact.data_builders.synthetic.documents --megabytes 1 --seed 0     # documents, a line of dashes between
    python -m mulfact.data_builders.synthetic.documents --megabytes 10 --report    # duplicates and n-gram diversity
    python -m mulfact.data_builders.synthetic.documents --max_steps 8 --max_operand 99 --max_digits 4 --tables 0.05

The stream is a pure function of settings and seed, and holds nothing that is held out (held_out.py).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from mulfact.data_builders.contamination.held_out import ALWAYS_TRAINED
from mulfact.data_builders.problems.prompts import ANNOTATION, format_completion, format_prompt
from mulfact.data_builders.synthetic.drills import Drills
from mulfact.data_builders.synthetic.tables import SMALL, Tables
from mulfact.data_builders.synthetic.word_problems import check_difficulty, problems
from mulfact.errors import UserError, command
from mulfact.settings import parse

SECTION = "corpus.synthetic"
KINDS = ("tables", "drills", "word_problems")
DIRECT_SHARE = 0.3  # of word problems in prompt form: the answer without the solution


@dataclass
class SyntheticSettings:
    """What the generator writes: the mapping corpus.synthetic of a recipe."""

    tables: float = field(metadata={"help": "Share of bytes: tables of products and of sums, in every writing."})
    drills: float = field(metadata={"help": "Share of bytes: single operations and mixed expressions."})
    word_problems: float = field(metadata={"help": "Share of bytes: word problems with solutions."})
    largest_table: int = field(metadata={"help": "Tables go up to this number, 9 to 20."})
    max_digits: int = field(metadata={"help": "Of a drill's operands, 1 to 4."})
    min_steps: int = field(metadata={"help": "Of a word problem."})
    max_steps: int = field(metadata={"help": "Of a word problem, up to 8."})
    max_operand: int = field(metadata={"help": "Largest factor, divisor and addend of a word problem."})
    prompt_share: float = field(
        metadata={"help": "Of drills and word problems: those in the form of post-training prompts."}
    )
    operations: dict = field(metadata={"help": "Weights of add, subtract, multiply and divide."})

    def __post_init__(self) -> None:
        shares = {kind: getattr(self, kind) for kind in KINDS}
        if min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-6:
            raise UserError(f"{SECTION}: the shares of bytes are {shares}; expected numbers from 0 that add up to 1")
        if not SMALL <= self.largest_table <= ALWAYS_TRAINED:
            raise UserError(f"{SECTION}: largest_table is {self.largest_table}; expected {SMALL} to {ALWAYS_TRAINED}")
        if not 1 <= self.max_digits <= 4:
            raise UserError(f"{SECTION}: max_digits is {self.max_digits}; expected 1 to 4")
        if not 0 <= self.prompt_share <= 1:
            raise UserError(f"{SECTION}: prompt_share is {self.prompt_share}; expected a number from 0 to 1")
        check_difficulty(self.min_steps, self.max_steps, self.max_operand, self.operations)


def documents(settings: SyntheticSettings, seed: int) -> Iterator[str]:
    """Yield training documents without end; after every one the kinds' shares of bytes are met as nearly as can be."""
    tables = Tables(Random(f"tables {seed}"), settings.largest_table, settings.operations)
    drills = Drills(Random(f"drills {seed}").random, settings.max_digits, settings.operations, settings.prompt_share)
    word_problems = word_problem_documents(settings, seed)
    write = {"tables": tables.document, "drills": drills.document, "word_problems": word_problems.__next__}
    shares = {kind: getattr(settings, kind) for kind in KINDS if getattr(settings, kind) > 0}
    written = dict.fromkeys(shares, 0.0)  # bytes divided by the share: the kind with the least is next
    while True:
        kind = min(written, key=written.__getitem__)
        text = write[kind]()
        written[kind] += len(text.encode()) / shares[kind]
        yield text


def word_problem_documents(settings: SyntheticSettings, seed: int) -> Iterator[str]:
    """Yield word problems, in the form of post-training prompts or as plain text with or without annotations."""
    random = Random(f"forms of word problems {seed}").random
    stream = problems(seed, False, settings.max_steps, settings.min_steps, settings.max_operand, settings.operations)
    for problem in stream:
        if random() < settings.prompt_share:
            style = "direct" if random() < DIRECT_SHARE else "cot"
            yield format_prompt(problem.question, style) + format_completion(problem.solution, problem.answer, style)
        elif random() < 0.5:
            yield f"{problem.question}\n{problem.solution}"
        else:
            told = ANNOTATION.sub("", problem.solution).replace("\n", " ")
            yield f"{problem.question} {told} The answer is {problem.answer}."


def diversity(texts: Iterable[str]) -> dict[str, Any]:
    """Return documents, bytes, the share of duplicates, and for n = 1 to 4 the distinct share of word n-grams.

    A word is a run of letters, a number, or a single other sign. All numbers count as one word, so that the diversity
    is that of the phrasing, not of the operands.
    """
    words = re.compile(r"[^\W\d_]+|\d+|\S")
    seen: set[int] = set()
    counts: list[Counter[int]] = [Counter() for _ in range(4)]
    number, size = 0, 0
    for text in texts:
        number, size = number + 1, size + len(text.encode())
        seen.add(hash(text))
        tokens = ["0" if word.isdecimal() else word for word in words.findall(text)]
        for n, counter in enumerate(counts, 1):
            counter.update(map(hash, zip(*(tokens[i:] for i in range(n)), strict=False)))
    return {
        "documents": number,
        "bytes": size,
        "duplicates": 1 - len(seen) / number,
        "distinct_ngrams": {n: len(counter) for n, counter in enumerate(counts, 1)},
        "distinct_ngram_share": {n: len(counter) / counter.total() for n, counter in enumerate(counts, 1)},
    }


def up_to(stream: Iterator[str], size: int) -> Iterator[str]:
    """Yield documents until they hold `size` bytes."""
    for text in stream:
        yield text
        size -= len(text.encode())
        if size <= 0:
            return


@dataclass
class SyntheticArguments(SyntheticSettings):
    """The command: the settings, and how much to show."""

    seed: int = field(default=0, metadata={"help": "Of the stream."})
    megabytes: float = field(default=0.01, metadata={"help": "How much to generate."})
    report: bool = field(default=False, metadata={"help": "Print duplicates and n-gram diversity, not the documents."})


@command
def main() -> None:
    arguments = parse(SyntheticArguments, section=SECTION)
    texts = up_to(documents(arguments, arguments.seed), int(arguments.megabytes * 1e6))
    if arguments.report:
        for key, value in diversity(texts).items():
            print(f"{key}: {value}")
    else:
        for text in texts:
            print(text, end="\n----\n")


if __name__ == "__main__":
    main()
