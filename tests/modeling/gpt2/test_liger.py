"""Liger's kernel gives the loss and gradients of plain torch: on a GPU, or in Triton's interpreter on a CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

# The interpreter is chosen when Triton is imported, so the kernel runs in a process of its own, once for all cases.
SCRIPT = """
import json, torch
from types import SimpleNamespace
from mulfact.errors import UserError
from mulfact.modeling.gpt2 import loss as losses
from mulfact.modeling.gpt2.model import Objective, build_model, gpt2_config

device = "cuda" if torch.cuda.is_available() else "cpu"
shape = SimpleNamespace(n_layer=1, n_head=2, n_embd=16, n_positions=32)
config = gpt2_config(shape, 128, SimpleNamespace(bos_token_id=0, eos_token_id=0, pad_token_id=1))

def measure(loss, padding=0, micro_batches=1, compiled=False, precision="no"):
    objective = Objective(build_model(config, 0).to(device), loss, precision)
    if compiled:
        objective.compile(backend="aot_eager", fullgraph=True)
    ids = torch.randint(2, 128, (4, 17), generator=torch.Generator().manual_seed(0)).to(device)
    labels = ids[:, 1:].clone()
    labels[:, :padding] = -100
    total = 0.0
    for inputs, targets in zip(ids[:, :-1].chunk(micro_batches), labels.chunk(micro_batches)):
        value = objective(inputs, targets) / micro_batches
        value.backward()
        total += value.item()
    return total, [parameter.grad.clone() for parameter in objective.parameters()]

def compare(name, logits=losses.LIGER_LOGITS, precision="no", implementation="liger", **case):
    losses.LIGER_LOGITS = logits
    loss, gradients = measure(implementation, precision=precision, **case)
    reference, expected = measure("plain", **case)
    return {
        "name": name, "loss": abs(loss - reference),
        "gradient": max((a - b).abs().max().item() for a, b in zip(gradients, expected)),
        "relative": max(((a - b).norm() / b.norm()).item() for a, b in zip(gradients, expected)),
        "tied": gradients[0].shape == (128, 16) and bool(gradients[0].any()),
    }

try:
    import cutlass.cute
    hopper = device == "cuda" and torch.cuda.get_device_capability() >= (9, 0)
except ImportError:
    hopper = False
refused = ""
if not hopper:
    try:
        measure("liger_cutedsl", precision="bf16")
    except UserError as error:
        refused = str(error)
if not hopper:  # the same way into Liger's kernel, with the cross-entropy that is here
    losses.LIGER_KERNELS["liger_cutedsl"] = "nvidia-triton"
print(json.dumps([
    compare("whole"),
    compare("padding", padding=5),
    compare("accumulation", padding=5, micro_batches=2),
    compare("compiled", padding=5, compiled=True),
    compare("chunks", padding=5, logits=1),
    compare("bf16", precision="bf16", compiled=True),
    compare("by name, in bf16", precision="bf16", compiled=True, padding=5, implementation="liger_cutedsl"),
    {"name": "refusal", "hopper": hopper, "text": refused},
]))
"""
CASES = ["whole", "padding", "accumulation", "compiled", "chunks", "bf16", "by name, in bf16"]


@pytest.fixture(scope="module")
def differences(repository: Path) -> dict[str, dict[str, Any]]:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=repository,
        env=os.environ | {"TRITON_INTERPRET": "0" if torch.cuda.is_available() else "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return {case["name"]: case for case in json.loads(result.stdout.splitlines()[-1])}


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradients_are_those_of_plain_torch(differences: dict[str, dict[str, Any]], case: str) -> None:
    found = differences[case]
    if case.endswith("bf16"):  # against float32
        assert found["loss"] < 5e-2, found
        assert found["relative"] < 5e-2, found
    else:
        assert found["loss"] < 1e-6, found
        assert found["gradient"] < 1e-5, found
    assert found["tied"], found


def test_a_kernel_for_another_gpu_is_refused_in_words(differences: dict[str, dict[str, Any]]) -> None:
    found = differences["refusal"]
    if found["hopper"]:
        assert not found["text"]
    else:
        assert found["text"].startswith("pretrain.loss is liger_cutedsl, which cannot run here: ")
        assert found["text"].endswith("else set it to liger")
