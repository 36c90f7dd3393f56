"""The folder that is uploaded: nothing that runs code, nothing that is only true on this machine, no secret."""

import json
from pathlib import Path

import pytest

from mulfact.errors import UserError
from mulfact.provenance import input_hash, stage_output, write_json
from mulfact.release.repositories import Repository, Source, checkpoint, plan
from mulfact.release.staging import check_public, public_text, stage_files

OUTPUTS = Path("/mnt/disk/outputs")


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ('{"a": "/mnt/disk/outputs/smoke/corpus"}', '{"a": "outputs/smoke/corpus"}'),
        ('{"source": "/data/sets/gsm8k"}', '{"source": "(local)/gsm8k"}'),
        ("--config=/home/someone/x.yaml /home/someone/y", "--config=(local)/x.yaml (local)/y"),
        ("<td>/data/sets/gsm8k</td>", "<td>(local)/gsm8k</td>"),
        ("`/root/.cache/huggingface/`", "`(local)/huggingface`"),
        ("outputs/smoke/corpus ../shared/data", "outputs/smoke/corpus ../shared/data"),
        ("https://huggingface.co/datasets/x/y", "https://huggingface.co/datasets/x/y"),
        ("60 miles/hour, 3/4 of it, and/or/not, 6 / x / 9", "60 miles/hour, 3/4 of it, and/or/not, 6 / x / 9"),
        ("data:image/png;base64,/9j/4AAQ/SkZJ", "data:image/png;base64,/9j/4AAQ/SkZJ"),
        ("</td></tr>", "</td></tr>"),
    ],
)
def test_paths_of_this_machine_become_relative(text: str, public: str) -> None:
    assert public_text(text, OUTPUTS) == public


def test_paths_below_the_checkout_become_relative() -> None:
    assert public_text(f'"{Path.cwd()}/docs/protocol.md"', OUTPUTS) == '"docs/protocol.md"'


def stage(folder: Path) -> Repository:
    """Write a checkpoint's folder and return its repository."""
    with stage_output(folder, {"seed": 0, "output_dir": str(folder)}) as partial:
        (partial / "model.safetensors").write_bytes(b"weights")
        (partial / "tokenizer.json").write_text('{"vocab": {"/usr/local/bin": 1}}')
        write_json(partial / "config.json", {"_name_or_path": "/data/models/gpt2"})
        write_json(partial / "notes.json", {"a": 1})
    shared_dir = folder.parents[2]
    return checkpoint(shared_dir, folder.parents[1].name, 0, "sft")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return stage(tmp_path / "outputs" / "smoke" / "mulfact" / "seed-0" / "sft_final")


def test_what_is_staged_is_chosen_and_true_of_itself(repository: Repository, tmp_path: Path) -> None:
    target = tmp_path / "staged"
    stage_files(repository, target, tmp_path / "outputs")
    names = {path.name for path in target.iterdir()}
    assert names == {"model.safetensors", "tokenizer.json", "config.json", "provenance.json"}, "notes.json is not named"
    assert (target / "model.safetensors").is_symlink(), "weights are not copied"
    assert json.loads((target / "tokenizer.json").read_text()) == {"vocab": {"/usr/local/bin": 1}}
    assert json.loads((target / "config.json").read_text()) == {"_name_or_path": "(local)/gpt2"}
    record = json.loads((target / "provenance.json").read_text())
    assert record["recipe"]["output_dir"] == "outputs/smoke/mulfact/seed-0/sft_final"
    assert record["outputs"].keys() == names - {"provenance.json"}
    assert input_hash(target), "sizes and hashes are those of the staged files"
    assert str(tmp_path) not in (target / "provenance.json").read_text()


@pytest.mark.parametrize(
    "name",
    ["pytorch_model.bin", "optimizer.pt", "training_args.bin", "random_states_0.pkl", "checkpoint-100"],
)
def test_pickles_and_training_state_are_refused(repository: Repository, tmp_path: Path, name: str) -> None:
    (repository.folder / name).mkdir()
    with pytest.raises(UserError, match="only safetensors are published"):
        stage_files(repository, tmp_path / "staged", tmp_path / "outputs")


def test_a_stage_that_is_not_there_is_named(tmp_path: Path) -> None:
    repository = Repository("x", "corpus", (Source(tmp_path / "corpus", ("*.parquet",)),))
    with pytest.raises(UserError, match=r"corpus holds none of \*\.parquet: run make"):
        stage_files(repository, tmp_path / "staged", tmp_path)


def test_the_last_look_finds_secrets_in_texts_and_folders_in_records(repository: Repository, tmp_path: Path) -> None:
    def look() -> None:
        check_public(repository, tmp_path / "main", ["hf_secret"], [Path("/home/someone")])

    (tmp_path / "main" / "sft").mkdir(parents=True)
    rows, manifest = tmp_path / "main" / "sft" / "train.jsonl", tmp_path / "main" / "manifest.json"
    rows.write_text('{"prompt": "what is in /home/someone?"}\n')
    look()  # a text may say what it likes
    manifest.write_text('{"file": "file:///home/someone/a"}')
    with pytest.raises(UserError, match=r"manifest\.json of .*-seed0-sft names the local folder /home/someone"):
        look()
    manifest.write_text("{}")
    rows.write_text('{"prompt": "hf_secret"}\n')
    with pytest.raises(UserError, match=r"train\.jsonl of .*-seed0-sft holds the Hub token"):
        look()


def test_names_say_what_a_repository_is() -> None:
    repositories = plan(Path("outputs/pilot"), ["baseline", "mulfact"], [0, 1], ["pretrain", "sft", "grpo"])
    names = [repository.name for repository in repositories]
    assert len(names) == len(set(names)) == 3 + 2 + 2 * 2 * 3 + 2
    assert "mulfact-pilot-mulfact-seed1-grpo" in names
    assert names[-2:] == ["mulfact-pilot-report", "mulfact-pilot-playground"]
    patterns = {pattern for repository in repositories for source in repository.sources for pattern in source.patterns}
    assert not any(pattern.endswith((".bin", ".pt", ".pkl", "*")) for pattern in patterns)
