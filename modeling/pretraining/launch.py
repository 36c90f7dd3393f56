"""The Accelerator of a run, with what was launched held against what the recipe says."""

import os
from typing import Literal

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, InitProcessGroupKwargs, parse_flag_from_env, set_seed
from transformers.utils.logging import disable_progress_bar

from mulfact.errors import UserError
from mulfact.modeling.pretrain_arguments import ComputeArguments

Precision = Literal["auto", "bf16", "no"]


def launch(arguments: ComputeArguments, seed: int) -> Accelerator:
    """Return the Accelerator of this process, and make a CPU run bit-identical from one time to the next.

    Raises UserError when the number of processes is not the recipe's, or when they are not connected: some launcher
    settings start processes that each train alone, without a word.
    """
    use_cpu = not torch.cuda.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU")
    if use_cpu:
        os.environ.setdefault("DS_ACCELERATOR", "cpu")  # where it is installed, DeepSpeed else looks for a GPU aloud
    deepspeed = os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true"
    handlers = [InitProcessGroupKwargs(backend="gloo")] if use_cpu and "LOCAL_RANK" in os.environ else []
    # Autocast is the model's own business (gpt2.Objective), hence no mixed precision here.
    accelerator = Accelerator(mixed_precision="no", cpu=use_cpu and not deepspeed, kwargs_handlers=handlers)

    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if {launched, accelerator.num_processes} != {arguments.num_processes}:
        raise UserError(
            f"pretrain.num_processes is {arguments.num_processes}, the launcher started {launched} and "
            f"{accelerator.num_processes} of them are connected: use the accelerate_configs/ file for this machine and "
            "give both the same number"
        )
    if accelerator.num_processes > 1 and accelerator.distributed_type == DistributedType.NO:
        raise UserError("the processes are connected but would not share gradients: use a file of accelerate_configs/")
    set_seed(seed)
    disable_progress_bar()  # of saving: it would cut through the lines of the run
    if use_cpu:
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs time, guards nothing here
    elif arguments.mixed_precision == "bf16":
        torch.set_float32_matmul_precision("high")
    return accelerator


def resolve_precision(setting: Precision, device: torch.device) -> Precision:
    """Return what "auto" means on `device`: "bf16" where the hardware multiplies it (emulation is slow), else "no".

    Raises UserError when the recipe insists on bf16 on a GPU that has none.
    """
    if device.type == "cuda":
        supported = torch.cuda.is_bf16_supported(including_emulation=False)
        if setting == "bf16" and not supported:
            raise UserError(
                f"pretrain.mixed_precision is bf16, which a {torch.cuda.get_device_name()} has not: set it to no"
            )
    else:
        capabilities = torch.cpu.get_capabilities()
        supported = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    if setting != "auto":
        return setting
    return "bf16" if supported else "no"


def is_lost_connection(error: Exception) -> bool:
    """Return whether a collective failed because another process is gone; gloo has no error class of its own."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)


def configure_deepspeed(
    accelerator: Accelerator, micro_batch_size: int, accumulation: int, max_grad_norm: float
) -> None:
    """Tell DeepSpeed, where it is in use, what it would otherwise take from a data loader or its own file."""
    plugin = accelerator.state.deepspeed_plugin
    if plugin is not None:
        plugin.deepspeed_config.update(
            train_micro_batch_size_per_gpu=micro_batch_size,
            gradient_accumulation_steps=accumulation,
            gradient_clipping=max_grad_norm,
        )
