"""Where word problems come from: GSM8K, the generator, and further sets in other columns.

    python -c "from mulfact.data_builders.problem_sets.gsm8k import load_problems; \
        print(load_problems('data/gsm8k', 'test')[0])"
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from mulfact.data_builders.problem_sets.tinygsm import solve
from mulfact.data_builders.problems.problem import Problem
from mulfact.data_builders.problems.prompts import NUMBER, extract_answer
from mulfact.data_builders.storage.rows import HUB_ID, read_hub, read_jsonl, stream_hub
from mulfact.data_builders.synthetic.word_problems import problems
from mulfact.errors import UserError

SOURCE = "gsm8k"  # of a problem that is not synthetic
SYNTHETIC_SEED_OFFSET = 1_000_003  # the corpus draws from the generator too: not the same problems again
# ASCII digits, commas between thousands only: 1,2 is a list of two.
ANSWER_LINE = re.compile(rf"####[ \t]+([-+]?)\$?({NUMBER.pattern})%?\.?")


def load_problems(source: str, split: str) -> list[Problem]:
    """Return the problems of one split of GSM8K, from a folder with <split>.jsonl or from the Hub.

    Raises UserError for a missing folder, an unreachable data set, and a line that is not a problem, with its number.
    """
    folder = Path(source)
    if folder.is_dir():
        path = folder / f"{split}.jsonl"
        return [parse_problem(row, f"{path}, line {number}") for number, row in read_jsonl(path)]
    check_hub_id(source, "gsm8k")
    rows = read_hub(source, "main", split)
    return [parse_problem(row, f"{source}, {split} row {number}") for number, row in enumerate(rows)]


def check_hub_id(source: str, key: str) -> None:
    if not HUB_ID.fullmatch(source):
        raise UserError(
            f"{key}={source}: no such folder; expected one with train.jsonl and test.jsonl, or a Hub id: openai/gsm8k"
        )


def parse_problem(row: Mapping[str, Any], where: str) -> Problem:
    """Return a row of GSM8K as a problem; the answer's commas are dropped, and a step is one <<...>> annotation.

    Raises UserError when a column is missing or empty, when the answer's last line is not `#### <one number>`, or
    when an answer would be read before that line.
    """
    for column in ("question", "answer"):
        if not isinstance(row.get(column), str) or not row[column].strip():
            raise UserError(f"{where}: no text in {column!r}; found the columns {', '.join(row)}")
    solution, _, last = row["answer"].replace("\r\n", "\n").rstrip().rpartition("\n")
    answer = parse_answer_line(last)
    if answer is None:
        raise UserError(
            f"{where}: the answer has no line '#### <number>'; it ends {last[-40:]!r}; its last line must be this mark "
            "and one number; repair or remove it"
        )
    solution = solution.strip()
    if (early := extract_answer(solution)) is not None:
        raise UserError(
            f"{where}: the solution says '#### {early}' before its last line '{last}'; an answer is read at the first "
            "'####', so take that mark out"
        )
    return Problem(row["question"].strip(), solution, answer, solution.count("<<"), SOURCE)


def parse_answer_line(line: str) -> str | None:
    """Return the number of a line `#### <one number>`, without commas, dollars, percent or final period; else None."""
    match = ANSWER_LINE.fullmatch(line.strip())
    if match is None or (match.group(1) and match.group(2).startswith("-")):
        return None
    return match.group(1).replace("+", "") + match.group(2).replace(",", "")


def synthetic_problems(seed: int, count: int, max_steps: int, held_out: bool, max_operand: int = 9) -> list[Problem]:
    """Return `count` different problems of the generator. Raises UserError when it has not so many."""
    different: dict[str, Problem] = {}
    endless = problems(seed + SYNTHETIC_SEED_OFFSET, held_out=held_out, max_steps=max_steps, max_operand=max_operand)
    for problem in islice(endless, 20 * count):
        different.setdefault(problem.question, problem)
        if len(different) == count:
            return list(different.values())
    raise UserError(
        f"synthetic_problems is {count}, but with at most {max_steps} steps the generator gave {len(different)} "
        "different ones; ask for fewer or allow more steps"
    )


def load_extra_set(
    entry: Mapping[str, Any], own: int, refuse: Callable[[Problem], str | None]
) -> tuple[list[Problem], Counter]:
    """Return the first usable problems of a further training set, and why others were left out.

    `entry` is {source, rows}, or {source, weight} for weight x `own` rows, `own` being the number of problems that the
    set joins. source is a folder with train.jsonl or a Hub id, in the columns of GSM8K (question, answer), of GSM8k-Aug
    (question, cot or steps, answer) or of TinyGSM (question, code). `refuse` names the reason to leave a problem out.
    Raises UserError when the set cannot be read, has other columns, or ends before so many problems.
    """
    rows = extra_set_rows(entry, own)
    chosen: list[Problem] = []
    reasons: Counter = Counter()
    for where, row in extra_rows(entry["source"]):
        problem = parse_extra(row, where)
        reason = problem if isinstance(problem, str) else refuse(problem)
        if reason is not None:
            reasons[reason] += 1
        elif isinstance(problem, Problem):
            chosen.append(problem)
            if len(chosen) == rows:
                return chosen, reasons
    raise UserError(
        f"posttrain.extra_sets: {entry['source']} ended after {len(chosen)} usable problems of {rows} "
        f"(left out: {dict(reasons)}); ask for fewer rows"
    )


def extra_set_rows(entry: Mapping[str, Any], own: int) -> int:
    """Return how many problems an entry of extra_sets asks for. Raises UserError for an entry of another form."""
    if set(entry) == {"source", "rows"} and type(entry["rows"]) is int:
        rows = entry["rows"]
    elif set(entry) == {"source", "weight"} and type(entry["weight"]) in (int, float):
        rows = round(entry["weight"] * own)
    else:
        rows = 0
    if rows < 1:
        raise UserError(
            "posttrain.extra_sets: expected {source: <folder or Hub id>, rows: <number>}, or weight: <rows for each "
            f"training problem of GSM8K> instead of rows, found {dict(entry)}"
        )
    return rows


def extra_rows(source: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    folder = Path(source)
    if folder.is_dir():
        path = folder / "train.jsonl"
        yield from ((f"{path}, line {number}", row) for number, row in read_jsonl(path))
    else:
        check_hub_id(source, "posttrain.extra_sets source")
        yield from ((f"{source}, row {number}", row) for number, row in enumerate(stream_hub(source, "train")))


def parse_extra(row: Mapping[str, Any], where: str) -> Problem | str:
    """Return a row of a further set as a problem, or why it is left out: what it lacks, or what is no one number.

    Raises UserError for the columns of no set that is known, and for a row of GSM8K's own that `parse_problem` refuses.
    """
    if "question" not in row or not ("code" in row or "answer" in row):
        raise UserError(f"{where}: no columns question and answer, or code; found the columns {', '.join(row)}")
    question = text_or_none(row["question"])
    if question is None:
        return "no question"
    if "code" in row:
        solved = solve(row["code"]) if isinstance(row["code"], str) else None
        return "no number for an answer" if solved is None else Problem(question, *solved, 0)
    if not {"cot", "steps"} & set(row):
        return "no answer" if row["answer"] is None else parse_problem(row, where)
    answer = number_of(row["answer"])
    if answer is None:
        return "no number for an answer"
    # GSM8k-Aug has its steps in one string, copies of it a list.
    steps = next((row[column] for column in ("cot", "steps") if row.get(column) is not None), None)
    lines = [text_or_none(step) for step in (steps if isinstance(steps, list) else [steps])]
    solution = "\n".join(line for line in lines if line is not None)
    if None in lines or not lines:
        return "no solution"
    if extract_answer(solution) is not None:
        return "an answer line inside the solution"
    return Problem(question, solution, answer, solution.count("<<"))


def text_or_none(value: Any) -> str | None:
    """Return a value's text without white space around it; None for an empty one and for what is no text."""
    return value.strip() or None if isinstance(value, str) else None


def number_of(value: Any) -> str | None:
    """Return an answer, which may be a JSON number or text as behind `####`, as GSM8K writes it; None for others."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{Decimal(str(value)).normalize():f}" if math.isfinite(value) else None
    return parse_answer_line(f"#### {value.strip().removeprefix('####')}") if isinstance(value, str) else None
