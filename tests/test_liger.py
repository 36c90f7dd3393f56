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
from mulfact.modeling.gpt2 import Objective, build_model, gpt2_config

device = "cuda" if torch.cuda.is_available() else "cpu"
shape = SimpleNamespace(n_layer=1, n_head=2, n_embd=16, n_positions=32)
config = gpt2_config(shape, 128, SimpleNamespace(bos_token_id=0, eos_token_id=0, pad_token_id=1))

def measure(loss, padding, micro_batches, compiled=False):
    objective = Objective(build_model(config, 0).to(device), loss, "no")
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

results = []
for padding, micro_batches, compiled in ((0, 1, False), (0, 2, False), (5, 1, False), (5, 2, False), (5, 2, True)):
        loss, gradients = measure("liger", padding, micro_batches, compiled)
        reference, expected = measure("plain", padding, micro_batches)
        results.append({
            "padding": padding, "micro_batches": micro_batches, "compiled": compiled, "loss": abs(loss - reference),
            "gradient": max((a - b).abs().max().item() for a, b in zip(gradients, expected)),
            "tied": gradients[0].shape == (128, 16) and bool(gradients[0].any()),
        })
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def differences(repository: Path) -> list[dict[str, Any]]:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=repository,
        env=os.environ | {"TRITON_INTERPRET": "0" if torch.cuda.is_available() else "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_loss_and_gradients_with_and_without_padding_accumulation_and_a_compiled_graph(differences: list[dict[str, Any]]) -> None:
    assert len(differences) == 5
    for case in differences:
        assert case["loss"] < 1e-6, case
        assert case["gradient"] < 1e-5, case
        assert case["tied"], case
