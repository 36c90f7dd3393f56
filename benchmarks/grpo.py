"""How long a GRPO update takes, what part of it is generation, and which way of generating is the fastest.

    OMP_NUM_THREADS=1 MALLOC_MMAP_THRESHOLD_=2000000000 MALLOC_TRIM_THRESHOLD_=4000000000 python benchmarks/grpo.py
    python benchmarks/grpo.py --recipe outputs/pilot/mulfact/seed-0/recipes/grpo.yaml --updates 5   # on a GPU
    python benchmarks/grpo.py --generation_only                             # without the rows of other micro-batches

Each row is TRL's own trainer on the recipe but for the setting that its name says, from the same SFT checkpoint and
seed. Scoring is the reward and the log-probabilities of the reference model; training is forward, backward and step.
`same` is the share of the first update's completions that are those of the first row, token by token: a row with less
than 100% samples something else. On a CPU, times are CPU seconds, so that a busy machine does not count against anyone;
the first command has the environment of `make smoke`, whose SFT checkpoint it starts from.
"""

import argparse
import gc
import importlib.util
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from datasets import load_dataset
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOTrainer, get_peft_config
from trl.scripts.grpo import make_parser

from mulfact.errors import UserError, command, first_line
from mulfact.evals.rewards import exact_match

RECIPE = Path("outputs/smoke/mulfact/seed-0/recipes/grpo.yaml")
GENERATION: dict[str, dict[str, Any]] = {
    "the recipe": {},
    "static cache, compiled on a GPU": {"cache_implementation": "static"},
    # Beside the trainer in one process, with as much of the GPU as a model of this size needs for its rollouts.
    "vLLM, colocated": {"use_vllm": True, "vllm_mode": "colocate", "vllm_gpu_memory_utilization": 0.15},
    "continuous batching": {"use_transformers_continuous_batching": True},
}
COLUMNS = ("s/update", "ratio", "generation", "scoring", "training", "tokens/s", "GB", "same")
QUIET = {
    "save_strategy": "no", "log_completions": False, "disable_tqdm": True, "logging_steps": 1000, "report_to": "none",
    "logging_first_step": False,
}  # fmt: skip


@dataclass
class Record:
    """Seconds of each update by part, and what was sampled."""

    update: list[float] = field(default_factory=list)
    generation: list[float] = field(default_factory=list)
    scoring: list[float] = field(default_factory=list)  # with the generation that lies in it
    completions: list[list[list[int]]] = field(default_factory=list)
    peak_bytes: int = 0  # on a GPU

    def mean(self, part: str) -> float:
        """Return seconds an update; the first one warms up and is left out."""
        seconds = getattr(self, part)[1:]
        return sum(seconds) / len(seconds)


class TimedTrainer(GRPOTrainer):
    """TRL's trainer with a stopwatch around generation and scoring."""

    record: Record

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        begun = now()
        result = super()._generate_single_turn(*args, **kwargs)
        self.record.generation.append(now() - begun)
        self.record.completions.append(result[0])
        return result

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        begun = now()
        result = super()._generate_and_score_completions(inputs)
        self.record.scoring.append(now() - begun)
        return result


class Stopwatch(TrainerCallback):
    """Times whole updates, the fetching of prompts left out."""

    def __init__(self, record: Record) -> None:
        self.record, self.begun = record, 0.0

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self.begun = now()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.record.update.append(now() - self.begun)


def now() -> float:
    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Time GRPO's updates and its ways of generating.")
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="the flat recipe of a run whose SFT is finished")
    parser.add_argument("--updates", type=int, default=3, help="timed updates of each row, after one that warms up")
    parser.add_argument("--generation_only", action="store_true", help="only the ways of generating")
    options = parser.parse_args()
    if not options.recipe.is_file():
        raise UserError(f"{options.recipe} does not exist: run make sft first, or name another run's by --recipe")
    _, _, model, _ = parse(options.recipe, {})
    if not Path(model.model_name_or_path).is_dir():
        raise UserError(f"{model.model_name_or_path} does not exist: run make sft first, for the run of this recipe")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.simplefilter("ignore", FutureWarning)  # of flags that only TRL's parser sets

    print(f"{'':34}" + "".join(f"{column:>11}" for column in COLUMNS), flush=True)
    first = None
    for name, settings in rows(options.recipe, options.generation_only).items():
        try:
            record = run(options.recipe, {"max_steps": options.updates + 1, **QUIET, **settings})
        except Exception as error:  # a way of generating that this model or machine has not is a result too
            if first is None:
                raise
            print(f"{name:34}  not measured: {first_line(error)[:100]}", flush=True)
        else:
            first = first or record
            print(f"{name:34}" + "".join(f"{cell:>11}" for cell in cells(record, first)), flush=True)
        gc.collect()
        torch.cuda.empty_cache()


def rows(recipe: Path, generation_only: bool) -> dict[str, dict[str, Any]]:
    """Return the rows: the ways of generating, and the same rollouts trained in micro-batches of other sizes."""
    if generation_only:
        return GENERATION
    _, config, *_ = parse(recipe, {})
    rollouts = config.per_device_train_batch_size * config.gradient_accumulation_steps
    sizes = (config.per_device_train_batch_size // 2, config.per_device_train_batch_size * 2, rollouts)
    return GENERATION | {
        f"micro-batches of {size}": {
            "per_device_train_batch_size": size,
            "gradient_accumulation_steps": rollouts // size,
        }
        for size in sorted({*sizes} - {config.per_device_train_batch_size})
        if size <= rollouts
    }


def parse(recipe: Path, settings: dict[str, Any]) -> tuple[Any, ...]:
    """Return what TRL's own command makes of the recipe with some settings changed."""
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return make_parser().parse_args_and_config(args=["--config", str(recipe), *words])


def run(recipe: Path, settings: dict[str, Any]) -> Record:
    """Return the times of a few updates that leave nothing behind. Raises UserError without vLLM where it is asked."""
    if settings.get("use_vllm") and importlib.util.find_spec("vllm") is None:
        raise UserError("vllm is not installed; TRL 1.16 takes 0.22 to 0.31")
    with tempfile.TemporaryDirectory() as scratch:
        script, config, model, _ = parse(recipe, {**settings, "output_dir": scratch})
        record = Record()
        trainer = TimedTrainer(
            model=model.model_name_or_path,
            reward_funcs=[exact_match],  # type: ignore[list-item]
            args=config,
            train_dataset=load_dataset(script.dataset_name, split=script.dataset_train_split),
            peft_config=get_peft_config(model),
            callbacks=[Stopwatch(record)],
        )
        trainer.record = record
        trainer.remove_callback(PrinterCallback)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        trainer.train()
        record.peak_bytes = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return record


def cells(record: Record, first: Record) -> list[str]:
    """Return the columns of a row; `first` is the record of the first one."""
    update, generation = record.mean("update"), record.mean("generation")
    scoring = record.mean("scoring") - generation
    sampled = [sum(map(len, completions)) for completions in record.completions[1:]]
    pairs = list(zip(first.completions[0], record.completions[0], strict=True))
    return [
        f"{update:.2f}", f"{first.mean('update') / update:.2f}", f"{generation / update:.0%}",
        f"{scoring / update:.0%}", f"{1 - (generation + scoring) / update:.0%}",
        f"{sum(sampled) / len(sampled) / generation:,.0f}", f"{record.peak_bytes / 1e9:.1f}",
        f"{sum(one == other for one, other in pairs) / len(pairs):.0%}",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
