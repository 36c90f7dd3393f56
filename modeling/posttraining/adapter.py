"""A LoRA adapter that TRL trained, merged into the model that it was trained on.

TRL saves the adapter alone. A stage folder holds a whole checkpoint, which any tool loads without PEFT, and the adapter
beside it.
"""

import shutil
from pathlib import Path
from typing import Any

from mulfact.errors import UserError

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
ADAPTER = "adapter"
TRL_DROPOUT = 0.05  # of TRL's ModelConfig


def check_dropout(recipe: dict[str, Any]) -> None:
    """Raise UserError for a LoRA recipe with dropout: GRPO samples its rollouts in train mode."""
    dropout = recipe.get("lora_dropout", TRL_DROPOUT)
    if recipe.get("use_peft") and dropout:
        raise UserError(
            f"lora_dropout is {dropout} (TRL's default is {TRL_DROPOUT}), and dropout would corrupt GRPO's rollouts: "
            "set lora_dropout=0 beside use_peft"
        )


def has_adapter(checkpoint: Path) -> bool:
    return (checkpoint / ADAPTER_FILES[0]).is_file()


def merge_adapter(base: Path, checkpoint: Path, folder: Path) -> None:
    """Write `base` with the adapter of `checkpoint` merged into it to `folder`, and a copy of the adapter."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(base, use_safetensors=True)
    PeftModel.from_pretrained(model, str(checkpoint)).merge_and_unload().save_pretrained(folder)
    (folder / ADAPTER).mkdir()
    for name in ADAPTER_FILES:
        shutil.copy2(checkpoint / name, folder / ADAPTER / name)
