"""The settings of the `pretrain` section, one dataclass per concern. Their values have one home: recipes/base.yaml."""

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_origin

from mulfact.errors import UserError

# Settings that change neither the weights nor what was validated: a finished run need not be trained again for them.
HOUSEKEEPING = ("num_processes", "save_steps", "save_minutes", "keep_checkpoints", "log_steps", "report_to",
                "price_per_hour")  # fmt: skip


def setting(text: str) -> Any:
    """Declare a setting without a default: a recipe names every value, so that the flat file is the whole record."""
    return field(metadata={"help": text})


@dataclass(kw_only=True)
class PathArguments:
    """What is read and where the run writes."""

    output_dir: str = setting("the finished model folder; it appears when the last step is done")
    checkpoint_dir: str = setting("checkpoints and metrics of the unfinished run; removed when output_dir is published")
    curve_dir: str = setting("the weights on the way, a folder for each point; it appears just before output_dir")
    tokenizer: str = setting("the arm's tokenizer folder")
    tokens: str = setting("the arm's token shards")
    seed: int = setting("of the initial weights and of the order of the documents")


@dataclass(kw_only=True)
class ModelArguments:
    """The shape of the GPT-2."""

    n_layer: int = setting("transformer blocks")
    n_head: int = setting("attention heads of a block")
    n_embd: int = setting("width of the residual stream")
    n_positions: int = setting("longest sequence that the model can read")


@dataclass(kw_only=True)
class ComputeArguments:
    """How much is computed, and how. Those down to allow_epochs fix the compute."""

    sequence_length: int = setting("tokens that a training sequence predicts")
    tokens_per_step: int = setting("tokens of an optimizer step, over all processes")
    max_steps: int | None = setting("optimizer steps; null: as many as reach one of the targets")
    target_tokens: int | None = setting("training tokens, rounded up to whole steps")
    target_flops: float | None = setting("training FLOPs, forward and backward, rounded up to whole steps")
    steps_factor: float = setting("of the steps that follow from these; other than 1 in a declared control alone")
    bytes_as: str | None = setting("tokens of an arm: as many raw bytes are read as it reads; a declared control's")
    allow_epochs: bool = setting("allow the corpus to be read more than once")
    micro_batch_size: int = setting("sequences per process and forward pass, at most")
    num_processes: int = setting("asserted against what was launched")
    mixed_precision: Literal["auto", "bf16", "no"] = setting(
        "precision of activations, auto: bf16 where the hardware has it; weights and optimizer stay in float32"
    )
    bf16_residual: bool = setting("where precision is bf16: keep the residual stream in it too, as llm.c does")
    loss: Literal["plain", "chunked", "liger", "liger_cutedsl"] = setting(
        "how the output head and the cross-entropy are computed"
    )
    compile: bool = setting("compile the model with torch.compile")
    compile_mode: Literal["default", "tuned", "graphs"] = setting(
        "tuned: Inductor tries more kernels for the matrix products, for minutes; graphs: CUDA graphs"
    )


@dataclass(kw_only=True)
class OptimizationArguments:
    """AdamW and its learning rate."""

    learning_rate: float = setting("at the peak")
    min_learning_rate_ratio: float = setting("of the last step's learning rate to the peak")
    warmup_steps: int = setting("steps of linear warmup")
    schedule: Literal["cosine", "wsd"] = setting("what follows the warmup: a cosine, or a plateau and a linear decay")
    decay_ratio: float = setting("share of the steps in the final decay of wsd")
    weight_decay: float = setting("on matrices and embeddings; biases and layer norms have none")
    adam_beta1: float = setting("decay of AdamW's mean")
    adam_beta2: float = setting("decay of AdamW's variance")
    max_grad_norm: float = setting("gradients are clipped to this norm")


@dataclass(kw_only=True)
class OperationArguments:
    """What is measured and saved on the way."""

    eval_steps: int = setting("steps between validations; the last step is always validated")
    eval_bytes: int = setting("raw bytes of validation text, in whole documents: the same documents in every arm")
    save_steps: int = setting("steps between checkpoints")
    save_minutes: float | None = setting("also save when so many minutes have passed since the last checkpoint")
    keep_checkpoints: int = setting("newest checkpoints that are kept, beside the best one")
    curve: int = setting("points of the run at which the weights are kept, spaced by the logarithm of tokens; 0: none")
    log_steps: int = setting("steps between log lines")
    report_to: Literal["none", "tensorboard"] = setting("where the curve goes beside metrics.jsonl")
    price_per_hour: float | None = setting("dollars for one device; adds the cost so far to the log lines")


@dataclass(kw_only=True)
class PretrainArguments(OperationArguments, OptimizationArguments, ComputeArguments, ModelArguments, PathArguments):
    """All settings of modeling/pretrain.py. Raises UserError for a value outside of what CHOICES and RANGES allow."""

    def __post_init__(self) -> None:
        if str(self.mixed_precision) == "False":  # how YAML reads a bare no
            self.mixed_precision = "no"
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UserError(f"pretrain.{name} is {getattr(self, name)}: expected {' or '.join(choices)}")
        for name, (least, greatest) in RANGES.items():
            value = getattr(self, name)
            # What base.yaml leaves null may come as anything.
            if value is not None and not (isinstance(value, int | float) and least <= value <= greatest):
                upper = "" if greatest == math.inf else f" and at most {greatest:g}"
                raise UserError(f"pretrain.{name} is {value!r}: expected at least {least:g}{upper}")
        if self.compile_mode != "default" and not self.compile:
            raise UserError(f"pretrain.compile_mode is {self.compile_mode}, which needs pretrain.compile: true")
        if self.n_embd % self.n_head:
            raise UserError(
                f"pretrain.n_embd is {self.n_embd}: it must be a multiple of pretrain.n_head ({self.n_head})"
            )
        if self.sequence_length > self.n_positions:
            raise UserError(
                f"pretrain.sequence_length is {self.sequence_length}: it must not exceed pretrain.n_positions "
                f"({self.n_positions})"
            )
        divide_step(self, self.num_processes)


def divide_step(arguments: ComputeArguments, num_processes: int) -> tuple[int, int]:
    """Return how many sequences a step has, and how many of them one of `num_processes` takes in a forward pass.

    Raises UserError when the tokens of a step cannot be divided into whole sequences, processes and micro-batches.
    """
    sequences, rest = divmod(arguments.tokens_per_step, arguments.sequence_length)
    if rest or sequences == 0:
        raise UserError(
            f"pretrain.tokens_per_step is {arguments.tokens_per_step}: it must be a multiple of "
            f"pretrain.sequence_length ({arguments.sequence_length})"
        )
    share, rest = divmod(sequences, num_processes)
    if rest:
        raise UserError(
            f"pretrain.num_processes is {num_processes}: a step has {sequences} sequences (pretrain.tokens_per_step / "
            f"pretrain.sequence_length), which so many processes cannot share; launch a divisor of {sequences}"
        )
    size = min(arguments.micro_batch_size, share)
    if size < 1 or share % size:
        raise UserError(
            f"pretrain.micro_batch_size is {arguments.micro_batch_size}: each of {num_processes} processes has {share} "
            f"sequences in a step; set it to a divisor of {share}"
        )
    return sequences, size


# The types above are not enforced when a recipe is read.
CHOICES = {
    field.name: get_args(field.type) for field in fields(PretrainArguments) if get_origin(field.type) is Literal
}  # fmt: skip
SMALLEST = 1e-12  # of what must be above zero
RANGES = {
    "seed": (0, 2**32 - 1), "n_layer": (1, math.inf), "n_head": (1, math.inf), "n_embd": (1, math.inf),
    "steps_factor": (SMALLEST, math.inf),
    "n_positions": (1, math.inf), "sequence_length": (1, math.inf), "tokens_per_step": (1, math.inf),
    "micro_batch_size": (1, math.inf), "num_processes": (1, math.inf), "max_steps": (1, math.inf),
    "target_tokens": (1, math.inf), "target_flops": (1, math.inf), "learning_rate": (SMALLEST, math.inf),
    "min_learning_rate_ratio": (0, 1), "warmup_steps": (0, math.inf), "decay_ratio": (0, 1),
    "weight_decay": (0, math.inf), "adam_beta1": (0, 1 - SMALLEST), "adam_beta2": (0, 1 - SMALLEST),
    "max_grad_norm": (SMALLEST, math.inf), "eval_steps": (1, math.inf), "eval_bytes": (1, math.inf),
    "save_steps": (1, math.inf), "save_minutes": (SMALLEST, math.inf), "keep_checkpoints": (1, math.inf),
    "curve": (0, math.inf), "log_steps": (1, math.inf), "price_per_hour": (0, math.inf),
}  # fmt: skip
