"""SFT and GRPO on two processes, by TRL's own command: the steps of one process, and resumed by one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from tiny_tokenizers import build
from transformers import GPT2Config, GPT2LMHeadModel

from mulfact.modeling.posttraining.checkpoints import checkpoints
from mulfact.recipe import compose

pytestmark = pytest.mark.xdist_group("trl_processes")
REPOSITORY = Path(__file__).resolve().parents[3]
SHAPE = [
    "sft.max_length=64", "sft.max_steps=4", "sft.save_steps=2", "sft.per_device_train_batch_size=4",
    "sft.gradient_accumulation_steps=2", "sft.logging_steps=1", "sft.save_total_limit=null", "grpo.max_steps=2",
    "grpo.save_steps=2", "grpo.per_device_train_batch_size=8", "grpo.gradient_accumulation_steps=1",
    "grpo.num_generations=4", "grpo.max_completion_length=8",
]  # fmt: skip


def sections(folder: Path) -> dict[str, Any]:
    """Return the recipes of a run in a folder, with a tiny model and the data that they name."""
    stages = compose(REPOSITORY / "recipes", "smoke", "baseline", 0, SHAPE, {"outputs": str(folder)})
    tokenizer = build("baseline")
    config = GPT2Config(vocab_size=768, n_positions=128, n_embd=32, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
    config.attn_pdrop = config.embd_pdrop = config.resid_pdrop = 0.0
    for stage in ("sft", "grpo"):
        model = Path(stages[stage]["model_name_or_path"])
        GPT2LMHeadModel(config).save_pretrained(model)
        shutil.copytree(tokenizer, model, dirs_exist_ok=True)
        data = Path(stages[stage]["dataset_name"])
        data.mkdir(parents=True)
        rows = [{"prompt": f"What is {n}+1?", "completion": f" #### {n + 1}", "answer": str(n + 1)} for n in range(40)]
        for split in ("train", "validation"):
            (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / f"{stage}.yaml").write_text(yaml.safe_dump(stages[stage]))
    return stages


def train(folder: Path, stage: str, processes: int) -> dict[str, Any]:
    """Run a stage as the Makefile does, but for what follows it; return the state of its trainer."""
    config = str(folder / f"{stage}.yaml")
    prepare = [sys.executable, "modeling/trl_stage.py", "prepare", "--config", config, "--processes", str(processes)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    how = {"cwd": REPOSITORY, "env": environment, "capture_output": True, "text": True}
    flags = subprocess.run(prepare, check=True, **how).stdout.split()
    launch = ["--accelerate_config", f"accelerate_configs/{'cpu' if processes == 1 else 'cpu_ddp'}.yaml"]
    launch += [] if processes == 1 else ["--num_processes", str(processes), "--main_process_port", "0"]
    trl = [str(Path(sys.executable).parent / "trl"), stage, "--config", config, *launch, "--quiet", *flags]
    result = subprocess.run(trl, check=False, **how)
    assert result.returncode == 0, result.stderr[-4000:]
    newest = checkpoints(folder / f"smoke/baseline/seed-0/{stage}_training")[0]
    return json.loads((newest / "trainer_state.json").read_text())


def losses(state: dict[str, Any]) -> list[float]:
    return [entry["loss"] for entry in state["log_history"] if "loss" in entry]


def test_one_process_takes_the_steps_of_sft_that_two_took_and_goes_on_from_their_checkpoint(tmp_path: Path) -> None:
    stages = sections(tmp_path)
    training = Path(stages["sft"]["output_dir"])
    two = train(tmp_path, "sft", 2)
    assert json.loads((training / "launch.json").read_text()) == {"processes": 2}
    shutil.rmtree(training / "checkpoint-4")
    one = train(tmp_path, "sft", 1)  # steps 3 and 4 again
    assert json.loads((training / "launch.json").read_text()) == {"processes": 1}
    assert len(losses(one)) == one["global_step"] == two["global_step"] == 4
    assert losses(one) == pytest.approx(losses(two), rel=1e-5)
    assert two["epoch"] == one["epoch"] == pytest.approx(4 * 8 / 40)


def test_grpo_on_two_processes_draws_as_many_rollouts_in_as_many_steps(tmp_path: Path) -> None:
    stages = sections(tmp_path)
    state = train(tmp_path, "grpo", 2)
    assert (state["global_step"], state["train_batch_size"]) == (2, 4)
    tables = sorted((Path(stages["grpo"]["output_dir"]) / "completions").glob("*.parquet"))
    assert [pq.read_table(table).num_rows for table in tables] == [8, 8]
