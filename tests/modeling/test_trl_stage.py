"""What stands around TRL's commands: stale folders, broken checkpoints, resume flags, the stage that is published."""

import json
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from mulfact.errors import UserError
from mulfact.locks import training_lock
from mulfact.modeling.posttraining.checkpoints import checkpoints
from mulfact.modeling.trl_stage import finish, prepare
from mulfact.provenance import read_provenance

EVALUATION = {"generation_size": {"cot": 40, "direct": 8}}


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, Any]:
    """The flat SFT recipe over a tiny model folder and data set."""
    model = tmp_path / "pretrain_final"
    model.mkdir()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=258, special_tokens=["<|endoftext|>", "<|pad|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([], trainer)
    tokenizer.save(str(model / "tokenizer.json"))
    (model / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>"}))
    (model / "config.json").write_text(json.dumps({"n_positions": 64, "vocab_size": 320}))
    sft = tmp_path / "posttrain" / "sft"
    sft.mkdir(parents=True)
    rows = [{"prompt": f"Question: What is {n}*2?\nAnswer:", "completion": f" #### {2 * n}"} for n in range(5)]
    for split in ("train", "validation"):
        (sft / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {
        "output_dir": str(tmp_path / "sft_training"),
        "model_name_or_path": str(model),
        "dataset_name": str(sft),
        "dataset_train_split": "train",
        "dataset_test_split": "validation",
        "max_length": 64,
        "max_steps": 4,
        "seed": 0,
    }


def write_checkpoint(recipe: dict[str, Any], step: int, complete: bool = True) -> Path:
    """Write what TRL's checkpoint holds; one that is not complete lacks what is written last."""
    folder = Path(recipe["output_dir"]) / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    save_file({"weights": np.full(4, step)}, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 0, "use_cache": True}))
    (folder / "training_args.bin").write_text("a pickle")
    with zipfile.ZipFile(folder / "optimizer.pt", "w") as archive:
        archive.writestr("data.pkl", "moments")
    if complete:
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return folder


def test_prepare_prints_nothing_for_a_fresh_start(recipe: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    prepare(recipe)
    assert capsys.readouterr().out == ""
    assert json.loads((Path(recipe["output_dir"]) / "lengths.json").read_text())


def test_prepare_resumes_the_newest_complete_checkpoint(
    recipe: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(recipe)
    write_checkpoint(recipe, 1)
    complete = write_checkpoint(recipe, 2)
    cut_short = write_checkpoint(recipe, 3, complete=False)
    prepare(recipe)
    printed = capsys.readouterr()
    assert printed.out == f"--resume_from_checkpoint {complete}\n"
    assert printed.err == f"{cut_short}: no readable trainer_state.json; going back to the checkpoint before it\n"
    assert not cut_short.exists()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda folder: cut(folder / "trainer_state.json"), "no readable trainer_state.json"),
        (lambda folder: (folder / "trainer_state.json").write_text("[]"), "no readable trainer_state.json"),
        (lambda folder: (folder / "trainer_state.json").write_text('{"global_step": 2}'), "json is of step 2"),
        (lambda folder: (folder / "model.safetensors").unlink(), "neither model.safetensors nor adapter_model"),
        (lambda folder: cut(folder / "model.safetensors"), "model.safetensors cannot be read"),
        (lambda folder: cut(folder / "optimizer.pt"), "optimizer.pt was cut short"),
    ],
)
def test_a_broken_checkpoint_gives_way_to_the_one_before_it_or_to_a_new_start(
    recipe: dict[str, Any], damage: Callable[[Path], None], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(recipe)
    whole = write_checkpoint(recipe, 1)
    damage(write_checkpoint(recipe, 3))
    prepare(recipe)
    printed = capsys.readouterr()
    assert printed.out == f"--resume_from_checkpoint {whole}\n"
    assert len(printed.err.splitlines()) == 1
    assert fault in printed.err
    shutil.rmtree(whole)
    damage(write_checkpoint(recipe, 3))
    prepare(recipe)
    assert capsys.readouterr().out == ""
    assert checkpoints(Path(recipe["output_dir"])) == []


def test_a_training_that_was_killed_after_its_last_step_is_published_without_another_one(
    recipe: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(recipe)
    write_checkpoint(recipe, 4)  # and nothing in the folder itself, where TRL saves once more
    prepare(recipe)
    assert capsys.readouterr().out == "finished\n"
    finish(recipe, EVALUATION, tmp_path / "sft_final")
    assert (load_file(tmp_path / "sft_final" / "model.safetensors")["weights"] == 4).all()
    assert json.loads((tmp_path / "sft_final" / "trainer_state.json").read_text())["global_step"] == 4


def test_a_step_beyond_the_last_one_is_not_gone_on_from(
    recipe: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(recipe)
    beyond = write_checkpoint(recipe, 5)
    prepare(recipe)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "the recipe ends at step 4" in printed.err
    assert not beyond.exists()


@pytest.mark.parametrize("change", ["recipe", "data"])
def test_checkpoints_of_another_recipe_or_other_data_are_set_aside_not_lost(
    recipe: dict[str, Any], change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    training_dir = Path(recipe["output_dir"])
    for number in (1, 2):
        prepare(recipe)
        write_checkpoint(recipe, 2)
        if change == "recipe":
            recipe |= {"learning_rate": 0.5 + number, "warmup_steps": number}
            differing = "learning_rate, warmup_steps differ"
        else:
            with (Path(recipe["dataset_name"]) / "train.jsonl").open("a") as file:
                file.write(json.dumps({"prompt": "Question: 1?\nAnswer:", "completion": " #### 1"}) + "\n")
            differing = f"files of {Path(recipe['dataset_name']).parent} differ"
        capsys.readouterr()
        prepare(recipe)
        printed = capsys.readouterr()
        assert printed.out == ""
        assert f"{training_dir} holds checkpoints of another run ({differing})" in printed.err
        assert checkpoints(training_dir) == []
        assert (training_dir.with_name(f"sft_training.set-aside-{number}") / "checkpoint-2").is_dir()


def test_a_folder_of_another_recipe_without_a_checkpoint_just_gives_way(
    recipe: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(recipe)
    (Path(recipe["output_dir"]) / "training_time.json").write_text('{"seconds": 7}')
    prepare(recipe | {"learning_rate": 0.5})
    assert capsys.readouterr().err == ""
    assert not (Path(recipe["output_dir"]) / "training_time.json").exists()


def test_prepare_refuses_rows_that_would_be_cut(recipe: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="max_length"):
        prepare(recipe | {"max_length": 8})


def test_prepare_names_a_missing_model(recipe: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="nowhere is missing"):
        prepare(recipe | {"model_name_or_path": "nowhere"})


def test_finish_publishes_model_tokenizer_and_log_without_pickles(recipe: dict[str, Any], tmp_path: Path) -> None:
    prepare(recipe)
    write_checkpoint(recipe, 4)
    (Path(recipe["output_dir"]) / "peak_memory.json").write_text(json.dumps({"host_bytes": 5, "device_bytes": None}))
    finish(recipe, EVALUATION, tmp_path / "sft_final")
    names = {path.name for path in (tmp_path / "sft_final").iterdir()}
    assert names == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "trainer_state.json", "lengths.json", "launch.json", "peak_memory.json", "provenance.json",
    }  # fmt: skip
    generation = json.loads((tmp_path / "sft_final" / "generation_config.json").read_text())
    assert generation == {"eos_token_id": 0, "use_cache": True, "do_sample": False, "max_new_tokens": 40}
    assert read_provenance(tmp_path / "sft_final")["recipe"] == recipe
    assert not Path(recipe["output_dir"]).exists()


def test_completions_that_a_kill_cut_short_are_left_out(
    recipe: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(recipe)
    write_checkpoint(recipe, 4)
    logged = Path(recipe["output_dir"]) / "completions"
    logged.mkdir()
    for step in (3, 4):
        pq.write_table(pa.table({"step": [step] * 8}), logged / f"completions_{step:05d}.parquet")
    cut(logged / "completions_00004.parquet")
    finish(recipe, EVALUATION, tmp_path / "grpo_final")
    assert "completions_00004.parquet was cut short and is left out" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "grpo_final/completions").iterdir()] == ["completions_00003.parquet"]


def test_the_seconds_are_those_of_training_not_of_the_time_between(recipe: dict[str, Any], tmp_path: Path) -> None:
    prepare(recipe)
    session = Path(recipe["output_dir"]) / "session.json"
    content = json.loads(session.read_text())
    begun = time.time() - 5000
    session.write_text(json.dumps(content | {"started": begun}))
    for seconds in ("0.2", "0.3"):
        words = ["--folder", recipe["output_dir"], "--", sys.executable, "-c", f"import time; time.sleep({seconds})"]
        subprocess.run([sys.executable, "-m", "mulfact.modeling.supervise", *words], check=True)
    write_checkpoint(recipe, 4)
    finish(recipe, EVALUATION, tmp_path / "sft_final")
    provenance = read_provenance(tmp_path / "sft_final")
    assert 0.5 < provenance["seconds"] < 10
    assert datetime.fromisoformat(provenance["started"]).timestamp() == int(begun)


def test_nothing_is_prepared_or_published_while_a_training_runs(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mulfact.locks.PATIENCE", 0.0)
    prepare(recipe)
    write_checkpoint(recipe, 4)
    with training_lock(Path(recipe["output_dir"])):
        for step in (prepare, lambda recipe: finish(recipe, EVALUATION, tmp_path / "sft_final")):
            with pytest.raises(UserError, match="sft_training: another process trains there"):
                step(recipe | {"learning_rate": 0.5})
    assert checkpoints(Path(recipe["output_dir"]))
    finish(recipe, EVALUATION, tmp_path / "sft_final")


def test_finish_refuses_training_that_stopped_early(recipe: dict[str, Any], tmp_path: Path) -> None:
    prepare(recipe)
    write_checkpoint(recipe, 2)
    with pytest.raises(UserError, match="step 2 of 4"):
        finish(recipe, EVALUATION, tmp_path / "sft_final")
    assert not (tmp_path / "sft_final").exists()


def test_vllm_is_asked_for_only_where_it_is_installed(recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    recipe["use_vllm"] = True
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="grpo.use_vllm is true, but vllm is not installed"):
        prepare(recipe)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    prepare(recipe)
