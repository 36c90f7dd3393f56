"""Checkpoints are whole or not there, belong to one run, and are pruned without losing the best one."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from mulfact.errors import UserError
from mulfact.modeling.pretraining.checkpoints import STATE, Checkpoints

IDENTITY = {"learning_rate": 0.1, "micro_batch_size": 4, "inputs": {"tokens": "abc"}}


class Session:
    """A model with its optimizer under Accelerate, as a run of its own."""

    def __init__(self, folder: Path, identity: dict[str, Any] = IDENTITY, keep: int = 2) -> None:
        AcceleratorState._reset_state(reset_partial_state=True)
        accelerator = Accelerator(cpu=True)
        torch.manual_seed(0)
        self.model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, n_positions=8, vocab_size=16))
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1)
        self.parallel, self.optimizer = accelerator.prepare(self.model, optimizer)
        self.checkpoints = Checkpoints(folder, identity, keep, accelerator)
        self.checkpoints.attach(self.model)

    def train(self, steps: int = 1) -> None:
        for _ in range(steps):
            self.model(input_ids=torch.arange(8)[None], labels=torch.arange(8)[None]).loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()

    def weights(self) -> torch.Tensor:
        return torch.cat([parameter.detach().flatten() for parameter in self.model.parameters()])


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "checkpoints"
    AcceleratorState._reset_state(reset_partial_state=True)


def test_a_new_session_goes_on_from_the_newest(folder: Path) -> None:
    first = Session(folder)
    first.train()
    first.checkpoints.save(1, {"step": 1})
    first.train()
    first.checkpoints.save(2, {"step": 2})
    first.train()

    second = Session(folder)
    assert second.checkpoints.resume() == {"step": 2}
    second.train()
    assert torch.equal(second.weights(), first.weights())


def test_a_checkpoint_is_a_hugging_face_folder(folder: Path) -> None:
    session = Session(folder)
    session.train()
    path = session.checkpoints.save(1, {"step": 1})
    loaded = AutoModelForCausalLM.from_pretrained(path)
    assert torch.equal(loaded.lm_head.weight, session.model.lm_head.weight)


def test_nothing_to_resume_is_no_error(folder: Path) -> None:
    assert Session(folder).checkpoints.resume() is None


@pytest.mark.parametrize("damaged", ["model.safetensors", "optimizer.bin", STATE])
def test_a_checkpoint_cut_short_is_passed_over(folder: Path, capsys: pytest.CaptureFixture[str], damaged: str) -> None:
    session = Session(folder)
    for step in (1, 2):
        session.train()
        session.checkpoints.save(step, {"step": step})
    path = folder / "step-00000002" / damaged
    path.write_bytes(path.read_bytes()[:20])
    assert Session(folder).checkpoints.resume() == {"step": 1}
    assert damaged in capsys.readouterr().out


@pytest.mark.parametrize("damaged", ["model.safetensors", "optimizer.bin", "random_states_0.pkl", STATE])
def test_what_a_disk_has_changed_is_found_and_put_away(
    folder: Path, capsys: pytest.CaptureFixture[str], damaged: str
) -> None:
    session = Session(folder, keep=1)
    for step in (1, 2):
        session.train()
        session.checkpoints.save(step, {"step": step, "bits_per_byte": float(step)})
    path = folder / "step-00000002" / damaged
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(b"[]" if damaged == STATE else content)

    again = Session(folder, keep=1)
    assert again.checkpoints.resume() == {"step": 1, "bits_per_byte": 1.0}
    assert "it is now step-00000002.damaged" in capsys.readouterr().out
    again.checkpoints.save(2, {"step": 2, "bits_per_byte": 3.0})
    assert [path.name for path in again.checkpoints.paths()] == ["step-00000001", "step-00000002"]
    assert Session(folder, keep=1).checkpoints.resume() == {"step": 2, "bits_per_byte": 3.0}


def test_the_one_just_written_is_kept_even_before_newer_ones(folder: Path) -> None:
    session = Session(folder, keep=1)
    session.checkpoints.save(9, {"step": 9, "bits_per_byte": None})
    session.checkpoints.save(7, {"step": 7, "bits_per_byte": None})
    assert [path.name for path in session.checkpoints.paths()] == ["step-00000007", "step-00000009"]


def test_a_save_that_was_killed_is_no_checkpoint(folder: Path) -> None:
    session = Session(folder)
    session.checkpoints.save(1, {"step": 1})
    shutil.copytree(folder / "step-00000001", folder / "step-00000002.partial")
    assert session.checkpoints.paths() == [folder / "step-00000001"]
    assert Session(folder).checkpoints.resume() == {"step": 1}
    assert [path.name for path in folder.iterdir()] == ["step-00000001"]


def test_the_newest_and_the_best_are_kept(folder: Path) -> None:
    session = Session(folder, keep=2)
    for step, bits in enumerate([float("nan"), 1.5, 2.0, None, 2.5, 2.6], start=1):
        session.checkpoints.save(step, {"step": step, "bits_per_byte": bits})
    kept = [json.loads((path / STATE).read_text())["run"]["step"] for path in session.checkpoints.paths()]
    assert kept == [2, 5, 6]


def test_checkpoints_of_another_run_are_set_aside_not_lost(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Session(folder).checkpoints.save(1, {"step": 1})
    changed = IDENTITY | {"learning_rate": 0.2}
    assert Session(folder, changed).checkpoints.resume() is None
    assert "learning_rate" in capsys.readouterr().out
    assert (folder.with_name("checkpoints.set-aside-1") / "step-00000001" / STATE).is_file()
    assert not folder.exists()


def test_settings_that_do_not_enter_the_curve_may_change(folder: Path) -> None:
    Session(folder).checkpoints.save(1, {"step": 1})
    assert Session(folder, IDENTITY | {"micro_batch_size": 1}).checkpoints.resume() == {"step": 1}


def test_parts_of_a_deepspeed_optimizer_are_refused_elsewhere(folder: Path) -> None:
    state = Session(folder).checkpoints.save(1, {"step": 1}) / STATE
    state.write_text(state.read_text().replace("DistributedType.NO", "DistributedType.DEEPSPEED"))
    with pytest.raises(UserError, match=r"DEEPSPEED.* launch the run as it was"):
        Session(folder).checkpoints.resume()


def test_a_disk_that_takes_no_more_is_told_and_harms_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(folder)
    session.checkpoints.save(1, {"step": 1})

    def full(output_dir: str) -> None:
        (Path(output_dir) / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(session.checkpoints.accelerator, "save_state", full)
    with pytest.raises(UserError, match=r"step 2 could not be written .*No space left on device"):
        session.checkpoints.save(2, {"step": 2})
    assert [path.name for path in folder.iterdir()] == ["step-00000001"]  # the half that was written makes room
    assert Session(folder).checkpoints.resume() == {"step": 1}


def test_the_folder_goes_when_the_run_is_published(folder: Path) -> None:
    session = Session(folder)
    session.checkpoints.save(1, {"step": 1})
    session.checkpoints.remove()
    assert not folder.exists()
