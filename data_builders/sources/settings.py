"""What a recipe says of a corpus's sources: the synthetic generator, local files, and data sets of the Hub.

    sources:
      - {name: synthetic, weight: 0.3}
      - {name: textbooks, weight: 0.2, files: [data/openstax/*.jsonl.gz], repeat: 3, license: CC-BY-NC-SA-4.0}
      - {name: web, weight: 0.5, dataset: HuggingFaceFW/fineweb-edu, subset: sample-10BT, language: en}

readers.py reads them, blocks.py makes documents of what is read.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mulfact.data_builders.sources.finding import find_files
from mulfact.errors import UserError, unknown

SYNTHETIC = "synthetic"

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class SourceSettings:
    """One source of a corpus. Neither `files` nor `dataset`: the synthetic generator."""

    name: str = field(metadata={"help": "how the manifest and the column `source` call it"})
    weight: float = field(metadata={"help": "share of the bytes of the training text, relative to the other sources"})
    files: list[str] | None = field(default=None, metadata={"help": "files, folders or globs: .txt .jsonl .parquet"})
    dataset: str | None = field(default=None, metadata={"help": "a Hub id, or a folder that load_dataset reads"})
    subset: str | None = field(default=None, metadata={"help": "the data set's configuration, such as sample-10BT"})
    split: str = field(default="train", metadata={"help": "the data set's split"})
    revision: str | None = field(default=None, metadata={"help": "branch, tag or commit of the data set"})
    text_column: str = field(default="text", metadata={"help": "the column or JSON key that holds the document"})
    separator: str = field(
        default="", metadata={"help": ".txt: a line of this alone ends a document; '': a blank line"}
    )
    min_characters: int = field(default=1, metadata={"help": "shorter documents are left out and counted"})
    max_characters: int | None = field(default=None, metadata={"help": "longer documents are left out and counted"})
    language: str | None = field(default=None, metadata={"help": "documents of other languages are left out, counted"})
    language_column: str = field(default="language", metadata={"help": "the column that names the language"})
    repeat: int = field(default=1, metadata={"help": "how often a small source may be read: for each document as well"})
    bad_records: str = field(default="refuse", metadata={"help": "refuse | skip (and count) what cannot be read"})
    license: str | None = field(default=None, metadata={"help": "named on the corpus's card"})

    def __post_init__(self) -> None:
        where = f"corpus.sources: {self.name}"
        if not isinstance(self.weight, int | float) or not self.weight > 0:
            raise UserError(f"{where}: weight is {self.weight!r}; expected a number above 0")
        if not isinstance(self.repeat, int) or self.repeat < 1:
            raise UserError(f"{where}: repeat is {self.repeat!r}; expected a whole number from 1")
        if self.bad_records not in ("refuse", "skip"):
            raise UserError(f"{where}: bad_records is {self.bad_records!r}; expected refuse or skip")
        if self.files is not None and self.dataset is not None:
            raise UserError(f"{where}: both files and dataset are given; a source is one of them")
        if self.generated and self.name != SYNTHETIC:
            raise UserError(f"{where}: give files or dataset (only the source named {SYNTHETIC} is generated)")
        if self.files is not None and not (
            isinstance(self.files, list) and self.files and all(isinstance(one, str) and one for one in self.files)
        ):
            raise UserError(f"{where}: files is {self.files!r}; expected a list of paths")

    @property
    def generated(self) -> bool:
        """Whether the source is the synthetic generator."""
        return self.files is None and self.dataset is None

    @property
    def columns(self) -> list[str]:
        """The columns that are read."""
        return [self.text_column, *([self.language_column] if self.language is not None else [])]

    def paths(self) -> list[Path]:
        """Return the local files in reading order; none for another kind of source."""
        return find_files(self.files) if self.files is not None else []


def from_mapping(settings: type[Settings], mapping: Mapping[str, Any], where: str) -> Settings:
    """Return `settings(**mapping)`. Raises UserError for a key that the dataclass does not have, or that it misses."""
    fields = {one.name: one for one in dataclasses.fields(settings)}  # type: ignore[arg-type]
    for key in mapping:
        if key not in fields:
            raise unknown("key", key, fields, where)
    for name, one in fields.items():
        if name not in mapping and one.default is one.default_factory is dataclasses.MISSING:
            raise UserError(f"{where}: {name!r} is missing in {dict(mapping)}")
    return settings(**mapping)
