"""LoRA by TRL's own command: what is published is a whole checkpoint that computes what base and adapter computed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_tokenizers
import torch
import yaml
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from mulfact.errors import UserError
from mulfact.modeling.posttraining.adapter import check_dropout
from mulfact.modeling.trl_stage import finish, prepare


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, Any]:
    """A flat SFT recipe with LoRA over a tiny model and data set."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizers.build("weak"))
    config = GPT2Config(
        vocab_size=768, n_positions=128, n_embd=32, n_layer=2, n_head=2, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    (tmp_path / "posttrain/sft").mkdir(parents=True)
    rows = [{"prompt": f"Question: What is {n}*2?\nAnswer:", "completion": f" #### {2 * n}"} for n in range(16)]
    for split in ("train", "validation"):
        (tmp_path / f"posttrain/sft/{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for folder in ("base", "posttrain"):
        (tmp_path / folder / "provenance.json").write_text("{}")
    return {
        "output_dir": str(tmp_path / "sft_training"), "model_name_or_path": str(tmp_path / "base"),
        "dataset_name": str(tmp_path / "posttrain/sft"), "dataset_train_split": "train",
        "dataset_test_split": "validation", "seed": 0, "max_length": 64, "pad_to_multiple_of": 64,
        "per_device_train_batch_size": 4, "max_steps": 4, "learning_rate": 0.01, "save_strategy": "steps",
        "save_steps": 2, "save_total_limit": 1, "use_cpu": True, "bf16": False, "gradient_checkpointing": False,
        "report_to": "none", "eval_strategy": "no", "logging_steps": 1, "use_peft": True, "lora_r": 4, "lora_alpha": 8,
        "lora_dropout": 0.0,
    }  # fmt: skip


def test_the_published_checkpoint_is_base_and_adapter_in_one(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mulfact.modeling.trl_stage.input_hash", lambda path: "0")
    monkeypatch.setattr("mulfact.provenance.input_hash", lambda path: "0")
    prepare(recipe)
    path = tmp_path / "sft.yaml"
    path.write_text(yaml.safe_dump(recipe))
    trl = [str(Path(sys.executable).with_name("trl")), "sft", "--config", str(path)]
    result = subprocess.run(trl, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]

    ids = torch.arange(5, 25).view(2, 10)
    with torch.no_grad():
        base = AutoModelForCausalLM.from_pretrained(tmp_path / "base").eval()
        before = base(ids).logits
        adapted = PeftModel.from_pretrained(base, recipe["output_dir"]).eval()(ids).logits
    assert (adapted - before).abs().max() > 1e-3, "the adapter changed nothing"

    finish(recipe, {"generation_size": {"cot": 9}}, tmp_path / "sft_final")
    published = AutoModelForCausalLM.from_pretrained(tmp_path / "sft_final").eval()
    assert type(published) is GPT2LMHeadModel
    assert published.lm_head.weight is published.transformer.wte.weight
    assert (published.generation_config.do_sample, published.generation_config.max_new_tokens) == (False, 9)
    with torch.no_grad():
        torch.testing.assert_close(published(ids).logits, adapted, atol=1e-5, rtol=0)
    assert {file.name for file in (tmp_path / "sft_final/adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    assert not Path(recipe["output_dir"]).exists()


def test_dropout_is_refused_also_where_it_is_trls_default(recipe: dict[str, Any]) -> None:
    check_dropout(recipe)
    del recipe["lora_dropout"]
    with pytest.raises(UserError, match=r"lora_dropout is 0.05 .*set lora_dropout=0 beside use_peft"):
        prepare(recipe)
    check_dropout(recipe | {"use_peft": False})
