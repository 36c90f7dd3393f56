"""Where a long build keeps its finished shards until all are there.

work = WorkFolder(output_dir, key)      # <output_dir>.shards; what another recipe left there is removed
...                                     # write(work.path / name, ...), shard by shard, across interruptions
with stage_output(...) as folder:
    work.link_into(folder, names)
work.remove()
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mulfact
from mulfact.provenance import hash_file, hash_json, write_json

PACKAGE = Path(mulfact.__file__).parent


class WorkFolder:
    """`<output_dir>.shards`, kept only while `key` and the code that makes data are those that began it."""

    def __init__(self, output_dir: str | Path, key: Any) -> None:
        self.path = Path(f"{output_dir}.shards")
        self.build = hash_json([key, code_hash()])
        mark = self.path / f"{self.build}.key"
        if not mark.is_file():
            shutil.rmtree(self.path, ignore_errors=True)
            self.path.mkdir(parents=True)
            write_json(mark, key)

    def link_into(self, folder: Path, names: Iterable[str]) -> None:
        """Make the finished files appear in `folder` at no cost; they stay here until `remove`."""
        for name in names:
            link(self.path / name, folder / name)

    def take_up(self, folder: Path, names: Iterable[str]) -> None:
        """Make the files of a finished `folder` appear here as well, at no cost."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)
            link(folder / name, self.path / name)

    def remove(self) -> None:
        shutil.rmtree(self.path)


def link(source: Path, destination: Path) -> None:
    try:
        os.link(source, destination)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, destination)


def code_hash(package: Path = PACKAGE) -> str:
    """Return a hash of the modules that decide the bytes of data: half a build by other code is not taken up."""
    modules = [path for stage in ("data_builders", "tokenizers") for path in sorted((package / stage).rglob("*.py"))]
    modules += package.glob("text_files.py")  # reads the lines of every source
    return hash_json({path.relative_to(package).as_posix(): hash_file(path) for path in modules})
