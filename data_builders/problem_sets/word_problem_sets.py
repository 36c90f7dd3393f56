"""SVAMP, MultiArith and ASDiv, from the files of their authors or from the Hub, whose columns differ.

    from mulfact.data_builders.problem_sets.word_problem_sets import svamp
    svamp('SVAMP.json').items[0]

Every published item is kept, the Hub's splits together, so that both forms give the same items under the same ids. Only
ASDiv has answers that are not one number; its numeric-answer subset is defined by NUMERIC_ANSWER.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from mulfact.data_builders.problem_sets.gsm8k import NUMBER
from mulfact.data_builders.problems.items import Benchmark, Item, calculating, text_ids
from mulfact.data_builders.problems.prompts import format_prompt
from mulfact.data_builders.storage.rows import HUB_ID, read_hub
from mulfact.errors import UserError
from mulfact.text_files import read_json

# "9 (apples)", "0.46 (dollars)", "383": one decimal number, then nothing or a unit in brackets. Left out: "Yes",
# "5:45", "8; 40", "5/2", "6th".
NUMERIC_ANSWER = re.compile(rf"({NUMBER.pattern})\s*(?:\([^)]*\))?")


@dataclass(frozen=True)
class Question:
    """A published problem; `formula` is what its authors calculate, None where they do not say it."""

    text: str
    answer: str
    where: str
    formula: str | None = None


def svamp(source: str) -> Benchmark:
    """Return SVAMP. `source` is SVAMP.json or a Hub id. Raises UserError when it cannot be read."""
    questions = [
        Question(
            f"{text(row, 'Body', where)} {text(row, 'Question', where)}",
            text(row, "Answer", where),
            where,
            row.get("Equation"),
        )
        for where, row in json_or_hub_rows(source)
    ]
    return benchmark("svamp", source, "SVAMP: body and question joined by a space", questions)


def multiarith(source: str) -> Benchmark:
    """Return MultiArith. `source` is MultiArith.json or a Hub id. Raises UserError when it cannot be read."""
    questions = []
    for where, row in json_or_hub_rows(source):
        if "sQuestion" in row:  # the authors' file
            solutions = row.get("lSolutions")
            if not isinstance(solutions, list) or len(solutions) != 1:
                raise UserError(f"{where}: expected one number in 'lSolutions', found {solutions!r}")
            answer = text({"lSolutions": solutions[0]}, "lSolutions", where)
            formulas = row.get("lEquations") or [None]
            questions.append(Question(text(row, "sQuestion", where), answer, where, formulas[0]))
        else:
            questions.append(Question(text(row, "question", where), text(row, "final_ans", where), where))
    return benchmark(
        "multiarith", source, "MultiArith: all 600 published items, also those that occur twice", questions
    )


def asdiv(source: str) -> Benchmark:
    """Return the numeric-answer subset of ASDiv. `source` is ASDiv.xml or a Hub id. Raises UserError."""
    questions, skipped = [], 0
    for where, row in asdiv_rows(source):
        match = NUMERIC_ANSWER.fullmatch(text(row, "answer", where))
        if match is None:
            skipped += 1
        else:
            question = f"{text(row, 'body', where)} {text(row, 'question', where)}"
            questions.append(Question(question, match.group(1), where, row.get("formula")))
    rule = "the answer is one decimal number, alone or before a unit in brackets"
    return benchmark("asdiv", source, f"ASDiv where {rule}; {skipped} other items left out", questions)


def asdiv_rows(source: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Yield (where, row) with the columns body, question and answer."""
    path = Path(source)
    if not path.is_file():
        yield from hub_rows(source)
        return
    try:
        problems = list(ElementTree.parse(path).getroot().iter("Problem"))
    except ElementTree.ParseError as error:
        raise UserError(f"{path}: not XML ({error}); expected ASDiv.xml as its authors published it") from error
    if not problems:
        raise UserError(f"{path}: no <Problem> in it; expected ASDiv.xml as its authors published it")
    for problem in problems:
        row = {child.tag.lower(): child.text for child in problem}
        yield f"{path}, problem {problem.get('ID')}", row


def json_or_hub_rows(source: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Yield (where, row) of a JSON file that holds a list of objects, or of a data set on the Hub."""
    path = Path(source)
    if not path.is_file():
        yield from hub_rows(source)
        return
    rows = read_json(path)
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path}: expected a JSON list of objects, one for each problem")
    for index, row in enumerate(rows):
        yield f"{path}, entry {index}", row


def hub_rows(source: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    if not HUB_ID.fullmatch(source):
        raise UserError(f"{source} does not exist: expected the file of the authors, or a Hub id such as ChilleD/SVAMP")
    for index, row in enumerate(read_hub(source)):
        yield f"{source}, row {index}", row


def text(row: Mapping[str, Any], column: str, where: str) -> str:
    """Return a column, text or a number, as stripped text. Raises UserError when it is missing, empty or else."""
    value = row.get(column)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise UserError(f"{where}: no {column!r}; found the columns {', '.join(row)}")
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number and not isinstance(value, str):
        raise UserError(f"{where}: {column!r} holds {value!r}; expected text or a number")
    return str(value).strip()


def benchmark(name: str, source: str, description: str, questions: list[Question]) -> Benchmark:
    """Return the questions, in the order of their ids, asked in the chain-of-thought form."""
    items = [
        Item(
            item_id,
            format_prompt(question.text, "cot"),
            plain_number(question),
            "word_problem",
            **(calculating(question.formula) if question.formula else {}),
        )
        for item_id, question in zip(text_ids(name, (q.text for q in questions)), questions, strict=True)
    ]
    return Benchmark(name, "word_problem", "cot", source, description, sorted(items, key=lambda item: item.id))


def plain_number(question: Question) -> str:
    """Return the answer as GSM8K writes numbers: 51.0 is "51", 1,250.50 is "1250.5". Raises UserError for no number."""
    if not NUMBER.fullmatch(question.answer):
        raise UserError(f"{question.where}: the answer {question.answer!r} is not a number; repair or remove it")
    return f"{Decimal(question.answer.replace(',', '')).normalize():f}"
