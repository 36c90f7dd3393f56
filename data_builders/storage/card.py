"""The card of a set: what a reader, and `load_dataset`, must know about the folder that holds it.

    write_card(folder, "mulfact benchmarks", "Held-out ...", configs={"svamp": {"test": "svamp.jsonl"}},
               counts=[{"config": "svamp", "items": 1000}], licenses={"SVAMP": "mit"},
               built_with="data_builders/benchmarks.py")

With it the folder is what `datasets.load_dataset(folder)` reads, and what `hf upload --repo-type dataset` takes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mulfact.errors import UserError
from mulfact.provenance import hash_file

TEMPLATES = Path(__file__).resolve().parent / "templates"


def write_card(
    folder: Path,
    title: str,
    description: str,
    configs: Mapping[str, Mapping[str, str]],
    counts: Sequence[Mapping[str, Any]],
    licenses: Mapping[str, str | None],
    built_with: str,
) -> None:
    """Write README.md into a folder whose data files are there.

    `configs` is {config: {split: file or glob}}, `counts` the rows of a table, `licenses` {source: licence, None when
    it is not known}. Raises UserError when a split has no file.
    """
    from huggingface_hub import DatasetCardData

    files = {}
    for splits in configs.values():
        for split, pattern in splits.items():
            found = sorted(folder.glob(pattern))
            if not found:
                raise UserError(
                    f"{folder} has no {pattern} for the split {split!r}: the set is empty; check its recipe"
                )
            files.update({path.relative_to(folder).as_posix(): path for path in found})
    known = {str(name).lower() for name in licenses.values()}
    data = DatasetCardData(
        pretty_name=title,
        license=known.pop() if len(known) == 1 and "none" not in known else "other",
        configs=[
            {
                "config_name": config,
                "data_files": [{"split": split, "path": pattern} for split, pattern in splits.items()],
                **({"default": True} if index == 0 else {}),
            }
            for index, (config, splits) in enumerate(configs.items())
        ],
    )
    checksums = [{"file": name, "sha256": hash_file(path)} for name, path in sorted(files.items())]
    sources = [{"source": name, "licence": licence or "not stated"} for name, licence in licenses.items()]
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.get_template("set.md.j2").render(
        metadata=data.to_yaml(),
        title=title,
        description=description,
        first_config=next(iter(configs)),
        counts=counts,
        sources=sources,
        built_with=built_with,
        checksums=checksums,
    )
    (folder / "README.md").write_text(text.rstrip() + "\n")
