"""The cards of the benchmarks and of the post-training sets, told from their manifests.

describe_benchmarks(folder, manifest)       # writes README.md: the folder is then what load_dataset reads
describe_posttrain(folder, manifest)
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mulfact.data_builders.storage.card import write_card

# Of the published sets, as their authors state it; what the generator and the probes make is under this project's own.
LICENSES: dict[str, str | None] = {
    "gsm8k": "mit",
    "svamp": "mit",
    "multiarith": None,
    "asdiv": "cc-by-nc-4.0",
    "math": "mit",
    "rg": "apache-2.0",  # reasoning-gym, tasks rg_...
    "TinyGSM/TinyGSM": "mit",
}
OWN_LICENSE = "mit"
SPLITS = (("sft", "train"), ("sft", "validation"), ("grpo", "train"), ("grpo", "validation"))
BENCHMARKS = """What the checkpoints are evaluated on: each row a `prompt` with its gold `answer`, the published
`solution`, and the `operands` of the one fact that it asks for, where there are any. No item of it is in a training
set; the manifests of the corpus and of the post-training sets hold the reports."""
POSTTRAIN = """Rows for supervised fine-tuning (`prompt`, `completion`) and prompts for GRPO (`prompt`, `answer`,
`source`): raw text, the same bytes for every arm of the experiment."""


def describe_benchmarks(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the card of a benchmarks folder whose files are there."""
    entries = manifest["benchmarks"]
    licenses: dict[str, str | None] = {}
    for name, entry in entries.items():
        own = entry["source"] in ("synthetic", "generated")
        licenses["generated" if own else name] = OWN_LICENSE if own else LICENSES.get(name.split("_")[0])
    write_card(
        folder,
        title="mulfact benchmarks",
        description=BENCHMARKS,
        configs={name: {"test": f"{name}.jsonl"} for name, entry in entries.items() if entry["items"]},
        counts=[
            {"config": name, "family": entry["family"], "items": entry["items"], "content": entry["description"]}
            for name, entry in entries.items()
        ],
        licenses=licenses,
        built_with="data_builders/benchmarks.py",
    )


def describe_posttrain(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the card of a post-training folder whose files are there."""
    rows = {(name, split): manifest["rows"][f"{name}/{split}"]["rows"] for name, split in SPLITS}
    real = manifest["source"] != "synthetic"
    licenses = {"GSM8K": LICENSES["gsm8k"]} if real else {}
    if not real or manifest["added_synthetic"]:
        licenses["synthetic"] = OWN_LICENSE
    further = [str(entry["source"]) for entry in manifest["extra_sets"]]
    # A path says nothing to a reader elsewhere.
    extra = {Path(name).name if Path(name).is_dir() else name: LICENSES.get(name) for name in further}
    write_card(
        folder,
        title="mulfact post-training sets",
        description=POSTTRAIN,
        configs={
            name: {split: f"{name}/{split}.jsonl" for set_, split in SPLITS if set_ == name and rows[name, split]}
            for name in ("sft", "grpo")
        },
        counts=[{"config": name, "split": split, "rows": rows[name, split]} for name, split in SPLITS],
        licenses={**licenses, **extra},
        built_with="data_builders/posttrain.py",
    )
