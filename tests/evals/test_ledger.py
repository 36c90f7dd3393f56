"""The ledger of one run: what it counts, from which file, and that no matched field can differ unnoticed."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from mulfact.errors import UserError
from mulfact.evals.comparison.runs import Run, check_ledgers
from mulfact.evals.ledger import account
from mulfact.evals.ledger_view import main as view
from mulfact.modeling.gpt2.flops import ModelShape, forward_flops, generation_flops, peak_flops
from mulfact.provenance import stage_output, write_json

SHAPE = ModelShape(n_layer=2, n_embd=16, n_inner=64, vocab_size=128, n_positions=64)
SFT = {
    "max_length": 32, "pad_to_multiple_of": 32, "packing": False, "max_steps": 5, "learning_rate": 1e-3, "bf16": False,
    "lr_scheduler_type": "cosine", "warmup_steps": 1, "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1,
}  # fmt: skip
GRPO = {
    "reward_funcs": ["mulfact.evals.rewards.exact_match"],
    "max_completion_length": 20, "num_generations": 4, "max_steps": 3, "beta": 0.02, "temperature": 1.0, "bf16": False,
    "learning_rate": 1e-4, "lr_scheduler_type": "constant", "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
}  # fmt: skip


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A finished run of two arms' form: 6 pretraining steps, 5 of SFT, 3 GRPO updates of 8 rollouts."""
    run = tmp_path / "pilot" / "facts" / "seed-2"
    write_pretrain(run)
    write_sft(run)
    write_grpo(run)
    return run


def write_model(folder: Path, shape: ModelShape = SHAPE) -> None:
    config = {"model_type": "gpt2", "n_layer": shape.n_layer, "n_embd": shape.n_embd, "n_inner": None,
              "vocab_size": shape.vocab_size, "n_positions": shape.n_positions}  # fmt: skip
    write_json(folder / "config.json", config)
    save_file({"all": np.zeros(shape.parameters, dtype=np.float32)}, folder / "model.safetensors")


def write_pretrain(run: Path, **changes: Any) -> None:
    summary = {
        "parameters": SHAPE.parameters, "sequence_length": 32, "tokens_per_step": 128, "steps": 6, "tokens": 768,
        "bytes": 2000, "epochs": 0.5, "precision": "bf16", "optimizer": {"name": "AdamW", "learning_rate": 3e-3},
        "schedule": {"name": "cosine", "warmup_steps": 1}, "seconds": 3.0, "tokens_per_second": 256.0,
        "peak_memory_bytes": 1_000_000, "num_processes": 2, **changes,
    }  # fmt: skip
    with stage_output(run / "pretrain_final", {"seed": 2}) as folder:
        write_model(folder)
        write_json(folder / "training_summary.json", summary)


def write_sft(run: Path, rows: int = 40, processes: int = 1, shape: ModelShape = SHAPE, **changes: Any) -> None:
    recipe = {**SFT, **changes}
    steps = recipe["max_steps"]
    rows_per_step = 4 * recipe["gradient_accumulation_steps"] * processes
    with stage_output(run / "sft_final", recipe) as folder:
        write_model(folder, shape)
        state = {"global_step": steps, "train_batch_size": 4, "epoch": steps * rows_per_step / rows,
                 "log_history": [{"step": steps, "num_tokens": 70.0}]}  # fmt: skip
        write_json(folder / "trainer_state.json", state)
        lengths = {"rows": rows, "too_long": 2, "label_tokens": 400, "prompt_tokens": 300}
        write_json(folder / "lengths.json", {"stage": "sft", "splits": {"train": lengths}})


def write_grpo(run: Path, rollouts_per_step: int = 8, files: int = 3, **changes: Any) -> None:
    """Write a GRPO stage: prompts of 9 and 11 tokens by turns, completions of 12 tokens but for one of 18."""
    recipe = {**GRPO, **changes}
    steps = recipe["max_steps"]
    with stage_output(run / "grpo_final", recipe) as folder:
        write_model(folder)
        log = [{"step": step, "completions/clipped_ratio": 0.25} for step in range(1, steps + 1)]
        write_json(folder / "trainer_state.json", {"global_step": steps, "train_batch_size": 8, "log_history": log})
        words = Tokenizer(models.WordLevel({"[UNK]": 0, "word": 1}, unk_token="[UNK]"))
        words.pre_tokenizer = pre_tokenizers.Whitespace()
        words.save(str(folder / "tokenizer.json"))
        (folder / "completions").mkdir()
        prompts = [" ".join(["word"] * (9 + 2 * (row % 2))) for row in range(rollouts_per_step)]
        lengths = [18] + [12] * (rollouts_per_step - 1)
        table = pa.table({"prompt": prompts, "completion_tokens": lengths})
        for step in range(1, files + 1):
            pq.write_table(table, folder / "completions" / f"completions_{step:05d}.parquet")


def stage(run_dir: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    entry = account(run_dir)["stages"][name]
    return entry["matched"], entry["reported"]


def test_pretraining_counts_what_the_trainer_wrote(run_dir: Path) -> None:
    matched, reported = stage(run_dir, "pretrain")
    assert matched["parameters"] == SHAPE.parameters
    assert matched["flops_forward"] == forward_flops(SHAPE, 24, 32)
    assert matched["flops_backward"] == 2 * matched["flops_forward"]
    assert (matched["steps"], matched["positions"], matched["precision"]) == (6, 768, "bf16")
    assert (reported["raw_bytes"], reported["processes"], reported["tokens_per_second"]) == (2000, 2, 256.0)


def test_sft_counts_every_padded_position(run_dir: Path) -> None:
    matched, reported = stage(run_dir, "sft")
    assert (matched["examples_per_step"], matched["tokens_per_step"], matched["positions"]) == (4, 128, 640)
    assert matched["flops_forward"] == forward_flops(SHAPE, 20, 32)
    assert reported["epochs"] == 0.5
    assert (reported["real_tokens"], reported["label_tokens"], reported["truncated_examples"]) == (350, 200, 1)


def test_the_last_batch_of_an_epoch_is_counted_as_short_as_it_was(run_dir: Path) -> None:
    write_sft(run_dir, rows=10, max_steps=6)
    path = run_dir / "sft_final" / "trainer_state.json"
    write_json(path, json.loads(path.read_text()) | {"epoch": 2.0})  # three steps an epoch: 4, 4 and 2 rows
    matched, reported = stage(run_dir, "sft")
    assert (reported["examples"], reported["epochs"], matched["positions"]) == (20, 2.0, 640)


@pytest.mark.parametrize(("processes", "accumulation"), [(2, 1), (1, 2), (4, 2)])
def test_the_processes_of_sft_are_read_from_its_epochs(run_dir: Path, processes: int, accumulation: int) -> None:
    write_sft(run_dir, rows=512, processes=processes, gradient_accumulation_steps=accumulation)
    matched, reported = stage(run_dir, "sft")
    assert reported["processes"] == processes
    assert matched["examples_per_step"] == 4 * processes * accumulation


def test_grpo_matches_the_budget_and_reports_what_was_spent(run_dir: Path) -> None:
    matched, reported = stage(run_dir, "grpo")
    assert (matched["rollouts"], matched["prompts_per_update"], matched["tokens_per_step"]) == (24, 2.0, 160)
    assert matched["flops_generation"] == generation_flops(SHAPE, 24, 0, 20)
    assert matched["flops_reference"] == matched["flops_forward"] == forward_flops(SHAPE, 24, 20)
    assert matched["flops_backward"] == 2 * matched["flops_forward"]
    assert (reported["prompt_tokens"], reported["generated_tokens"], reported["truncated_rollouts"]) == (240, 306, 6)
    # Every row was as wide as the longest prompt and the longest completion of its batch.
    assert reported["flops_generation_spent"] == generation_flops(SHAPE, 24, 11, 18)
    assert reported["flops_forward_spent"] == forward_flops(SHAPE, 24, 29, scored=18)
    parts = ("generation", "reference", "old_policy", "forward", "backward")
    assert reported["flops_spent"] == sum(reported[f"flops_{part}_spent"] for part in parts)
    rows = [(3, 9, 18), (9, 9, 12), (12, 11, 12)]
    useful = sum(generation_flops(SHAPE, *row) for row in rows)
    useful += sum(4 * forward_flops(SHAPE, count, a + b, scored=b) for count, a, b in rows)
    assert reported["flops_useful"] == useful < reported["flops_spent"]


def test_vllm_samples_without_padding_and_scores_the_sampling_policy(run_dir: Path) -> None:
    write_grpo(run_dir, use_vllm=True)
    _, reported = stage(run_dir, "grpo")
    rows = [(3, 9, 18), (9, 9, 12), (12, 11, 12)]
    assert reported["flops_generation_spent"] == sum(generation_flops(SHAPE, *row) for row in rows)
    assert reported["flops_old_policy_spent"] == reported["flops_forward_spent"]


def test_grpo_without_a_reference_model_spends_nothing_on_it(run_dir: Path) -> None:
    write_grpo(run_dir, beta=0.0)
    matched, reported = stage(run_dir, "grpo")
    assert matched["flops_reference"] == reported["flops_reference_spent"] == 0


def test_rollouts_that_are_used_twice_are_sampled_once(run_dir: Path) -> None:
    write_grpo(run_dir, files=4, max_steps=4, num_iterations=2)
    matched, reported = stage(run_dir, "grpo")
    assert reported["prompt_tokens"] == 160
    assert (matched["rollouts"], matched["rollouts_per_update"], matched["updates"]) == (16, 4.0, 4)
    assert matched["flops_old_policy"] == forward_flops(SHAPE, 16, 20)
    assert matched["flops_forward"] == 2 * forward_flops(SHAPE, 16, 20)


def test_lora_pays_no_gradient_for_frozen_weights(run_dir: Path) -> None:
    write_sft(run_dir, use_peft=True, lora_r=8)
    adapter = run_dir / "sft_final" / "adapter"
    adapter.mkdir()
    save_file({"lora_A": np.zeros((8, 16), dtype=np.float32)}, adapter / "adapter_model.safetensors")
    matched, _ = stage(run_dir, "sft")
    assert matched["flops_backward"] == matched["flops_forward"]
    assert matched["optimizer"]["lora_r"] == 8
    assert (matched["trainable_parameters"], matched["parameters"]) == (128, SHAPE.parameters)


@pytest.mark.parametrize(
    ("record", "peak"),
    [
        ({"host_bytes": 900, "device_bytes": None}, 900),
        ({"host_bytes": 900, "device_bytes": 700}, 700),
        (None, None),
    ],
)
def test_peak_memory_is_that_of_the_device_that_trained(
    run_dir: Path, record: dict[str, Any] | None, peak: int | None
) -> None:
    if record is not None:
        for name in ("sft_final", "grpo_final"):
            write_json(run_dir / name / "peak_memory.json", record)
    assert stage(run_dir, "sft")[1]["peak_memory_bytes"] == stage(run_dir, "grpo")[1]["peak_memory_bytes"] == peak
    assert stage(run_dir, "sft")[0]["trainable_parameters"] == SHAPE.parameters


def test_mfu_is_of_the_known_device(run_dir: Path) -> None:
    path = run_dir / "pretrain_final" / "provenance.json"
    record = json.loads(path.read_text())
    record["hardware"]["gpus"] = ["NVIDIA H100 80GB HBM3"] * 2
    write_json(path, record)
    matched, reported = stage(run_dir, "pretrain")
    flops = matched["flops_forward"] + matched["flops_backward"]
    assert reported["mfu"] == pytest.approx(flops / 3.0 / (2 * 989.4e12), abs=1e-4)
    assert stage(run_dir, "sft")[1]["mfu"] is None


@pytest.mark.parametrize(
    ("device", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989.4e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H100 NVL", 835.5e12),
        ("NVIDIA L40", 181e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA RTX A1000", None),
        ("", None),
        (None, None),
    ],
)
def test_a_device_has_the_peak_of_its_whole_name(device: str | None, peak: float | None) -> None:
    assert peak_flops(device) == peak


def test_every_matched_field_that_differs_is_refused_by_name(run_dir: Path) -> None:
    ledger = account(run_dir)
    fields = [(name, key) for name, entry in ledger["stages"].items() for key in entry["matched"]]
    assert len(fields) > 35
    for name, key in fields:
        changed = json.loads(json.dumps(ledger))
        changed["stages"][name]["matched"][key] = "another value"
        with pytest.raises(UserError, match=rf"{name}\.{key}: plain/seed-0 has .*, facts/seed-0 has 'another value'"):
            check_ledgers(as_run("plain", ledger), as_run("facts", changed))
    check_ledgers(as_run("plain", ledger), as_run("facts", json.loads(json.dumps(ledger))))


def as_run(condition: str, ledger: dict[str, Any]) -> Run:
    return Run(condition, 0, Path(condition) / "seed-0", ledger, {}, {}, {})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda run: write_pretrain(run, tokens=1536, steps=12), "pretrain.flops_backward"),
        (lambda run: write_pretrain(run, precision="no"), "pretrain.precision"),
        (lambda run: write_sft(run, max_steps=6), "sft.flops_backward"),
        (lambda run: write_sft(run, gradient_accumulation_steps=2), "sft.examples_per_step"),
        (lambda run: write_sft(run, learning_rate=2e-3), "sft.optimizer"),
        (lambda run: write_grpo(run, max_completion_length=24), "grpo.flops_backward"),
        (lambda run: write_grpo(run, num_generations=8), "grpo.generations_per_prompt"),
        (lambda run: write_grpo(run, beta=0.0), "grpo.beta"),
        (lambda run: write_grpo(run, temperature=0.7), "grpo.sampling"),
        (lambda run: write_grpo(run, top_p=0.9), "grpo.sampling"),
        (lambda run: write_grpo(run, loss_type="grpo"), "grpo.loss"),
        (lambda run: write_grpo(run, reward_funcs=["mulfact.evals.rewards.brevity"]), "grpo.loss"),
    ],
)
def test_another_training_gives_another_ledger(run_dir: Path, change: Any, named: str) -> None:
    before = account(run_dir)
    change(run_dir)
    with pytest.raises(UserError, match=rf"ledgers differ in {named}"):
        check_ledgers(as_run("plain", before), as_run("facts", account(run_dir)))


def test_what_the_tokenizer_changes_is_not_matched(run_dir: Path) -> None:
    before = account(run_dir)
    write_pretrain(run_dir, bytes=2500, epochs=0.6, seconds=4.0)
    check_ledgers(as_run("plain", before), as_run("facts", account(run_dir)))


@pytest.mark.parametrize("change", [{"pad_to_multiple_of": None}, {"packing": True}, {"pad_to_multiple_of": 8}])
def test_sft_without_fixed_positions_is_refused(run_dir: Path, change: dict[str, Any]) -> None:
    write_sft(run_dir, **change)
    with pytest.raises(UserError, match="positions per step are not fixed"):
        account(run_dir)


def test_a_missing_stage_is_named_with_its_make_target(run_dir: Path) -> None:
    (run_dir / "grpo_final" / "provenance.json").unlink()
    with pytest.raises(UserError, match="make grpo SCALE=pilot CONDITION=facts SEED=2"):
        account(run_dir)


def test_a_run_whose_gate_stopped_grpo_has_a_ledger_of_two_stages(run_dir: Path) -> None:
    shutil.rmtree(run_dir / "grpo_final")
    (run_dir / "readiness").mkdir()
    write_json(run_dir / "readiness/readiness.json", {"ready": False, "force": False})
    ledger = account(run_dir)
    assert list(ledger["stages"]) == ["pretrain", "sft"]
    assert ledger["inputs"].keys() == {"pretrain_final", "sft_final"}


def test_weights_that_are_not_those_of_the_config_are_refused(run_dir: Path) -> None:
    with stage_output(run_dir / "pretrain_final", {}) as folder:
        write_model(folder)
        save_file({"all": np.zeros(7, dtype=np.float32)}, folder / "model.safetensors")
        write_json(folder / "training_summary.json", {"sequence_length": 1, "tokens": 1})
    with pytest.raises(UserError, match="holds 7 parameters"):
        account(run_dir)


def test_grpo_without_logged_completions_is_refused(run_dir: Path) -> None:
    write_grpo(run_dir, files=0)
    with pytest.raises(UserError, match="log_completions"):
        account(run_dir)


def test_the_ledger_is_shown_as_a_table(
    run_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(run_dir / "ledger.json", account(run_dir))
    monkeypatch.setattr("sys.argv", ["ledger_view.py", str(run_dir / "ledger.json")])
    view()
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("pretrain", "sft", "grpo", "flops_forward", "raw_bytes"))
