"""The folder that is uploaded: chosen files of an experiment, without anything that is only true on this machine.

    stage_files(repository, target, outputs=Path("outputs"))    # links, and rewritten copies of what holds paths
    check_public(repository, target, secrets=[token], roots=[Path.cwd()])    # the last look before anything is sent

Large files are links to the originals, so that staging costs no space. What is written is a function of the experiment
alone, so that a second push finds nothing new.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from mulfact.errors import UserError
from mulfact.provenance import PROVENANCE, hash_file, write_json
from mulfact.release.repositories import Repository, Source

# Weights in a form that runs code when it is read, and the state of a training that was not published.
UNSAFE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npy", ".npz", ".msgpack", ".h5")
TRAINING_STATE = re.compile(r"^(checkpoint-\d+|step-\d+|optimizer\..*|scheduler\..*|random_states.*)$")
# Records that may name paths. Data and vocabularies are left alone: "/a/b" is text there.
REWRITTEN = (".json", ".md", ".html")
VERBATIM = ("tokenizer.json", "facts.json")
# A path from the root of the file system, where a path can begin: not inside a word, a URL or an embedded picture.
ABSOLUTE_PATH = re.compile(r"""(?<![^\s"'`=(\[,:;>|])(?<!base64,)/[A-Za-z_.][\w.@+%~-]*(?:/[\w.@+%~=-]+)+/?""")


def stage_files(repository: Repository, target: Path, outputs: Path) -> None:
    """Fill the new folder `target` with what `repository` will hold; `outputs` is the folder of all experiments.

    Raises UserError for a stage that is not finished, and for one whose folder holds pickles or training state.
    """
    for source in repository.sources:
        check_folder(source.folder)
        staged = [link_file(source, path, target) for path in chosen_files(source)]
        if not staged:
            raise UserError(f"{source.folder} holds none of {', '.join(source.patterns)}: run make for it first")
        for path in staged:
            if path.suffix in REWRITTEN and path.name not in VERBATIM:
                rewrite(path, outputs)
        if (target / source.prefix / PROVENANCE).is_file():
            restate_outputs(target / source.prefix)


def check_folder(folder: Path) -> None:
    """Raise UserError when a folder that is to be published holds a pickle or the state of a training."""
    for path in sorted(folder.glob("*")):
        if path.suffix in UNSAFE_SUFFIXES or TRAINING_STATE.match(path.name):
            raise UserError(
                f"{path} may not lie in a folder that is pushed: only safetensors are published, and no training "
                "state; remove it, or run the stage again"
            )


def chosen_files(source: Source) -> list[Path]:
    """Return the files that the patterns name, in a fixed order."""
    return sorted({path for pattern in source.patterns for path in source.folder.glob(pattern) if path.is_file()})


def link_file(source: Source, path: Path, target: Path) -> Path:
    link = target / source.prefix / path.relative_to(source.folder)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(path.resolve())
    return link


def rewrite(link: Path, outputs: Path) -> None:
    """Put a copy without local paths in the place of a link, if that differs from the original."""
    original = link.read_text(encoding="utf-8")
    public = public_text(original, outputs)
    if public != original:
        link.unlink()
        link.write_text(public, encoding="utf-8")


def public_text(text: str, outputs: Path) -> str:
    """Return `text` with absolute paths made relative: below `outputs`, below the checkout, else the name alone."""
    roots = [(outputs.absolute(), "outputs"), (outputs.resolve(), "outputs"), (Path.cwd(), ".")]

    def shorten(match: re.Match[str]) -> str:
        path = Path(match.group())
        for root, name in roots:
            if path.is_relative_to(root):
                return (Path(name) / path.relative_to(root)).as_posix()
        return f"(local)/{path.name}"

    return ABSOLUTE_PATH.sub(shorten, text)


def restate_outputs(folder: Path) -> None:
    """Make provenance.json speak of the files that are published with it, as they are published."""
    record = json.loads((folder / PROVENANCE).read_text())
    record["outputs"] = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": hash_file(folder / name)}
        for name in record["outputs"]
        if (folder / name).is_file()
    }
    (folder / PROVENANCE).unlink()
    write_json(folder / PROVENANCE, record)


def check_public(repository: Repository, folder: Path, secrets: Iterable[str], roots: Iterable[Path]) -> None:
    """Raise UserError when a text in the staged `folder` holds a secret, or a record one of the folders `roots`."""
    secrets, names = [secret for secret in secrets if secret], [str(root) for root in roots]
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.suffix not in (*REWRITTEN, ".jsonl"):
            continue
        text = path.read_text(encoding="utf-8")
        if any(secret in text for secret in secrets):
            raise UserError(
                f"{path.relative_to(folder)} of {repository.name} holds the Hub token: remove it there first"
            )
        found = [name for name in names if name in text]
        if found and path.suffix in REWRITTEN and path.name not in VERBATIM:
            raise UserError(f"{path.relative_to(folder)} of {repository.name} names the local folder {found[0]}")
