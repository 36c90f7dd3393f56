"""What GRPO's rollouts took: their lengths in tokens, and the FLOPs of sampling, scoring and learning from them.

    python -c "from mulfact.evals.compute.rollouts import *; print(read_rollouts('.../grpo_final')[0].width)"

TRL pads the rollouts of one generation batch to its longest prompt and its longest completion, samples until the
longest completion ends, and sends the padded rows through every pass; micro-batches keep that width. So the tokens of
the rollouts, the useful part, are less than what is computed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from mulfact.errors import UserError
from mulfact.modeling.gpt2.flops import ModelShape, backward_flops, forward_flops, generation_flops

UNPADDED_SAMPLING = ("use_vllm", "use_transformers_continuous_batching", "use_transformers_paged")

Flops = dict[str, int]  # by part: sampling and the passes


@dataclass(frozen=True)
class GenerationBatch:
    """The rollouts that were sampled together, over all processes."""

    prompts: list[int]  # tokens, a number for each rollout
    completions: list[int]

    @property
    def width(self) -> tuple[int, int]:
        """The longest prompt and the longest completion: with several processes, the widest of them."""
        return max(self.prompts), max(self.completions)


def read_rollouts(folder: Path, generate_every: float = 1.0) -> list[GenerationBatch]:
    """Return the generation batches of a GRPO stage from its logged completions and its tokenizer.

    `generate_every`: updates for each generation. Where it is above 1, TRL logs a batch again at each update that
    learns from it, and it is read once; where it is below 1, TRL logs the last batch of an update alone.
    Raises UserError when the completions are missing, differ in number, or lack their tokens' count.
    """
    logged = Path(folder) / "completions"
    files = sorted(logged.glob("*.parquet"))[:: max(1, round(generate_every))]
    tables = [read_table(file) for file in files]
    sizes = sorted({table.num_rows for table in tables})
    if len(sizes) != 1:
        raise UserError(
            f"{logged}: found {len(files)} files with {sizes} rows, expected one size; set grpo.log_completions=true "
            "and run make grpo again"
        )
    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    return [
        GenerationBatch(
            [len(encoding.ids) for encoding in tokenizer.encode_batch(table["prompt"].to_pylist())],
            table["completion_tokens"].to_pylist(),
        )
        for table in tables
    ]


def read_table(file: Path) -> pa.Table:
    """Return the prompts and the completions' lengths of one file of logged completions."""
    try:
        return pq.read_table(file, columns=["prompt", "completion_tokens"])
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{file} cannot be read ({error}); run make grpo again") from error


@dataclass(frozen=True)
class Passes:
    """Which passes a rollout goes through after it was sampled."""

    updates: int  # forward and backward passes of the policy
    reference: bool  # a forward pass of the reference model, for the KL term
    old_policy: bool  # a forward pass of the policy that sampled it, when it is trained on later than sampled
    frozen: bool  # LoRA: the base weights get no gradient

    @classmethod
    def of(cls, recipe: Mapping[str, Any]) -> Self:
        """Read the passes from a GRPO recipe, by the rules of TRL's GRPOTrainer."""
        iterations, accumulation = recipe.get("num_iterations", 1), recipe.get("gradient_accumulation_steps", 1)
        aligned = accumulation % (steps_per_generation(recipe) * iterations) == 0
        corrected = recipe.get("use_vllm") and recipe.get("vllm_importance_sampling_correction", True)
        return cls(
            updates=iterations,
            reference=bool(recipe.get("beta", 0.0)),
            old_policy=not aligned or bool(corrected),
            frozen=bool(recipe.get("use_peft")),
        )


def steps_per_generation(recipe: Mapping[str, Any]) -> int:
    """Return how many micro-batches one generation batch is cut into on each process; TRL's default is an update's."""
    return recipe.get("steps_per_generation") or recipe.get("gradient_accumulation_steps", 1)


def updates_per_generation(recipe: Mapping[str, Any]) -> float:
    """Return how many updates are made before completions are sampled anew."""
    iterations, accumulation = recipe.get("num_iterations", 1), recipe.get("gradient_accumulation_steps", 1)
    return steps_per_generation(recipe) * iterations / accumulation


def useful_and_spent_flops(
    shape: ModelShape, recipe: Mapping[str, Any], batches: Sequence[GenerationBatch], share: float = 1.0
) -> tuple[Flops, Flops]:
    """Return the FLOPs by part that the rollouts' own tokens need, and those of the rows as they were computed.

    vLLM and continuous batching sample without padding; every other pass is over padded rows.
    `share`: all rollouts of the stage over those of `batches`.
    """
    passes = Passes.of(recipe)
    lengths = Counter(pair for batch in batches for pair in zip(batch.prompts, batch.completions, strict=True))
    useful = total((grpo_flops(shape, passes, count, *pair) for pair, count in lengths.items()), share)
    spent = total((grpo_flops(shape, passes, len(batch.prompts), *batch.width) for batch in batches), share)
    if any(recipe.get(key) for key in UNPADDED_SAMPLING):
        spent["generation"] = useful["generation"]
    return useful, spent


def total(counts: Iterable[Flops], share: float) -> Flops:
    """Return the sum of several counts, part by part, times `share`."""
    summed: Counter[str] = Counter()
    for flops in counts:
        summed.update(flops)
    return {part: round(share * count) for part, count in summed.items()}


def grpo_flops(shape: ModelShape, passes: Passes, rollouts: int, prompt: float, completion: float) -> Flops:
    """Return the FLOPs by part for rollouts with `prompt` + `completion` tokens; only completions are scored."""
    scored = forward_flops(shape, rollouts, prompt + completion, scored=completion)
    return {
        "generation": generation_flops(shape, rollouts, prompt, completion),
        "reference": scored if passes.reference else 0,
        "old_policy": scored if passes.old_policy else 0,
        "forward": passes.updates * scored,
        "backward": passes.updates * backward_flops(scored, passes.frozen),
    }
