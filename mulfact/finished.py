"""What is finished: a stage whose record names its recipe and its inputs, and whose files are whole.

    why_not(Path("outputs/smoke/corpus"), recipe, Hashes(Path("outputs/smoke/.hashes.json")))     # "": it is finished

One rule for every stage. Where an experiment lies makes no difference, so a copy is as finished as its original, and
neither does the age of a file: a time stamp only saves reading a file whose hash is known.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mulfact.errors import UserError
from mulfact.provenance import PROVENANCE, content_hash, files_of, hash_file, hash_json, read_provenance, write_json

SHOWN_KEYS = 4


class Hashes:
    """SHA-256 of files, kept by path, size and time stamp in the file `kept`, so that each is read once."""

    def __init__(self, kept: Path | None = None) -> None:
        self.kept = kept
        self.known: dict[str, list[Any]] = {}
        self.new = False
        if kept is not None and kept.is_file():
            try:
                self.known = dict(json.loads(kept.read_text(encoding="utf-8")))
            except ValueError:  # it only saves time
                self.known = {}

    def of(self, path: Path) -> str:
        """Return the hash of a file, or of the files of a folder that no stage wrote."""
        if path.is_dir():
            return hash_json({one.relative_to(path).as_posix(): self.of(one) for one in files_of(path)})
        stat = path.stat()
        key, mark = self._key(path), [stat.st_size, stat.st_mtime_ns]
        if self.known.get(key, [])[:2] != mark:
            self.known[key] = [*mark, hash_file(path)]
            self.new = True
        return str(self.known[key][2])

    def _key(self, path: Path) -> str:
        """Return the path as seen from the folder of `kept`: it is copied with an experiment."""
        root = self.kept.parent if self.kept is not None else None
        return path.relative_to(root).as_posix() if root in path.parents and root is not None else str(path.absolute())

    def save(self) -> None:
        """Write what was learned, where it can be written."""
        if self.kept is not None and self.new:
            try:
                write_json(self.kept, self.known)
            except OSError:  # a folder of someone else's
                return
            self.new = False


@dataclass
class Findings:
    """What keeps a stage from being finished; all empty when it is."""

    missing: bool = False
    changed: list[str] = field(default_factory=list)  # keys of its recipe
    inputs: list[str] = field(default_factory=list)  # that are not as they were
    broken: list[str] = field(default_factory=list)  # files that are cut short, edited or gone
    waiting: list[str] = field(default_factory=list)  # inputs that are made first: they may come out as they were
    seconds: float | None = None  # what it has taken

    @property
    def finished(self) -> bool:
        return not (self.missing or self.changed or self.inputs or self.broken or self.waiting)

    def __str__(self) -> str:
        """Return the reason in words, the most telling one; an empty text when there is none."""
        if self.missing:
            return "not made yet"
        if self.changed:
            rest = f" and {len(self.changed) - SHOWN_KEYS} more" if len(self.changed) > SHOWN_KEYS else ""
            return f"changed: {', '.join(self.changed[:SHOWN_KEYS])}{rest}"
        for names, said in (
            (self.broken, "cut short or edited"), (self.inputs, "made from another"), (self.waiting, "waits for"),
        ):  # fmt: skip
            if names:
                return f"{said}: {', '.join(dict.fromkeys(Path(name).name for name in names))}"
        return ""


def why_not(output_dir: Path, recipe: Mapping[str, Any], hashes: Hashes, free: Collection[str] = ()) -> str:
    """Return why a stage's folder is not the finished product of `recipe`; an empty text when it is."""
    return str(examine(output_dir, recipe, hashes, free))


def examine(
    output_dir: Path,
    recipe: Mapping[str, Any],
    hashes: Hashes,
    free: Collection[str] = (),
    waiting: Collection[str] = (),
) -> Findings:
    """Hold a stage's folder against its recipe, of which the keys in `free` change nothing that is made.

    `waiting` are the folders that will be made before it.
    """
    if not (output_dir / PROVENANCE).is_file():
        return Findings(missing=True)
    try:
        record = read_provenance(output_dir)
        then, now = record["recipe"], json.loads(json.dumps(recipe))
        move = Move(str(then.get("output_dir") or output_dir), str(now.get("output_dir") or output_dir))
        found = Findings(
            changed=[key for key in changed_keys(move.there(then), now) if not is_free(key, free)],
            broken=broken_files(output_dir, record, hashes),
            seconds=record.get("seconds"),
        )
        for path, recorded in record["inputs"].items():
            place = Path(move.there(path))
            if str(place) in waiting:
                found.waiting.append(str(place))
            elif not place.exists() or current_hash(place, hashes) != recorded:
                found.inputs.append(str(place))
    except (UserError, KeyError, TypeError, AttributeError):  # a record that was edited proves nothing
        return Findings(broken=[PROVENANCE])
    return found


def is_free(key: str, free: Collection[str]) -> bool:
    """Return whether a key of a recipe, or the section above it, is in `free` or says where its stage writes."""
    return any(f"{key}.".startswith(f"{name}.") for name in ("output_dir", "checkpoint_dir", *free))


def current_hash(path: Path, hashes: Hashes) -> str:
    """Return what `input_hash` does, each file read once."""
    return content_hash(read_provenance(path)) if (path / PROVENANCE).is_file() else hashes.of(path)


def broken_files(folder: Path, record: Mapping[str, Any], hashes: Hashes) -> list[str]:
    """Return the files of a finished stage that are not as its record says."""
    broken = []
    for name, recorded in record["outputs"].items():
        path = folder / name
        same = path.is_file() and path.stat().st_size == recorded["bytes"]
        if same and path.stat().st_mtime_ns != recorded.get("modified_ns"):
            same = hashes.of(path) == recorded["sha256"]
        if not same:
            broken.append(name)
    return broken


class Move:
    """Where an experiment has gone since: outputs/smoke/corpus is elsewhere/smoke/corpus now."""

    def __init__(self, then: str, now: str) -> None:
        old, new = list(PurePosixPath(then).parts), list(PurePosixPath(now).parts)
        tail = ""
        while old and new and old[-1] == new[-1]:
            tail = old.pop()
            new.pop()
        self.new = PurePosixPath(*new)
        self.old = PurePosixPath(*old) if old else None
        self.first = tail  # the folder in which all paths lie that had nothing before it
        self.moved = old != new

    def there(self, value: Any) -> Any:
        """Return a value of a record, with the paths in it as they are now."""
        if isinstance(value, dict):
            return {key: self.there(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.there(one) for one in value]
        if not (isinstance(value, str) and self.moved):
            return value
        if self.old is None:
            return str(self.new / value) if value.startswith(f"{self.first}/") else value
        if value.startswith(f"{str(self.old).rstrip('/')}/"):
            return str(self.new / value.removeprefix(f"{str(self.old).rstrip('/')}/"))
        return value


def changed_keys(old: Any, new: Any, key: str = "") -> list[str]:
    """Return the keys, with those of their sections before them, whose values differ between two flat recipes."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [key]
    below = [changed_keys(old.get(name), new.get(name), f"{key}.{name}".strip(".")) for name in {**old, **new}]
    return [changed for keys in below for changed in keys]
