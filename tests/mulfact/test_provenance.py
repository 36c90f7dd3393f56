"""Stage outputs: atomic, with provenance, and refused as input when they were cut short."""

import dataclasses
import json
import os
import sys
from pathlib import Path

import pytest

from mulfact.errors import UserError
from mulfact.finished import Hashes, current_hash
from mulfact.provenance import COURSE, gpu_names, hash_file, input_hash, read_provenance, stage_output


@dataclasses.dataclass
class Recipe:
    seed: int = 3
    output_dir: str = "somewhere"


def write_stage(folder: Path, text: str, inputs: tuple[Path, ...] = ()) -> None:
    with stage_output(folder, Recipe(), inputs) as partial:
        (partial / "data.txt").write_text(text)


def test_a_finished_stage_has_its_files_and_their_provenance(tmp_path: Path) -> None:
    write_stage(tmp_path / "corpus", "text")
    write_stage(tmp_path / "tokens", "ids", (tmp_path / "corpus",))
    record = read_provenance(tmp_path / "tokens")
    assert record["recipe"] == {"seed": 3, "output_dir": "somewhere"}
    assert record["seed"] == 3
    assert record["stage"] == "tokens"
    assert record["outputs"]["data.txt"]["bytes"] == 3
    assert record["inputs"] == {str(tmp_path / "corpus"): input_hash(tmp_path / "corpus")}
    assert {"torch", "transformers", "trl", "tokenizers"} <= record["packages"].keys()
    assert record["hardware"]["cores"] >= 1


def test_the_protocol_is_recorded_as_it_was_when_the_stage_ran(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recorded() -> str | None:
        write_stage(tmp_path / "corpus", "text")
        return read_provenance(tmp_path / "corpus")["protocol_sha256"]

    assert recorded() == hash_file(repository / "docs/protocol.md")
    protocol = tmp_path / "protocol.md"
    monkeypatch.setattr("mulfact.provenance.PROTOCOL", protocol)
    assert recorded() is None
    protocol.write_text("the analysis")
    first, content = recorded(), input_hash(tmp_path / "corpus")
    protocol.write_text("another analysis")
    assert first != recorded() == hash_file(protocol)
    assert input_hash(tmp_path / "corpus") == content  # what hangs on the stage does not run again


def test_the_gpus_are_named_where_torch_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver in its place, with two GPUs; `--id 1` asks it for the second one."""
    driver = tmp_path / "nvidia-smi"
    driver.write_text(
        '#!/bin/sh\ncase "$*" in *"--id 1"*) ;; *) echo NVIDIA A100 ;; esac\necho NVIDIA H100 80GB HBM3\n'
    )
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert gpu_names() == ["NVIDIA A100", "NVIDIA H100 80GB HBM3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert gpu_names() == ["NVIDIA H100 80GB HBM3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu_names() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    driver.write_text("#!/bin/sh\necho no driver\nexit 9\n")
    assert gpu_names() == []


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_what_is_published_has_the_rights_that_the_umask_gives(tmp_path: Path, umask: int, expected: int) -> None:
    before = os.umask(umask)
    try:
        with stage_output(tmp_path / "final", {}) as folder:
            (folder / "deep").mkdir()
            for name in ("model.safetensors", "deep/part.safetensors", "script.sh", "read_only.json"):
                (folder / name).touch()
            (folder / "model.safetensors").chmod(0o600)  # as safetensors leaves it
            (folder / "deep" / "part.safetensors").chmod(0o600)
            (folder / "read_only.json").chmod(0o444)
            (folder / "script.sh").chmod(0o700)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "final").rglob("*") if path.is_file()}
    assert modes.pop("script.sh") == expected | 0o100
    assert set(modes.values()) == {expected}


def test_a_stage_that_fails_leaves_what_was_there_before(tmp_path: Path) -> None:
    write_stage(tmp_path / "corpus", "first")
    with pytest.raises(RuntimeError, match="cut off"), stage_output(tmp_path / "corpus", Recipe()) as partial:
        (partial / "data.txt").write_text("half")
        raise RuntimeError("cut off")
    assert (tmp_path / "corpus/data.txt").read_text() == "first"
    write_stage(tmp_path / "corpus", "second")
    assert (tmp_path / "corpus/data.txt").read_text() == "second"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus"]


def test_the_same_content_has_the_same_hash_and_other_content_another(tmp_path: Path) -> None:
    for name, text in (("a", "same"), ("b", "same"), ("c", "other")):
        write_stage(tmp_path / name, text)
    assert input_hash(tmp_path / "a") == input_hash(tmp_path / "b") != input_hash(tmp_path / "c")


def test_hidden_files_of_a_plain_folder_are_not_data(tmp_path: Path) -> None:
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k/train.jsonl").write_text("{}\n")
    before = (input_hash(tmp_path / "gsm8k"), current_hash(tmp_path / "gsm8k", Hashes()))
    (tmp_path / "gsm8k/.DS_Store").write_bytes(b"where its window stood")
    (tmp_path / "gsm8k/.git").mkdir()
    (tmp_path / "gsm8k/.git/config").write_text("[core]\n")
    assert (input_hash(tmp_path / "gsm8k"), current_hash(tmp_path / "gsm8k", Hashes())) == before
    assert before[0] == before[1]
    (tmp_path / "gsm8k/test.jsonl").write_text("{}\n")
    assert input_hash(tmp_path / "gsm8k") != before[0]


def test_a_model_made_again_is_the_same_whatever_its_training_says_of_times(tmp_path: Path) -> None:
    """Else what stands on it would be trained again, or ask whether it may be."""

    def made(name: str, weights: str, seconds: str) -> str:
        with stage_output(tmp_path / name, {"seed": 0}, descriptions=COURSE) as folder:
            (folder / "completions").mkdir()
            (folder / "model.safetensors").write_text(weights)
            for path in ("trainer_state.json", "training_summary.json", "completions/completions_00001.parquet"):
                (folder / path).write_text(seconds)
        return input_hash(tmp_path / name)

    assert made("first", "a", "3.1") == made("again", "a", "2.9") != made("other", "b", "3.1")


def test_inputs_that_are_missing_or_cut_short_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is missing"):
        write_stage(tmp_path / "tokens", "ids", (tmp_path / "corpus",))
    write_stage(tmp_path / "corpus", "text")
    (tmp_path / "corpus/data.txt").write_text("te")
    with pytest.raises(UserError, match="has 2 bytes, provenance.json says 4"):
        write_stage(tmp_path / "tokens", "ids", (tmp_path / "corpus",))
    with pytest.raises(UserError, match="has not finished"):
        read_provenance(tmp_path / "tokens")


def test_no_secret_of_the_environment_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret_of_this_test")
    write_stage(tmp_path / "corpus", "text")
    assert "hf_secret_of_this_test" not in json.dumps(read_provenance(tmp_path / "corpus"))
