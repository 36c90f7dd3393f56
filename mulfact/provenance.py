"""Where an output came from, and how it is written so that a killed run never leaves half of it.

    with stage_output(arguments.output_dir, arguments, inputs=[arguments.corpus]) as folder:
        (folder / "manifest.json").write_text(...)

The stage writes into `<output_dir>.partial`; on a clean exit provenance.json is added and the folder takes its
final name in one rename. After an exception nothing carries the final name, and the partial folder is removed by the
next try.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mulfact.errors import UserError

PACKAGES = (
    "mulfact", "torch", "transformers", "tokenizers", "trl", "accelerate", "peft", "datasets", "huggingface_hub",
    "lighteval", "liger-kernel", "deepspeed", "omegaconf", "numpy", "scipy", "statsmodels",
)  # fmt: skip
PROVENANCE = "provenance.json"
COUNTS = ("README.md", "manifest.json")  # what describes data and is not read for them
LAUNCH = "launch.json"  # of SFT and GRPO: how many processes shared the steps
# What a training says of its course, with times and memory: no two are alike, and the model may be the same.
COURSE = (
    "README.md",
    "training_summary.json",
    "metrics.jsonl",
    "trainer_state.json",
    "peak_memory.json",
    LAUNCH,
    "completions/*",
)
PROTOCOL = Path(__file__).resolve().parents[1] / "docs" / "protocol.md"  # in a checkout


@contextmanager
def stage_output(
    output_dir: str | Path,
    recipe: Any,
    inputs: Iterable[str | Path] = (),
    started: float | None = None,
    seconds: float | None = None,
    descriptions: Iterable[str] = ("README.md",),
) -> Iterator[Path]:
    """Yield an empty folder that becomes `output_dir`, with its provenance, when the block ends without an exception.

    `recipe` is the stage's dataclass or mapping; `inputs` are files or the folders of earlier stages; `started` is the
    Unix time at which the stage's work began, if it was before this call, and `seconds` what the work took, if that is
    not the time since then. `descriptions` are the files, by name or pattern, that later stages do not learn from: when
    they alone come out another way, what was made from the folder stands.
    Raises UserError when an input is missing or cut short.
    """
    final = Path(output_dir)
    partial = final.with_name(final.name + ".partial")
    input_hashes = {str(path): input_hash(path) for path in inputs}
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    started = started or time.time()
    yield partial
    write_provenance(partial, recipe, input_hashes, started, seconds, descriptions)
    publish(partial, final)


def write_provenance(
    folder: Path,
    recipe: Any,
    input_hashes: dict[str, str],
    started: float,
    seconds: float | None = None,
    descriptions: Iterable[str] = (),
) -> None:
    """Write provenance.json into `folder`: code, versions, hardware, recipe, inputs, and a hash of every file in it.

    A file's time stamp stands beside its hash: as long as both it and the size are the same, so is the content.

    The hash of the protocol tells `compare` whether the analysis was fixed before the stage ran; None where the package
    does not lie in a checkout.
    """
    recipe = dataclasses.asdict(recipe) if dataclasses.is_dataclass(recipe) and not isinstance(recipe, type) else recipe
    record = {
        "stage": folder.name.removesuffix(".partial"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "git": git_state(),
        "protocol_sha256": hash_file(PROTOCOL) if PROTOCOL.is_file() else None,
        "python": platform.python_version(),
        "packages": package_versions(),
        "hardware": hardware(),
        "seed": recipe.get("seed"),
        "recipe": recipe,
        "recipe_sha256": hash_json(recipe),
        "inputs": input_hashes,
        "outputs": {
            path.relative_to(folder).as_posix(): {
                "bytes": path.stat().st_size,
                "modified_ns": path.stat().st_mtime_ns,
                "sha256": hash_file(path),
            }
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != PROVENANCE
        },
        "descriptions": sorted(descriptions),
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - started if seconds is None else seconds, 3),
    }
    write_json(folder / PROVENANCE, record)


def publish(partial: Path, final: Path) -> None:
    """Give a finished folder its final name, for all whom the umask lets read it; what stood there is replaced."""
    readable = partial.stat().st_mode & 0o666  # what the umask left; safetensors' files are their owner's alone
    for path in partial.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o111 | readable)
    previous = final.with_name(final.name + ".previous")
    shutil.rmtree(previous, ignore_errors=True)
    if final.exists():
        final.rename(previous)
    partial.rename(final)
    shutil.rmtree(previous, ignore_errors=True)


def read_provenance(folder: str | Path) -> dict[str, Any]:
    """Return provenance.json of a finished stage. Raises UserError when the stage has not finished."""
    path = Path(folder) / PROVENANCE
    if not path.is_file():
        raise UserError(
            f"{folder} has no {PROVENANCE}: the stage that writes it has not finished; run make for it first"
        )
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}): delete {folder} and run its stage again") from error
    return record


def input_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file, or of the recorded outputs of a finished stage, or of a plain folder's files.

    Hidden files of a plain folder, such as .DS_Store, are nobody's data.
    Raises UserError when the path is missing, or when a stage's file has another size than its provenance says.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} is missing: run the stage that writes it, or correct the path in the recipe")
    if path.is_file():
        return hash_file(path)
    if (path / PROVENANCE).is_file():
        record = read_provenance(path)
        for name, recorded in record["outputs"].items():
            found = (path / name).stat().st_size if (path / name).is_file() else 0
            if found != recorded["bytes"]:
                raise UserError(
                    f"{path / name} has {found} bytes, {PROVENANCE} says {recorded['bytes']}: it was cut short "
                    f"or edited; delete {path} and run its stage again"
                )
        return content_hash(record)
    return hash_json({p.relative_to(path).as_posix(): hash_file(p) for p in files_of(path)})


def files_of(folder: Path) -> list[Path]:
    """Return the files of a plain folder and of those below it, hidden ones left out."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def content_hash(record: dict[str, Any]) -> str:
    """Return the hash of what later stages read of a finished folder, by its record: of all but its descriptions."""
    described = record.get("descriptions", ())
    outputs = record["outputs"].items()
    return hash_json(
        {name: one["sha256"] for name, one in outputs if not any(fnmatch(name, part) for part in described)}
    )


def git_state() -> dict[str, Any]:
    """Return the commit and whether the work tree differs from it.

    None and None where this package is not at home in a work tree of its own: installed, or unpacked inside of another.
    """
    root = Path(__file__).resolve().parents[1]

    def git(*arguments: str) -> str | None:
        result = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
        return result.stdout.strip() if result.returncode == 0 else None

    try:
        top = git("rev-parse", "--show-toplevel")
        if top is None or Path(top).resolve() != root:
            return {"commit": None, "dirty": None}
        status = git("status", "--porcelain", "--untracked-files=no")
        return {"commit": git("rev-parse", "HEAD"), "dirty": None if status is None else bool(status)}
    except FileNotFoundError:
        return {"commit": None, "dirty": None}


def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages that can change a number."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def hardware(gpus: list[str] | None = None) -> dict[str, Any]:
    """Return the processor, its cores, the memory in bytes, and the names of the GPUs that this process may use.

    Given `gpus`, it does not ask for them.
    """
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = models[0] if models else processor
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"processor": processor, "cores": os.cpu_count(), "memory_bytes": memory,
            "gpus": gpu_names() if gpus is None else gpus}  # fmt: skip


def gpu_names() -> list[str]:
    """Return the GPUs that torch sees, or the driver where torch is not loaded: importing it takes seconds."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return query_gpus("name")


def query_gpus(field: str) -> list[str]:
    """Return what NVIDIA's driver says of each GPU that this process may use; nothing where there is no driver."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible == "" or shutil.which("nvidia-smi") is None:
        return []
    chosen = ["--id", visible] if visible else []
    listed = subprocess.run(
        ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader,nounits", *chosen],
        capture_output=True,
        text=True,
        check=False,
    )
    return listed.stdout.splitlines() if listed.returncode == 0 else []


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON, atomically."""
    temporary = path.with_name(path.name + ".partial")
    temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    temporary.replace(path)
