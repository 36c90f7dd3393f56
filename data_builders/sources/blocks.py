"""A source as *blocks*: some documents and the position behind them.

    for block in open_source(settings, SyntheticSettings(), seed=0, block_size=1_000_000, position=None):
        block.texts()

An interrupted build goes on exactly at the block where it stopped. Synthetic blocks are only named here; a worker
process generates their text.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from mulfact.data_builders.sources.files import Record, Row
from mulfact.data_builders.sources.readers import Position, SourceReader
from mulfact.data_builders.sources.settings import SourceSettings
from mulfact.data_builders.synthetic.documents import SyntheticSettings, documents
from mulfact.errors import UserError
from mulfact.text_files import BadRecord

# A document that spells a control token would be read as one, and a fact token's name in some arms only.
RESERVED = re.compile(r"<\|endoftext\|>|<\|pad\|>|<MUL_\d")


@dataclass(frozen=True)
class TextBlock:
    """Documents that were read; `skipped` counts, by reason, the records left out between them."""

    position: Position
    content: list[str]
    skipped: Counter[str]

    def texts(self) -> list[str]:
        return self.content


@dataclass(frozen=True)
class SyntheticBlock:
    """Documents that are still to be generated, so that a worker process can do it."""

    position: Position
    settings: SyntheticSettings
    seed: int
    size: int
    skipped: Counter[str] = field(default_factory=Counter)

    def texts(self) -> list[str]:
        texts = []
        size = 0
        for text in documents(self.settings, self.seed):
            texts.append(text)
            size += len(text)
            if size >= self.size:
                break
        return texts


Block = TextBlock | SyntheticBlock


def open_source(
    settings: SourceSettings, synthetic: SyntheticSettings, seed: int, block_size: int, position: Position | None
) -> Iterator[Block]:
    """Yield the blocks of a source behind `position` (None: all), each of about `block_size` characters.

    The synthetic generator has no end. Raises UserError for what cannot be opened or read.
    """
    if settings.generated:
        for block in itertools.count(position["block"] if position else 0):
            # Far apart, so that no two blocks of two corpora have the same seed.
            yield SyntheticBlock({"block": block + 1}, synthetic, seed * 2**32 + block, block_size)
    content: list[str] = []
    skipped: Counter[str] = Counter()
    size = 0
    reader = SourceReader(settings, position)
    for record in reader:
        text, reason = accept(record, settings)
        if reason is not None:
            skipped[reason] += 1
            continue
        content.append(text)
        size += len(text)
        if size >= block_size:
            yield TextBlock(reader.position(), content, skipped)
            content, skipped, size = [], Counter(), 0
    if content or skipped:
        yield TextBlock(reader.position(), content, skipped)


def accept(record: Record, settings: SourceSettings) -> tuple[str, str | None]:
    """Return a record's text and None, or "" and the reason why it is left out. Raises UserError for a bad record."""
    if isinstance(record, Row):
        if settings.language is not None and record.columns.get(settings.language_column) != settings.language:
            return "", "other_language"
        record = text_of(record, settings)
    if isinstance(record, BadRecord):
        if settings.bad_records == "refuse":
            raise UserError(f"{record.message}; correct it, or set bad_records: skip for source {settings.name}")
        return "", record.reason
    text = record
    if len(text) < settings.min_characters:
        return "", "too_short"
    if settings.max_characters is not None and len(text) > settings.max_characters:
        return "", "too_long"
    if "<" in text and RESERVED.search(text):
        return "", "reserved_text"
    return text, None


def text_of(row: Row, settings: SourceSettings) -> str | BadRecord:
    """Return the document that a row holds."""
    column, text = settings.text_column, row.columns.get(settings.text_column)
    if isinstance(text, str):
        return text
    if column not in row.columns:
        return BadRecord("no_text", f"{row.where}: no column {column!r}; its columns: {', '.join(row.columns)}")
    found = "null" if text is None else f"{type(text).__name__}: {str(text)[:40]!r}"
    return BadRecord("no_text", f"{row.where}: no text in the column {column!r}, but {found}")
