"""A folder with its card is a data set for `load_dataset`, and says what it holds."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard

from mulfact.data_builders.storage.card import write_card
from mulfact.errors import UserError

CONFIGS = {"sft": {"train": "sft/train.jsonl", "validation": "sft/validation.jsonl"}, "grpo": {"train": "grpo/*.jsonl"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("sft/train", "sft/validation", "grpo/train"):
        path = tmp_path / "set" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"prompt": name}) + "\n")
    (tmp_path / "set" / "manifest.json").write_text("{}")
    return tmp_path / "set"


def card(folder: Path, licenses: dict[str, str | None]) -> None:
    counts = [{"set": "sft", "rows": 12345}, {"set": "grpo", "rows": 1}]
    write_card(folder, "a set", "What it is.", CONFIGS, counts, licenses, built_with="data_builders/posttrain.py")


def test_load_dataset_reads_every_config(folder: Path, tmp_path: Path) -> None:
    import datasets

    card(folder, {"GSM8K": "MIT"})
    loaded = datasets.load_dataset(str(folder), "sft", cache_dir=str(tmp_path / "cache"))
    assert {split: rows["prompt"] for split, rows in loaded.items()} == {
        "train": ["sft/train"],
        "validation": ["sft/validation"],
    }
    assert datasets.load_dataset(str(folder), "grpo", cache_dir=str(tmp_path / "cache"))["train"]["prompt"] == [
        "grpo/train"
    ]


def test_says_counts_licences_and_checksums(folder: Path) -> None:
    card(folder, {"GSM8K": "MIT"})
    read = DatasetCard.load(folder / "README.md")
    assert read.data.license == "mit"
    assert "| sft | 12,345 |" in read.text
    checksum = sha256((folder / "grpo" / "train.jsonl").read_bytes()).hexdigest()
    assert f"| grpo/train.jsonl | {checksum} |" in read.text
    card(folder, {"GSM8K": "MIT", "ASDiv": "CC-BY-NC-4.0", "web": None})
    read = DatasetCard.load(folder / "README.md")
    assert read.data.license == "other"
    assert "| ASDiv | CC-BY-NC-4.0 |" in read.text
    assert "| web | not stated |" in read.text


def test_a_split_without_files_is_an_error(folder: Path) -> None:
    (folder / "sft" / "validation.jsonl").unlink()
    with pytest.raises(UserError, match=r"has no sft/validation\.jsonl for the split 'validation'"):
        card(folder, {"GSM8K": "MIT"})
