"""Reading the records of a source from any position on: local files, and streams of the Hub.

reader = SourceReader(settings, position=None)
for record in reader:
    ...                             # reader.position() is plain JSON; SourceReader(settings, position) goes on there
"""

import dataclasses
import functools
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from mulfact.data_builders.sources.files import Record, Row, read_file
from mulfact.data_builders.sources.settings import SourceSettings
from mulfact.errors import UserError, first_line

Position = dict[str, Any]


class Reader(Protocol):
    """Yields records behind a position; `position()` is always that behind the last record yielded.

    `reconnections` says how often a connection was lost on the way and found again.
    """

    reconnections: int

    def __iter__(self) -> Iterator[Record]: ...

    def position(self) -> Position: ...


class SourceReader:
    """Reads a source behind a position (None: all of it), as often as its settings say.

    Raises UserError for what cannot be opened or read.
    """

    def __init__(self, settings: SourceSettings, position: Position | None) -> None:
        self.settings = settings
        self.kind: type[FileReader | HubReader] = FileReader if settings.files is not None else HubReader
        self.reading: int = position["reading"] if position else 0
        self.reader: Reader = self.kind(settings, position["at"] if position else None)
        self.reconnected: int = position["reconnections"] if position else 0

    def position(self) -> Position:
        reconnections = self.reconnected + self.reader.reconnections
        return {"reading": self.reading, "at": self.reader.position(), "reconnections": reconnections}

    def __iter__(self) -> Iterator[Record]:
        yield from self.reader
        while self.reading + 1 < self.settings.repeat:
            self.reading += 1
            self.reconnected += self.reader.reconnections
            self.reader = self.kind(self.settings, None)
            yield from self.reader


class FileReader:
    """Reads the local files of a source one after the other."""

    def __init__(self, settings: SourceSettings, position: Position | None) -> None:
        self.settings = settings
        self.paths = settings.paths()
        self.file: int = position["file"] if position else 0
        self.record: int = position["record"] if position else 0
        self.reconnections = 0

    def position(self) -> Position:
        return {"file": self.file, "record": self.record}

    def __iter__(self) -> Iterator[Record]:
        for path in self.paths[self.file :]:
            records = enumerate(read_file(path, self.settings.columns, self.settings.separator), 1)
            for number, record in itertools.islice(records, self.record, None):
                self.record = number
                yield record
            self.file, self.record = self.file + 1, 0


class Retries(logging.Handler):
    """Counts what `datasets` shows when it has lost a connection: it tries again 20 times, in 100 seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        logging.getLogger("datasets.utils.file_utils").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.count += "Retrying" in record.getMessage()


@functools.cache
def retries() -> Retries:
    return Retries()


class HubReader:
    """Streams a data set of the Hub, or a folder that `load_dataset` reads, without downloading it first."""

    def __init__(self, settings: SourceSettings, position: Position | None) -> None:
        import datasets  # seconds; not paid by builds from local files

        self.settings = settings
        try:
            self.stream = datasets.load_dataset(
                settings.dataset, settings.subset, split=settings.split, revision=settings.revision, streaming=True
            )
            found = self.stream.column_names
        except Exception as error:  # the errors of the Hub and of the formats have no class in common
            raise _unopened(settings, error) from error
        if found is not None:
            if missing := [column for column in settings.columns if column not in found]:
                raise UserError(
                    f"source {settings.name}: {settings.dataset} has no column {missing[0]!r}; "
                    f"its columns: {', '.join(found)}"
                )
            self.stream = self.stream.select_columns(settings.columns)
        self.row = 0
        if position is not None:
            self.row = position["row"]
            self.stream.load_state_dict(position["stream"])
        self.reconnections = 0

    def position(self) -> Position:
        return {"row": self.row, "stream": self.stream.state_dict()}

    def __iter__(self) -> Iterator[Record]:
        records = iter(self.stream)
        while True:
            before = retries().count
            try:
                record = next(records)
            except StopIteration:
                return
            except Exception as error:
                raise UserError(
                    f"source {self.settings.name}: reading {self.settings.dataset} failed ({first_line(error)}); run "
                    "the same command again: it goes on behind the last finished shard"
                ) from error
            self.reconnections += retries().count - before
            self.row += 1
            yield Row(f"source {self.settings.name}: row {self.row} of {self.settings.dataset}", record)


def pin_revision(settings: SourceSettings) -> SourceSettings:
    """Return the settings with the commit of a Hub data set that its revision means today; others as they are.

    So the record says what was read, and a build that is taken up tomorrow reads the same. Raises UserError when the
    Hub does not know the data set or cannot be reached.
    """
    if settings.dataset is None or Path(settings.dataset).is_dir():
        return settings
    import huggingface_hub

    try:
        found = huggingface_hub.HfApi().dataset_info(settings.dataset, revision=settings.revision)
    except Exception as error:
        raise _unopened(settings, error) from error
    return dataclasses.replace(settings, revision=found.sha)


def _unopened(settings: SourceSettings, error: Exception) -> UserError:
    return UserError(
        f"source {settings.name}: cannot open the data set {settings.dataset!r} ({first_line(error)}); check "
        "its name, subset, split and revision, the network, HF_ENDPOINT, and HF_TOKEN if it is gated"
    )
