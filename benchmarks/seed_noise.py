"""What makes the seeds of one arm differ less, and does the test hold its level on real seeds?

    for seed in $(seq 100 109); do make sft SCALE=two_cores CONDITION=baseline SEED=$seed OUTPUTS=outputs/tuning; done
    python benchmarks/seed_noise.py --shared_dir outputs/tuning/two_cores --seeds $(seq 100 109) --output_dir seed_noise

Trains every seed again in other ways: pretraining that decays to zero, SFT whose last checkpoints are averaged and,
where the runs have GRPO, GRPO whose rate decays; and scores a checkpoint by samples beside its greedy answer. Each way
is told by the mean and the standard deviation between seeds of the accuracy on fact-bearing problems, chain of thought.
Then A against A: in all splits of the seeds into two groups, how often does the test find a difference that is not
there? What is trained already is not trained again.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file
from scipy import stats
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

from mulfact.data_builders.problems.items import Item
from mulfact.errors import UserError, command
from mulfact.evals.comparison.significance import estimate_difference
from mulfact.evals.comparison.strata import facts_of
from mulfact.evals.evaluation.tasks import read_benchmarks
from mulfact.evals.grading.answers import grade, text_before
from mulfact.layout import run_folder, run_name
from mulfact.provenance import write_json
from mulfact.settings import load_yaml

TASK = "gsm8k_cot"
LEVEL = 0.95
AVERAGED = 5  # checkpoints of SFT
APART = 10  # of its steps

Matrix = np.ndarray  # seeds x items


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the standard deviation between seeds, by way of training.")
    parser.add_argument("--shared_dir", type=Path, required=True, help="the experiment, with the arm's finished runs")
    parser.add_argument("--condition", default="baseline")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--output_dir", type=Path, required=True, help="for what is trained here, and seed_noise.json")
    parser.add_argument("--samples", type=int, default=8, help="of each item, at temperature 1")
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side, each on one core")
    options = parser.parse_args()
    runs = {seed: run_folder(options.shared_dir, options.condition, seed) for seed in options.seeds}
    for run in runs.values():
        if not (run / "sft_final" / "provenance.json").is_file():
            raise UserError(
                f"{run} has no SFT: make sft CONDITION={options.condition} SEED={run_name(run).seed} makes it"
            )

    folders = {seed: options.output_dir / f"seed-{seed}" for seed in runs}
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(train, runs.values(), folders.values()))
    recipe = load_yaml(runs[options.seeds[0]] / "recipes" / "eval.yaml")
    items = fact_bearing(Path(recipe["benchmarks"]))
    found: dict[str, list[np.ndarray]] = {}
    for seed, run in tqdm(runs.items(), desc="scoring", unit="seed"):
        for way, folder, samples in ways(run, folders[seed], options.samples):
            set_seed(seed)
            found.setdefault(way, []).append(score(folder, items, recipe, samples))
    matrices = {way: np.stack(rows) for way, rows in found.items()}
    matrices["sft, greedy and samples"] = (matrices["sft"] + options.samples * matrices["sft, samples"]) / (
        options.samples + 1
    )
    rows = [{"way": way, **describe(matrix)} for way, matrix in matrices.items()]
    write_json(options.output_dir / "seed_noise.json", {"seeds": options.seeds, "items": len(items), "ways": rows})
    show(rows, len(items))


def train(run: Path, folder: Path) -> None:
    """Train one seed in the other ways, on one core, each from the recipe of its run."""
    sft, grpo = (run / "recipes" / f"{stage}.yaml" for stage in ("sft", "grpo"))
    zero = folder / "pretrained_to_zero"
    start("modeling/pretrain.py", run / "recipes" / "pretrain.yaml", zero, min_learning_rate_ratio=0, curve=0,
          checkpoint_dir=folder / "checkpoints", curve_dir=folder / "curve")  # fmt: skip
    start("sft", sft, folder / "sft_from_zero", model_name_or_path=zero)
    start("sft", sft, folder / "sft_checkpoints", save_steps=APART, save_total_limit=AVERAGED)
    if (run / "grpo_final").is_dir():
        start("grpo", grpo, folder / "grpo_decaying", lr_scheduler_type="linear")


def start(program: str, recipe: Path, output: Path, **settings: Any) -> None:
    """Run a stage by its recipe with other settings, unless its model is there."""
    if (output / "model.safetensors").is_file():
        return
    words = [sys.executable, program] if program.endswith(".py") else ["trl", program]
    words += ["--config", str(recipe), "--output_dir", str(output)]
    words += [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    output.parent.mkdir(parents=True, exist_ok=True)
    log = output.with_suffix(".log")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    with log.open("w", encoding="utf-8") as file:
        status = subprocess.run(words, stdout=file, stderr=file, env=environment, check=False).returncode
    if status:
        raise UserError(f"{' '.join(words)} ended with status {status}; {log} tells more")


def fact_bearing(benchmarks: Path) -> list[Item]:
    """Return the problems whose solution uses a fact of 1-9, as the protocol's primary outcome has them."""
    (benchmark,) = (b for b in read_benchmarks(benchmarks) if b.name == TASK)
    return [item for item in benchmark.items if facts_of(item.facts or ())]


def ways(run: Path, folder: Path, samples: int) -> Iterator[tuple[str, Path, int]]:
    """Yield the name, the checkpoint and the samples (0: greedy) of each way."""
    yield "sft", run / "sft_final", 0
    yield "sft, samples", run / "sft_final", samples
    yield "sft, checkpoints averaged", averaged(folder / "sft_checkpoints"), 0
    yield "sft, pretrained to zero", folder / "sft_from_zero", 0
    if (run / "grpo_final").is_dir():
        yield "grpo", run / "grpo_final", 0
        yield "grpo, decaying", folder / "grpo_decaying", 0


def averaged(training: Path) -> Path:
    """Return a checkpoint with the mean of the weights of those that a training has left."""
    target = training / "averaged"
    if not (target / "model.safetensors").is_file():
        kept = sorted(training.glob("checkpoint-*"))
        weights = [load_file(path / "model.safetensors") for path in kept]
        AutoTokenizer.from_pretrained(kept[-1]).save_pretrained(target)
        model = AutoModelForCausalLM.from_pretrained(kept[-1], use_safetensors=True)
        model.load_state_dict({n: torch.stack([w[n] for w in weights]).mean(0) for n in weights[0]}, strict=False)
        model.save_pretrained(target)
    return target


def score(folder: Path, items: Sequence[Item], recipe: dict[str, Any], samples: int) -> np.ndarray:
    """Return the share of each item's answers that are right: of its greedy one, or of so many samples."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model: Any = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)
    model.eval()
    drawn = {"do_sample": True, "top_k": 0, "num_return_sequences": samples} if samples else {"do_sample": False}
    right: list[float] = []
    for first in range(0, len(items), recipe["batch_size"]):
        batch = items[first : first + recipe["batch_size"]]
        inputs = tokenizer([item.prompt for item in batch], return_tensors="pt", padding=True)
        with torch.no_grad():
            ids = model.generate(
                **inputs, **drawn, max_new_tokens=recipe["generation_size"]["cot"],
                pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
            )  # fmt: skip
        texts = tokenizer.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        stops, each = recipe["stop_sequences"]["cot"], max(samples, 1)
        for number, item in enumerate(batch):
            answers = texts[number * each : (number + 1) * each]
            grades = [grade(text_before(text, stops), item.answer, item.answer_rule).correct for text in answers]
            right.append(float(np.mean(grades)))
    return np.array(right)


def describe(matrix: Matrix) -> dict[str, Any]:
    """Return mean, standard deviation between seeds with its 95% interval, and how often A differs from A."""
    by_seed, freedom = matrix.mean(axis=1), len(matrix) - 1
    sd = float(by_seed.std(ddof=1))
    items_noise = float((matrix.var(axis=1)).mean() / matrix.shape[1])
    return {
        "mean": float(by_seed.mean()),
        "by_seed": [round(float(value), 4) for value in by_seed],
        "sd": sd,
        "sd_interval": [sd * sqrt(freedom / float(stats.chi2.ppf(share, freedom))) for share in (0.975, 0.025)],
        "sd_of_items": sqrt(items_noise),
        "rejected": {str(size): rejected(matrix, size) for size in (3, len(matrix) // 2)},
    }


def rejected(matrix: Matrix, size: int) -> float:
    """Return the share of all pairs of groups of so many seeds that the test calls different."""
    seeds, found = range(len(matrix)), []
    for first in combinations(seeds, size):
        for second in combinations([seed for seed in seeds if seed not in first], size):
            if first[0] < second[0]:
                estimate = estimate_difference(matrix[list(first)], matrix[list(second)], LEVEL)
                found.append(estimate.p_value < 1 - LEVEL)
    return float(np.mean(found))


def show(rows: Sequence[dict[str, Any]], items: int) -> None:
    table = Table("way", title=f"accuracy in % on {items} fact-bearing problems, by seed")
    sizes = list(rows[0]["rejected"])
    for name in ("mean", "SD between seeds", "95% of it", *(f"A/A found, {size} and {size}" for size in sizes)):
        table.add_column(name, justify="right")
    for row in rows:
        low, high = (f"{100 * value:.1f}" for value in row["sd_interval"])
        shares = [f"{100 * row['rejected'][size]:.1f}" for size in sizes]
        table.add_row(row["way"], f"{100 * row['mean']:.1f}", f"{100 * row['sd']:.1f}", f"{low}-{high}", *shares)
    Console().print(table)


if __name__ == "__main__":
    main()
