"""The local files that a recipe's paths, folders and globs mean.

    python -c "from mulfact.data_builders.sources.finding import find_files; print(find_files(['data/corpus']))"

A path that exists is that file, brackets and all. Hidden files and folders (`.ipynb_checkpoints`, `._name`) are read
only where they are named.
"""

import glob
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from mulfact.errors import UserError
from mulfact.text_files import COMPRESSIONS

FORMATS = (".txt", ".jsonl", ".parquet")
EXPECTED = "a .txt, .jsonl or .parquet file (also .txt.gz, .jsonl.zst, ...)"


def find_files(patterns: Sequence[str]) -> list[Path]:
    """Return the files that the paths, folders and globs name, each one's sorted by name; a path that exists is itself.

    Raises UserError for a pattern that matches nothing, a file of another format that was named, a link to nothing,
    and a file that is named twice.
    """
    paths: list[Path] = []
    for pattern in patterns:
        found: dict[Path, None] = {}  # `folder/**` names a folder and its files
        for path in _expand(os.path.expanduser(pattern)):
            below = [file for file in files_below(path) if file_format(file) in FORMATS] if path.is_dir() else [path]
            found |= dict.fromkeys(below)
        if not found:
            raise UserError(f"{pattern} matches no file; expected {EXPECTED} (hidden ones are not looked for)")
        paths += found
    seen: dict[str, Path] = {}
    for path in paths:
        if file_format(path) not in FORMATS:
            raise UserError(f"{path}: cannot read this kind of file; expected {EXPECTED}")
        if not path.is_file():
            raise UserError(f"{path} is no file but a link to nothing or a device; remove it, or name another path")
        first = seen.setdefault(os.path.realpath(path), path)
        if first is not path:
            raise UserError(f"{path} is named twice" + ("" if first == path else f": {first} is the same file"))
    return paths


def files_below(folder: Path) -> list[Path]:
    """Return the files of a folder and of the folders below it, links followed, hidden ones left out, by name."""
    found, entered = [], set()

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be listed ({error.strerror}); correct its rights, or leave it out")

    for place, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        real = os.path.realpath(place)
        if real in entered:  # it was reached by a link, from below or from beside
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(found, key=_by_name)


def file_format(path: Path) -> str:
    """Return the suffix that says what a file holds, in small letters: `.jsonl` for a.JSONL.zst."""
    return (path.with_suffix("").suffix if path.suffix.lower() in COMPRESSIONS else path.suffix).lower()


def _expand(pattern: str) -> list[Path]:
    """Return the paths that a pattern names. As much of it as exists is taken as it is written, brackets and all."""
    base, rest = Path(pattern).anchor, [part for part in Path(pattern).parts if part != Path(pattern).anchor]
    while rest and (name := _existing(base or ".", rest[0])) is not None:
        base, rest = os.path.join(base, name), rest[1:]
    if not rest:
        return [Path(base)]
    for form in dict.fromkeys((os.path.join(*rest), *(_normal(os.path.join(*rest), form) for form in ("NFC", "NFD")))):
        if found := glob.glob(os.path.join(glob.escape(base), form), recursive=True):
            return sorted(map(Path, found), key=_by_name)
    return []


def _existing(folder: str, name: str) -> str | None:
    """Return how a folder spells a name that it holds: composed and decomposed letters are two names on Linux."""
    if os.path.lexists(os.path.join(folder, name)):
        return name
    if name.isascii() or not os.path.isdir(folder):
        return None
    return next((found for found in os.listdir(folder) if _normal(found, "NFC") == _normal(name, "NFC")), None)


def _by_name(path: Path) -> list[str]:
    return [_normal(part, "NFC") for part in path.parts]


def _normal(text: str, form: str) -> str:
    return unicodedata.normalize(form, text)  # type: ignore[arg-type]
