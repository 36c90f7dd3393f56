"""The pretraining command: what it leaves, what it refuses, and that stopping it anywhere changes nothing."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from tiny_pretraining import curve, write_recipe, write_tokenizer
from torch._dynamo.backends.debugging import aot_eager
from transformers import AutoModelForCausalLM, AutoTokenizer

from mulfact.data_builders.storage.token_stream import TokenStream
from mulfact.modeling import pretrain
from mulfact.modeling.gpt2.model import Objective
from mulfact.modeling.pretraining.checkpoints import Checkpoints
from mulfact.modeling.pretraining.preemption import EXIT_STATUS, Preemption
from mulfact.modeling.pretraining.run import Pretraining
from mulfact.provenance import read_provenance

WEIGHTS = "pretrain_final/model.safetensors"


@pytest.fixture(autouse=True)
def process_settings() -> Iterator[None]:
    """Give back what the command sets for its process."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]


def run_main(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    monkeypatch.setattr(sys, "argv", ["pretrain.py", "--config", str(recipe)])
    pretrain.main()


def weights(folder: Path) -> dict[str, bytes]:
    """Return what the run has left: the final weights, and those of each point of its curve."""
    points = folder.glob("pretrain_curve/step-*/model.safetensors")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in (folder / WEIGHTS, *points)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as monkeypatch:
        run_main(write_recipe(folder), monkeypatch)
    return folder


def test_the_output_is_an_ordinary_model_with_its_record(finished: Path) -> None:
    folder = finished / "pretrain_final"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = model.generate(**tokenizer("ABC", return_tensors="pt"), max_new_tokens=5, do_sample=False)
    assert tokenizer.decode(ids[0]).startswith("ABC")
    assert json.loads((folder / "facts.json").read_text())["vocab_size"] == model.config.vocab_size
    summary = json.loads((folder / "training_summary.json").read_text())
    assert summary["parameters"] == sum(p.numel() for p in model.parameters())
    assert (summary["steps"], summary["tokens"], summary["precision"]) == (12, 12 * 256, "no")
    assert summary["seconds"] > 0
    assert summary["peak_memory_bytes"] > 10**6
    provenance = read_provenance(folder)
    assert provenance["recipe"]["max_steps"] == 12
    assert set(provenance["inputs"]) == {str(finished / "tokenizer"), str(finished / "tokens")}
    assert not (finished / "pretrain_checkpoints").exists()  # published, so no longer needed


def test_the_points_of_the_curve_are_ordinary_models_too(finished: Path) -> None:
    points = sorted((finished / "pretrain_curve").glob("step-*"))
    assert [point.name for point in points] == ["step-000001", "step-000002", "step-000005", "step-000012"]
    tokenizer = AutoTokenizer.from_pretrained(points[0])
    model = AutoModelForCausalLM.from_pretrained(points[0])
    assert model(**tokenizer("ABC", return_tensors="pt")).logits.shape[-1] == model.config.vocab_size
    assert [json.loads((point / "point.json").read_text())["tokens"] for point in points] == [256, 512, 1280, 3072]
    assert len(set(weights(finished).values())) == 4  # the end of the curve is the finished model
    assert (points[0] / "facts.json").read_bytes() == (finished / "tokenizer" / "facts.json").read_bytes()
    read_provenance(finished / "pretrain_curve")


def test_no_points_no_curve(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pretrain_curve" / "step-000001").mkdir(parents=True)  # of an earlier run
    run_main(write_recipe(tmp_path, curve=0), monkeypatch)
    assert not (tmp_path / "pretrain_curve").exists()
    assert weights(tmp_path)[WEIGHTS] == weights(finished)[WEIGHTS]


def test_the_curve_falls_and_counts_tokens_and_bytes(finished: Path) -> None:
    records = curve(finished)
    steps = [record["step"] for record in records if "loss" in record]
    assert steps == [2, 4, 6, 8, 10, 12]
    validated = [record for record in records if "validation" in record]
    assert [record["step"] for record in validated] == [6, 12]
    assert validated[1]["validation"]["bits_per_byte"] < validated[0]["validation"]["bits_per_byte"]
    assert records[-1]["tokens"] == 12 * 256
    stream = TokenStream(finished / "tokens", "train", 0)
    assert 0 < records[-1]["bytes"] < stream.spans().bytes.sum()


def test_the_same_run_again_is_the_same_to_the_bit(finished: Path, tmp_path: Path, monkeypatch: Any) -> None:
    run_main(write_recipe(tmp_path), monkeypatch)
    assert curve(tmp_path) == curve(finished)
    assert weights(tmp_path) == weights(finished)


def test_bf16_repeats_to_the_bit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        run_main(write_recipe(tmp_path / name, mixed_precision="bf16"), monkeypatch)
    assert curve(tmp_path / "first") == curve(tmp_path / "second")
    assert weights(tmp_path / "first") == weights(tmp_path / "second")


def test_another_seed_is_another_run(finished: Path, tmp_path: Path, monkeypatch: Any) -> None:
    run_main(write_recipe(tmp_path, seed=1), monkeypatch)
    assert curve(tmp_path)[0]["loss"] != curve(finished)[0]["loss"]


@pytest.mark.parametrize("stop_after", range(1, 12))
def test_stopped_after_any_step_and_resumed_is_undisturbed(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    recipe = write_recipe(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Preemption, "agreed", lambda self, step, due, host_waits: (step == stop_after, due))
        with pytest.raises(SystemExit) as stopped:
            run_main(recipe, monkeypatch)
    assert stopped.value.code == EXIT_STATUS
    assert not (tmp_path / "pretrain_final").exists()
    checkpoint = tmp_path / "pretrain_checkpoints" / f"step-{stop_after:08d}"
    assert type(AutoModelForCausalLM.from_pretrained(checkpoint)).__name__ == "GPT2LMHeadModel"

    run_main(recipe, monkeypatch)
    assert curve(tmp_path) == curve(finished)
    assert weights(tmp_path) == weights(finished)


def command(recipe: Path) -> list[str]:
    return [sys.executable, "modeling/pretrain.py", "--config", str(recipe)]


def start_and_signal(recipe: Path, repository: Path, number: int) -> tuple[int, str]:
    """Start the real command, send it `number` when its first checkpoint stands; return its status and its output."""
    process = subprocess.Popen(
        command(recipe), cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    first = recipe.parent / "pretrain_checkpoints" / "step-00000004"
    while not first.exists() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(number)
    output, _ = process.communicate()
    return process.returncode, output


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_and_the_same_command_again(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    recipe = write_recipe(tmp_path, max_steps=60, warmup_steps=5)
    status, output = start_and_signal(recipe, repository, number)
    assert status == {signal.SIGKILL: -9, signal.SIGTERM: 143}[number], output  # type: ignore[index]
    assert not (tmp_path / "pretrain_final").exists()
    run_main(recipe, monkeypatch)

    reference = tmp_path / "reference"
    reference.mkdir()
    run_main(write_recipe(reference, max_steps=60, warmup_steps=5), monkeypatch)
    assert curve(tmp_path) == curve(reference)
    assert weights(tmp_path) == weights(reference)


@pytest.mark.parametrize("loss", ["plain", "chunked"])
def test_a_compiled_run_has_the_curve_of_an_eager_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    """Training and validation run through graphs, here without the minute that Inductor takes to write them in C++."""
    graphs = []

    def compile_whole(objective: Objective, options: None) -> None:
        def keep(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
            graphs.append(graph)
            return aot_eager(graph, inputs)

        torch.nn.Module.compile(objective, backend=keep, fullgraph=True)

    monkeypatch.setattr(Objective, "compile", compile_whole)
    eager, compiled = tmp_path / "eager", tmp_path / "compiled"
    for folder in (eager, compiled):
        folder.mkdir()
        run_main(write_recipe(folder, loss=loss, compile=folder is compiled), monkeypatch)
    assert graphs
    for found, expected in zip(curve(compiled), curve(eager), strict=True):
        assert found.keys() == expected.keys()
        for key in {"loss", "grad_norm"} & found.keys():
            assert found[key] == pytest.approx(expected[key], rel=1e-4)
        if "validation" in found:
            assert found["validation"]["loss"] == pytest.approx(expected["validation"]["loss"], rel=1e-4)
    assert load_file(compiled / WEIGHTS).keys() == load_file(eager / WEIGHTS).keys()


def test_a_loss_that_is_not_finite_stops_and_keeps_the_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    take_step = Pretraining.take_step

    def poisoned(self: Pretraining, step: int) -> Any:
        loss, norm = take_step(self, step)
        return (loss * float("nan") if step == 7 else loss), norm

    monkeypatch.setattr(Pretraining, "take_step", poisoned)
    with pytest.raises(SystemExit, match=r"nan at step 7 .*step-00000004"):
        run_main(write_recipe(tmp_path), monkeypatch)
    assert [path.name for path in (tmp_path / "pretrain_checkpoints").glob("step-*")] == ["step-00000004"]


@pytest.mark.parametrize(("step", "keep"), [(8, 1), (12, 2)])
def test_a_gradient_that_is_not_finite_is_neither_saved_nor_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, keep: int
) -> None:
    take_step = Pretraining.take_step

    def poisoned(self: Pretraining, number: int) -> Any:
        if number == step:  # a step that saves, or the last one: its loss is that of the weights before it
            parameter = next(self.model.parameters())
            parameter.register_hook(lambda gradient: gradient * float("nan"))
        return take_step(self, number)

    recipe = write_recipe(tmp_path, keep_checkpoints=keep)
    with monkeypatch.context() as patch:
        patch.setattr(Pretraining, "take_step", poisoned)
        with pytest.raises(SystemExit, match=rf"norm of the gradient was nan at step {step} .*step-0000000{step - 4}"):
            run_main(recipe, monkeypatch)
    assert not (tmp_path / "pretrain_final").exists()
    run_main(recipe, monkeypatch)  # from the good checkpoint
    assert (tmp_path / "pretrain_final").is_dir()


def test_weights_that_cannot_be_validated_are_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"validation loss was (nan|inf) at step 1 "):
        run_main(write_recipe(tmp_path, learning_rate=1e30, max_steps=1, warmup_steps=0), monkeypatch)
    assert not (tmp_path / "pretrain_final").exists()


def test_a_finished_run_is_not_trained_again_for_housekeeping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_main(write_recipe(tmp_path), monkeypatch)
    before = weights(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Pretraining, "__init__", lambda *_: pytest.fail("trained again"))
        run_main(write_recipe(tmp_path), monkeypatch)
        run_main(write_recipe(tmp_path, price_per_hour=2.5, keep_checkpoints=3, num_processes=2), monkeypatch)
    assert capsys.readouterr().out.count("is finished") == 2
    run_main(write_recipe(tmp_path, seed=1), monkeypatch)
    assert weights(tmp_path) != before


def test_a_disk_without_room_for_the_model_is_told_and_the_checkpoints_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe(tmp_path)
    with monkeypatch.context() as patch:
        copy = "mulfact.modeling.pretrain.shutil.copy2"
        patch.setattr(copy, lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(SystemExit, match=r"could not be written .*No space left on device.* from .*step-00000008"):
            run_main(recipe, monkeypatch)
    assert not list(tmp_path.glob("pretrain_final*"))
    run_main(recipe, monkeypatch)
    assert (tmp_path / "pretrain_final").is_dir()


def test_a_gpu_that_is_too_small_is_told_with_the_setting_that_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take_step(self: Pretraining, step: int) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 6.00 GiB.\nGPU 0 has ...")

    monkeypatch.setattr(Pretraining, "take_step", take_step)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Small GPU")
    with pytest.raises(SystemExit, match=r"memory of Small GPU .* lower pretrain.micro_batch_size, .*6.00 GiB.\)$"):
        run_main(write_recipe(tmp_path), monkeypatch)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"max_steps": 1000}, "allow_epochs"),
        ({"sequence_length": 128, "tokens_per_step": 256}, "n_positions"),
        ({"n_embd": 33}, "n_head"),
        ({"tokens_per_step": 250}, "multiple of"),
        ({"micro_batch_size": 3}, "micro_batch_size"),
        ({"num_processes": 2}, "num_processes is 2"),
        ({"eval_bytes": 10**7}, "eval_bytes"),
        ({"tokens": "nowhere"}, "nowhere"),
        ({"tokenizer": "nowhere"}, "nowhere"),
        ({"target_tokens": 10**4}, "max_steps, target_tokens"),
        ({"max_steps": None}, "set one"),
        ({"max_steps": 0}, "pretrain.max_steps is 0: expected at least 1"),
        ({"shedule": "cosine"}, "did you mean 'schedule'"),
        ({"schedule": "linear"}, "pretrain.schedule is linear: expected cosine or wsd"),
        ({"mixed_precision": "fp16"}, "expected auto or bf16 or no"),
        ({"loss": "chunk"}, "expected plain or chunked or liger"),
        ({"compile_mode": "graphs"}, "pretrain.compile_mode is graphs, which needs pretrain.compile: true"),
        ({"max_grad_norm": 0}, "pretrain.max_grad_norm is 0"),
        ({"learning_rate": -1e-3}, "pretrain.learning_rate is -0.001"),
        ({"adam_beta1": 1.5}, "pretrain.adam_beta1 is 1.5: expected at least 0 and at most 1"),
        ({"save_steps": 0}, "pretrain.save_steps is 0: expected at least 1"),
        ({"keep_checkpoints": 0}, "pretrain.keep_checkpoints"),
        ({"seed": -1}, "pretrain.seed is -1"),
        ({"n_layer": 0}, "pretrain.n_layer"),
    ],
)
def test_refusals_come_before_training_and_name_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(SystemExit) as refused:
        run_main(write_recipe(tmp_path, **settings), monkeypatch)
    assert str(refused.value).startswith("error: ")
    assert named in str(refused.value)
    assert not (tmp_path / "pretrain_checkpoints").exists()


def test_tokens_of_another_tokenizer_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = write_recipe(tmp_path)
    facts = json.loads((tmp_path / "tokenizer" / "facts.json").read_text())
    write_tokenizer(tmp_path / "other", vocab_size=facts["vocab_size"] + 64)
    recipe = write_recipe(tmp_path, tokenizer=str(tmp_path / "other"))
    with pytest.raises(SystemExit, match="was not written with the tokenizer"):
        run_main(recipe, monkeypatch)


def test_epochs_are_logged_when_they_are_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_main(write_recipe(tmp_path, max_steps=80, allow_epochs=True, eval_steps=80, save_steps=80), monkeypatch)
    summary = json.loads((tmp_path / "pretrain_final" / "training_summary.json").read_text())
    assert summary["epochs"] == pytest.approx(80 * 256 / TokenStream(tmp_path / "tokens", "train", 0).tokens)
    assert summary["epochs"] > 1


def test_steps_from_a_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_main(write_recipe(tmp_path, max_steps=None, target_tokens=1000), monkeypatch)
    summary = json.loads((tmp_path / "pretrain_final" / "training_summary.json").read_text())
    assert summary["steps"] == 4


def test_a_checkpoint_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    monkeypatch.setattr(Checkpoints, "save", lambda self, step, state: saved.append(step))
    run_main(write_recipe(tmp_path, save_minutes=1e-9, save_steps=100), monkeypatch)
    assert saved == list(range(1, 12))


def test_the_log_line_tells_the_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_main(write_recipe(tmp_path, price_per_hour=3600.0), monkeypatch)
    line = next(line for line in capsys.readouterr().out.splitlines() if "step  8/12  loss" in line)
    assert re.search(r"tok/s  ETA 0:0\d  \$\d\.\d\d$", line)


def test_the_command_says_an_error_in_one_line(tmp_path: Path, repository: Path) -> None:
    recipe = write_recipe(tmp_path, max_steps=1000)
    result = subprocess.run(command(recipe), cwd=repository, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.stderr
