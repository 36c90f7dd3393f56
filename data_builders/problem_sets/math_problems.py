"""The items of MATH (Hendrycks et al., 2021) whose answer is one number, from its original files or from the Hub.

    from mulfact.data_builders.problem_sets.math_problems import math
    math('MATH/test', [1, 2, 3]).items[0]

A model of this experiment can show nothing on an answer such as \\frac{1}{2} or (1, 2], and exact match could not read
it. So only items of the chosen levels are kept whose last \\boxed{...} holds a plain integer or decimal number.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mulfact.data_builders.problem_sets.gsm8k import NUMBER
from mulfact.data_builders.problem_sets.word_problem_sets import Question, benchmark, text
from mulfact.data_builders.problems.items import Benchmark
from mulfact.data_builders.sources.finding import file_format, files_below
from mulfact.data_builders.storage.rows import HUB_ID, read_hub_configs, read_jsonl
from mulfact.errors import UserError
from mulfact.text_files import read_json

LEVELS = range(1, 6)
LEVEL = re.compile(r"(?:Level )?([1-5?])")
BOXED = re.compile(r"\\boxed\s*\{")
THOUSANDS = re.compile(r"(?:\{,\}|,\\!|\\!,)(?=\d{3})")  # how MATH's LaTeX sets the comma of 1,000


def math(source: str, levels: Sequence[int]) -> Benchmark:
    """Return the items of MATH with a number for an answer.

    `source` is a .jsonl file, a folder of .jsonl files or of the authors' .json files (one problem each), or a Hub id,
    of which the test split is read. Raises UserError when it cannot be read or nothing is left of it.
    """
    if not levels or not set(levels) <= set(LEVELS):
        raise UserError(f"benchmarks.math_levels is {list(levels)}: expected some of {', '.join(map(str, LEVELS))}")
    questions: list[Question] = []
    left_out: Counter[str] = Counter()
    for where, row in math_rows(source):
        answer = boxed_number(text(row, "solution", where))
        if level_of(row, where) not in levels:
            left_out["of another level"] += 1
        elif answer is None:
            left_out["without a single number for an answer"] += 1
        else:
            questions.append(Question(text(row, "problem", where), answer, where))
    if not questions:
        raise UserError(f"{source}: no item of the levels {list(levels)} has a number for an answer ({dict(left_out)})")
    said = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "none"
    rule = "the last \\boxed{} of the solution holds one integer or decimal number"
    shown = ", ".join(map(str, sorted(levels)))
    return benchmark("math", source, f"MATH, levels {shown}, where {rule}; items left out: {said}", questions)


def math_rows(source: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (where, row) with the columns problem, solution and level."""
    path = Path(source)
    if path.is_file():
        yield from ((f"{path}, line {number}", row) for number, row in read_jsonl(path))
    elif path.is_dir():
        files = [file for file in files_below(path) if file_format(file) in (".jsonl", ".json")]
        if not files:
            raise UserError(f"{path} holds no .jsonl and no .json file: expected MATH's problems, or a Hub id")
        for file in files:
            if file_format(file) == ".jsonl":
                yield from math_rows(str(file))
            else:
                yield str(file), read_problem(file)
    elif HUB_ID.fullmatch(source):
        yield from ((f"{source}, row {index}", row) for index, row in enumerate(read_hub_configs(source, "test")))
    else:
        raise UserError(f"benchmarks.math={source}: no such file or folder; a Hub id is EleutherAI/hendrycks_math")


def read_problem(path: Path) -> Mapping[str, Any]:
    """Return the problem of one of the authors' files. Raises UserError when it holds none."""
    row = read_json(path)
    if not isinstance(row, dict):
        raise UserError(f"{path}: expected a JSON object with problem, level and solution")
    return row


def level_of(row: Mapping[str, Any], where: str) -> int | None:
    """Return the level, "Level 3" or 3 in the sets; None for "Level ?". Raises UserError for anything else."""
    match = LEVEL.fullmatch(text(row, "level", where))
    if match is None:
        raise UserError(f"{where}: level is {row['level']!r}; expected 'Level 1' to 'Level 5'")
    return int(match.group(1)) if match.group(1).isdigit() else None


def boxed_number(solution: str) -> str | None:
    """Return the number in the last \\boxed{...} of a solution; None when something else stands there."""
    starts = [match.end() for match in BOXED.finditer(solution)]
    if not starts:
        return None
    content, depth = "", 1
    for character in solution[starts[-1] :]:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            break
        content += character
    plain = THOUSANDS.sub(",", content.strip().strip("$").removeprefix("\\$").strip())
    return plain if depth == 0 and NUMBER.fullmatch(plain) else None
