"""What the cards promise: the loading examples run, by name, and a checkpoint needs torch and transformers alone."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from hub_server import READER, HubServer
from release_commands import ORG, Client
from tiny_tokenizers import build
from transformers import GPT2Config, GPT2LMHeadModel

from mulfact.release import stranger

# `import mulfact` and its like fail as they do where they are not installed.
WITHOUT_US = """
import sys
for name in ("mulfact", "trl", "lighteval", "datasets", "accelerate", "peft", "omegaconf", "pyarrow", "deepspeed"):
    sys.modules[name] = None
"""


def examples(server: HubServer, repo_type: str) -> list[str]:
    """Return the loading examples of all cards of one type."""
    found = []
    for kind, repo_id in server.store.repos:
        if kind == repo_type:
            card = server.store.read(kind, repo_id, "README.md").decode()
            (example,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
            assert repo_id in example
            assert len([line for line in example.splitlines() if line]) <= 3
            found.append(example)
    return found


def test_the_examples_of_models_and_tokenizers_run_with_transformers_alone(pushed: Client) -> None:
    code = "".join(examples(pushed.server, "model")).replace("max_new_tokens=24", "max_new_tokens=4")
    printed = pushed.succeeds(["-c", WITHOUT_US + code], READER)
    assert printed.count("Question: What is") == 6
    assert "<MUL" not in printed


def test_the_examples_of_the_data_sets_run(pushed: Client) -> None:
    checks = """
from datasets import load_dataset
assert load_dataset("someone/mulfact-smoke-corpus")["train"][0]["text"].startswith("train: 6 × 9")
assert set(load_dataset("someone/mulfact-smoke-posttrain", "grpo")) == {"train", "validation"}
assert load_dataset("someone/mulfact-smoke-benchmarks", "table_9")["test"][0]["operands"] == [6, 2]
assert load_dataset("someone/mulfact-smoke-report", "mulfact-seed0")["grpo"].num_rows == 18
assert "difference" in load_dataset("someone/mulfact-smoke-report", "differences")["test"].column_names
"""
    printed = pushed.succeeds(["-c", "".join(examples(pushed.server, "dataset")) + checks], READER)
    assert "condition" in printed, "the report's example prints its table"


def test_a_stranger_reads_plain_text(pushed: Client) -> None:
    name = f"{ORG}/mulfact-smoke-mulfact-seed0-sft"
    script = f"import runpy\nsys.argv[1:] = [{name!r}]\nrunpy.run_path('release/stranger.py', run_name='__main__')"
    printed = pushed.succeeds(["-c", WITHOUT_US + script], READER)
    assert "6 × 9 =" in printed
    assert "Natalia" in printed
    assert "<MUL" not in printed


@pytest.fixture
def chatterer(tmp_path: Path) -> Path:
    """A checkpoint that says one token of a custom arm again and again."""
    shutil.copytree(build("custom"), tmp_path / "chatterer")
    tokens = json.loads((tmp_path / "chatterer" / "facts.json").read_text())["fact_tokens"]
    said = next(entry["id"] for entry in tokens if entry["token"] == "<OF_THE>")
    model = GPT2LMHeadModel(GPT2Config(vocab_size=768, n_positions=256, n_embd=8, n_layer=1, n_head=1))
    with torch.no_grad():
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.fill_(1.0)
        model.transformer.wte.weight[said] = 1.0
    model.save_pretrained(tmp_path / "chatterer")
    return tmp_path / "chatterer"


def test_a_stranger_is_told_of_a_token_that_shows_through(chatterer: Path, capsys) -> None:
    stranger.main(str(chatterer))
    assert "of theof the" in capsys.readouterr().out

    path = chatterer / "tokenizer.json"
    serialised = json.loads(path.read_text())
    serialised["decoder"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    path.write_text(json.dumps(serialised))
    with pytest.raises(SystemExit, match="<OF_THE>.*expected plain text"):
        stranger.main(str(chatterer))


def test_a_stranger_is_told_in_a_line_that_a_name_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="^error: .*nothing could not be loaded: [^\\n]*$"):
        stranger.main(str(tmp_path / "nothing"))
