"""List every rewrite in files with its context, for a person to read: is each of them really a product?

    python -m mulfact.tokenizers.list_rewrites data/wikitext2_test.txt
    python -m mulfact.tokenizers.list_rewrites --tokenizer outputs/smoke/mulfact_strict/tokenizer data/gsm8k/train.jsonl

One line for each rewrite: file, line (of .txt and .jsonl) or number of the record, text before, [what is rewritten],
text after, token. GSM8K's calculator annotations (<<6*9=54>>) are counted but not listed, unless --all is given.
"""

import argparse
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mulfact.errors import UserError, command
from mulfact.text_files import COMPRESSIONS, BadRecord, json_lines, open_lines, read_json, told_with_file
from mulfact.tokenizers.facts import read_facts
from mulfact.tokenizers.rewrite import Match, Rewriter, reference_rewriter

ANNOTATION = re.compile(r"=[0-9]+>>|>>")


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="List every rewrite in files with its context.")
    parser.add_argument("files", nargs="+", type=Path, help=".txt, .jsonl, .json (a list) or .parquet, also packed")
    parser.add_argument("--tokenizer", help="a tokenizer folder; without it every spelling of 1*1 to 9*9 is listed")
    parser.add_argument("--context", type=int, default=30, help="characters on either side")
    parser.add_argument("--all", action="store_true", help="also list calculator annotations")
    arguments = parser.parse_args()
    rewriter = Rewriter(read_facts(arguments.tokenizer).settings) if arguments.tokenizer else reference_rewriter()

    for path in arguments.files:
        annotations, others = 0, Counter[str]()
        for record, text in read_texts(path):
            for match in rewriter.matches(text):
                number = record if record else 1 + text.count("\n", 0, match.start)
                annotation = is_annotation(text, match)
                annotations += annotation
                others[match.token] += not annotation
                if arguments.all or not annotation:
                    print(f"{path.name}\t{number}\t{in_context(text, match, arguments.context)}\t{match.token}")
        print(f"{path}: {annotations} in calculator annotations, {others.total()} elsewhere")


def is_annotation(text: str, match: Match) -> bool:
    """Whether the fact is the whole of a calculator annotation."""
    return text.endswith("<<", 0, match.start) and ANNOTATION.match(text, match.end) is not None


def in_context(text: str, match: Match, width: int) -> str:
    """Return the text before, [the fact] and the text after, on one line."""
    before, after = text[max(0, match.start - width) : match.start], text[match.end : match.end + width]
    return f"{before}[{text[match.start : match.end]}]{after}".replace("\n", "⏎").replace("\t", " ")


def read_texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number, text): the strings in each record, by line or from 1 on; a text file in one piece, with 0.

    Raises UserError for a file that is missing or cannot be read as what its name says.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist: expected a text, JSON or parquet file")
    kind = (path.with_suffix("") if path.suffix.lower() in COMPRESSIONS else path).suffix.lower()
    if kind == ".jsonl":
        for number, row in json_lines(path):
            if isinstance(row, BadRecord):
                raise UserError(f"{row.message}; repair or remove the line")
            yield from ((number, text) for text in strings(row))
    elif kind == ".parquet":
        with told_with_file(path, lambda: number):
            number = 0
            for batch in pq.ParquetFile(path).iter_batches():
                for record in batch.to_pylist():
                    number += 1
                    yield from ((number, text) for text in strings(record))
    elif kind == ".json":
        value = read_json(path)
        for number, record in enumerate(value if isinstance(value, list) else [value], 1):
            yield from ((number, text) for text in strings(record))
    else:
        try:
            with told_with_file(path, lambda: 0), open_lines(path) as lines:
                yield 0, b"".join(lines).decode()
        except UnicodeDecodeError as error:
            raise UserError(f"{path} cannot be read as text: {error}") from error


def strings(value: Any) -> Iterator[str]:
    """Yield every string in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


if __name__ == "__main__":
    main()
