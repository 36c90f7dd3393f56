"""What stands around TRL's commands: stale training folders, resume flags, and the stage folder that is published."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from mulfact.errors import UserError
from mulfact.modeling.posttrain import checkpoints, finish, prepare
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
    folder = Path(recipe["output_dir"]) / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_text("weights")
    if complete:
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return folder


def write_model(recipe: dict[str, Any]) -> None:
    for name in ("config.json", "model.safetensors", "training_args.bin"):
        (Path(recipe["output_dir"]) / name).write_text(name)
    (Path(recipe["output_dir"]) / "generation_config.json").write_text(
        json.dumps({"eos_token_id": 0, "use_cache": True})
    )


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
    assert capsys.readouterr().out == f"--resume_from_checkpoint {complete}\n"
    assert not cut_short.exists()


@pytest.mark.parametrize("change", ["recipe", "data"])
def test_prepare_starts_anew_when_the_recipe_or_the_data_changed(
    recipe: dict[str, Any], change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(recipe)
    write_checkpoint(recipe, 2)
    if change == "recipe":
        recipe["learning_rate"] = 0.5
    else:
        with (Path(recipe["dataset_name"]) / "train.jsonl").open("a") as file:
            file.write(json.dumps({"prompt": "Question: 1?\nAnswer:", "completion": " #### 1"}) + "\n")
    prepare(recipe)
    assert capsys.readouterr().out == ""
    assert checkpoints(Path(recipe["output_dir"])) == []


def test_prepare_refuses_rows_that_would_be_cut(recipe: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="max_length"):
        prepare(recipe | {"max_length": 8})


def test_prepare_names_a_missing_model(recipe: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="nowhere is missing"):
        prepare(recipe | {"model_name_or_path": "nowhere"})


def test_finish_publishes_model_tokenizer_and_log_without_pickles(recipe: dict[str, Any], tmp_path: Path) -> None:
    prepare(recipe)
    write_model(recipe)
    write_checkpoint(recipe, 4)
    (Path(recipe["output_dir"]) / "peak_memory.json").write_text(json.dumps({"host_bytes": 5, "device_bytes": None}))
    finish(recipe, EVALUATION, tmp_path / "sft_final")
    names = {path.name for path in (tmp_path / "sft_final").iterdir()}
    assert names == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "trainer_state.json", "lengths.json", "peak_memory.json", "provenance.json",
    }  # fmt: skip
    generation = json.loads((tmp_path / "sft_final" / "generation_config.json").read_text())
    assert generation == {"eos_token_id": 0, "use_cache": True, "do_sample": False, "max_new_tokens": 40}
    assert read_provenance(tmp_path / "sft_final")["recipe"] == recipe
    assert not Path(recipe["output_dir"]).exists()


def test_finish_refuses_training_that_stopped_early(recipe: dict[str, Any], tmp_path: Path) -> None:
    prepare(recipe)
    write_model(recipe)
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
