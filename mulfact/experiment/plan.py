"""What an experiment will cost before a cent is spent: parameters, tokens, FLOPs, memory, hours and dollars by stage.

    make plan SCALE=gpt2_124m GPU=h100 PRICE=2.5 SEEDS="0 1 2"             # FIGURE=plan.svg draws what it can see
    python -m mulfact.experiment.plan --scale gpt2_124m --conditions baseline mulfact --seeds 0 1 2 --gpu h100

Positions and FLOPs follow from the recipes. Hours and memory are estimates, and the table says on what they rest: the
share of the device's peak that training reaches, the time of one generated token, and the sizes of activations.
The data stages, which need no GPU, are left out, and so is what loading and compiling take.
"""

import argparse
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console
from rich.table import Table

from mulfact.command_line import Conditions, FigurePath, Jobs, Price, Seeds
from mulfact.data_builders.problem_sets.reasoning_gym_probes import GENERATORS
from mulfact.errors import UserError, command
from mulfact.evals.compute.rollouts import Passes, grpo_flops
from mulfact.experiment import remembered
from mulfact.experiment.power import measured_seeds, power_table
from mulfact.layout import TRAINED
from mulfact.modeling.gpt2.flops import PEAK_FLOPS, ModelShape, backward_flops, forward_flops
from mulfact.modeling.posttraining.processes import divide
from mulfact.modeling.pretraining.progress import clock
from mulfact.modeling.pretraining.steps import resolve_steps
from mulfact.provenance import query_gpus
from mulfact.recipe import compose_runs, controls_named

# Share of the bf16 peak, GPT-2 124M on one H100 (docs/results/2026-11-23-h100-pilot): the whole loop reached 44.3%, its
# bare step without torch.compile 28.5%, with Liger's loss 37.6%, and transformers' eager GPT-2, on which TRL's trainers
# rest, 14% to 15.5%.
UTILIZATION = {"compiled": 0.43, "uncompiled": 0.28, "uncompiled_liger": 0.37, "eager": 0.14}
# Assumed: generate spends its time launching kernels, about 2 ms a layer and token. An update of the pilot
# (8 layers, 224 tokens, 256 rollouts) took 3.0 s with its training on an H100, so generation took less than 1.7 ms.
SECONDS_PER_LAYER_AND_TOKEN = 0.002
CORE_PEAK = 3.5e11  # of one CPU core, by UTILIZATION: pretraining at the scale smoke takes about three minutes
PROMPT_TOKENS = 128  # of a GRPO prompt: GSM8K questions have about 60 words
GSM8K_TEST_ITEMS = 1319
TABLE_ITEMS = 400 + 8 * 81  # of the probes of known size: table_20, and the facts of 1-9 in eight phrasings
SAMPLED_PROBES = 3
WORD_PROBLEM_ITEMS = {"svamp": 1000, "multiarith": 600, "asdiv": 2305}
FACT_BEARING = 0.5  # of the synthetic problems, which is the part that the primary outcome is about
TOKEN_BYTES = 0.45  # of token shards for each byte of text
CHECKPOINT_COPIES = 3  # weights and the two moments
# Bytes of text a second of a core, docs/results/2026-11-23-data-speed.md: a worker makes and a worker encodes so many,
# and one process mixes what all have made.
GENERATED, ENCODED, MIXED = 1.7e6, 1.6e6, 13.6e6
PARAMETER_BYTES = 16  # float32 weight, gradient and the two moments of AdamW
# Per position, layer and unit of width, without attention scores: compiled (Korthikanti et al. 2022), and eager, with
# the bytes of a logit, fitted to the pilot on an H100: 8.7 GB in SFT of 16,384 positions, 41 GB in GRPO of 90,000.
ACTIVATION_BYTES = 34
UNCOMPILED_ACTIVATION_BYTES = 40
EAGER_ACTIVATION_BYTES = 90
EAGER_LOGIT_BYTES = 12


@dataclass(frozen=True)
class StagePlan:
    """One stage of one run on one device: `flops` of training and generation, `memory` at its peak in bytes."""

    name: str
    steps: int
    positions: int
    flops: float
    memory: float
    seconds: float


def plan_pretraining(section: dict[str, Any], shape: ModelShape, peak: float) -> StagePlan:
    """Return the plan of pretraining."""
    arguments = SimpleNamespace(**section)
    steps = resolve_steps(arguments, shape.vocab_size)  # type: ignore[arg-type]
    positions = steps * arguments.tokens_per_step
    forward = forward_flops(shape, positions / arguments.sequence_length, arguments.sequence_length)
    flops = forward + backward_flops(forward)
    micro_batch = arguments.micro_batch_size * arguments.sequence_length
    seconds = flops / (peak * pretraining_utilization(section))
    memory = training_memory(shape, micro_batch, arguments.loss == "plain", arguments.compile)
    return StagePlan("pretrain", steps, positions, flops, memory, seconds / arguments.num_processes)


def pretraining_utilization(section: dict[str, Any]) -> float:
    """Return the share of the peak that pretraining is expected to reach."""
    uncompiled = "uncompiled_liger" if section["loss"].startswith("liger") else "uncompiled"
    return UTILIZATION["compiled" if section["compile"] else uncompiled]


def plan_sft(section: dict[str, Any], shape: ModelShape, peak: float, processes: int = 1) -> StagePlan:
    """Return the plan of SFT on so many devices: every row is padded to max_length."""
    rows = section["per_device_train_batch_size"]
    examples = section["max_steps"] * rows * section["gradient_accumulation_steps"]
    forward = forward_flops(shape, examples, section["max_length"])
    flops = forward + backward_flops(forward, frozen=bool(section.get("use_peft")))
    memory = eager_training_memory(shape, divide(section, processes, "sft").rows * section["max_length"])
    seconds = flops / (peak * UTILIZATION["eager"]) / processes
    return StagePlan("sft", section["max_steps"], examples * section["max_length"], flops, memory, seconds)


def plan_grpo(section: dict[str, Any], shape: ModelShape, peak: float, processes: int = 1) -> StagePlan:
    """Return the plan of GRPO on so many devices, every completion at its longest.

    Devices share the rollouts of a generation, but a token takes its launches on each of them.
    """
    steps, length = section["max_steps"], section["max_completion_length"]
    rows = section["per_device_train_batch_size"]
    rollouts = steps * rows * section["gradient_accumulation_steps"] // section.get("num_iterations", 1)
    passes = Passes.of(section)
    parts = grpo_flops(shape, passes, rollouts, PROMPT_TOKENS, length)
    training = sum(parts.values()) - parts["generation"]
    batches = rollouts / (rows * section["gradient_accumulation_steps"])
    seconds = training / (peak * UTILIZATION["eager"]) / processes
    seconds += batches * length * shape.n_layer * SECONDS_PER_LAYER_AND_TOKEN
    memory = eager_training_memory(shape, divide(section, processes, "grpo").rows * (PROMPT_TOKENS + length))
    memory += 4 * shape.parameters if passes.reference else 0
    return StagePlan("grpo", steps, rollouts * (PROMPT_TOKENS + length), sum(parts.values()), memory, seconds)


def plan_evaluation(stages: dict[str, dict[str, Any]], shape: ModelShape) -> StagePlan:
    """Return the plan of evaluating the checkpoints of a run, every completion at its longest; `steps` are batches."""
    section, benchmarks = stages["eval"], stages["benchmarks"]
    problems = GSM8K_TEST_ITEMS if benchmarks["gsm8k"] else benchmarks["synthetic_problems"]
    items = [("cot", problems), ("direct", problems), ("direct", TABLE_ITEMS)]
    items += SAMPLED_PROBES * [("direct", benchmarks["probe_items"])]
    items += [("direct", count) for name, count in WORD_PROBLEM_ITEMS.items() if benchmarks[name]]
    items += [(GENERATORS[name].style, benchmarks["probe_items"]) for name in benchmarks["reasoning_gym"]]
    checkpoints, lengths = len(section["checkpoints"]), section["generation_size"]
    positions = checkpoints * sum(count * (PROMPT_TOKENS + lengths[style]) for style, count in items)
    batches = [(math.ceil(count / section["batch_size"]), lengths[style]) for style, count in items]
    tokens = checkpoints * sum(count * length for count, length in batches)
    flops = forward_flops(shape, positions / PROMPT_TOKENS, PROMPT_TOKENS)
    cache = 2 * section["batch_size"] * (PROMPT_TOKENS + max(lengths.values())) * shape.n_layer * shape.n_embd
    return StagePlan(
        "eval",
        checkpoints * sum(count for count, _ in batches),
        positions,
        flops,
        4 * (shape.parameters + cache),
        tokens * shape.n_layer * SECONDS_PER_LAYER_AND_TOKEN,
    )


def training_memory(shape: ModelShape, positions: int, keeps_logits: bool, compiled: bool = True) -> float:
    """Return the peak bytes of a device that trains on `positions` at a time, in bf16 with float32 weights.

    For 64 x 1024 positions of GPT-2 124M this gives 29.1 GB with the logits and 22.5 GB without, 65.7 and 26.1 GB where
    nothing is compiled; 28.1, 23.3, 63.5 and 26.0 GB were measured (docs/results/2026-11-23-h100-pilot).
    """
    activations = (ACTIVATION_BYTES if compiled else UNCOMPILED_ACTIVATION_BYTES) * positions
    activations *= shape.n_layer * shape.n_embd
    logits = (2 if compiled else EAGER_LOGIT_BYTES) * positions * shape.vocab_size if keeps_logits else 0
    return PARAMETER_BYTES * shape.parameters + activations + logits


def eager_training_memory(shape: ModelShape, positions: int) -> float:
    """Return the peak bytes of a device on which one of TRL's trainers trains on `positions` at a time, in bf16."""
    activations = EAGER_ACTIVATION_BYTES * positions * shape.n_layer * shape.n_embd
    return PARAMETER_BYTES * shape.parameters + activations + EAGER_LOGIT_BYTES * positions * shape.vocab_size


def peak_flops(gpu: str) -> tuple[str, float]:
    """Return a device's full name and dense bf16 peak; `cpu` is one core. Raises UserError for an unknown one."""
    wanted = re.sub(r"[\s_-]+", " ", gpu).strip().casefold()
    if wanted == "cpu":
        return "CPU core", CORE_PEAK
    for name, peak in PEAK_FLOPS.items():
        if wanted in (name.casefold(), name.casefold().removeprefix("rtx ")):
            return name, peak
    raise UserError(f"GPU is {gpu!r}: its peak is not known; choose one of cpu, {', '.join(PEAK_FLOPS)}")


def plan_run(stages: dict[str, dict[str, Any]], peak: float) -> tuple[ModelShape, list[StagePlan]]:
    """Return the model and the plans of the stages of one run."""
    pretrain, processes = stages["pretrain"], stages["pretrain"]["num_processes"]
    shape = ModelShape(
        pretrain["n_layer"],
        pretrain["n_embd"],
        4 * pretrain["n_embd"],
        stages["tokenizer"]["vocab_size"],
        pretrain["n_positions"],
    )
    plans = [
        plan_pretraining(pretrain, shape, peak),
        plan_sft(stages["sft"], shape, peak, processes),
        plan_grpo(stages["grpo"], shape, peak, processes),
        plan_evaluation(stages, shape),
    ]
    return shape, plans


def planned_seconds(stages: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return about how long each stage of a run takes here: on this machine's GPU, an H100 if unknown, or on a core."""
    gpus = query_gpus("name")
    known = (flops for name, flops in PEAK_FLOPS.items() if gpus and name in gpus[0])
    peak = next(known, PEAK_FLOPS["H100"] if gpus else CORE_PEAK)
    return {plan.name: plan.seconds for plan in plan_run(stages, peak)[1]}


def show(shape: ModelShape, plans: list[StagePlan], runs: int, devices: int, price: float | None) -> Table:
    """Return the table: a row a stage, then one run, then the whole experiment."""
    table = Table(title=f"{shape.parameters:,} parameters, {runs} runs")
    for column in ("stage", "steps", "positions", "FLOPs", "GB", "h:mm:ss", "dollars"):
        table.add_column(column, justify="left" if column == "stage" else "right")

    def row(name: str, steps: str, positions: float, flops: float, memory: float, seconds: float) -> None:
        hours = seconds / 3600
        time = clock(seconds) if seconds > 3600 else f"0:{clock(seconds):0>5}"
        dollars = "-" if price is None else f"{hours * devices * price:,.2f}"
        table.add_row(name, steps, f"{positions:.3g}", f"{flops:.3g}", f"{memory / 1e9:.1f}", time, dollars)

    for plan in plans:
        row(plan.name, str(plan.steps), plan.positions, plan.flops, plan.memory, plan.seconds)
    table.add_section()
    memory = max(plan.memory for plan in plans)
    totals = [sum(getattr(plan, name) for plan in plans) for name in ("positions", "flops", "seconds")]
    for name, times in (("one run", 1), (f"all {runs} runs", runs)):
        row(name, "", totals[0] * times, totals[1] * times, memory, totals[2] * times)
    return table


def disk_and_data(stages: dict[str, dict[str, Any]], shape: ModelShape, arms: int, runs: int) -> str:
    """Return a sentence about the disk that an experiment takes, and the minutes that its data take."""
    text, pretrain = stages["corpus"]["target_bytes"], stages["pretrain"]
    tokens = TOKEN_BYTES * text
    weights = 4 * shape.parameters
    kept = CHECKPOINT_COPIES * (pretrain["keep_checkpoints"] + 1) + pretrain["curve"] + len(TRAINED)
    corpus = max(1 / MIXED, 1 / (GENERATED * stages["corpus"]["num_workers"]))
    seconds = text * (corpus + arms / (ENCODED * stages["tokens"]["num_workers"]))
    return (
        f"Disk: about {(text + arms * tokens + runs * kept * weights) / 1e9:.1f} GB ({text / 1e9:.2g} of text, "
        f"{tokens / 1e9:.2g} of tokens an arm, {kept * weights / 1e9:.2g} of weights a run). Data: about "
        f"{math.ceil(seconds / 60)} min. on this many workers ({stages['tokens']['num_workers']})."
    )


def idle_devices(plans: list[StagePlan], devices: int, price: float | None) -> str:
    """Return a sentence about the devices that wait: evaluation uses one of them."""
    training, rest = sum(plan.seconds for plan in plans if plan.name in TRAINED), plans[-1].seconds
    shared, alone = devices * (training + rest) / 3600, (devices * training + rest) / 3600
    dollars = "" if price is None else f", ${shared * price:,.2f} against ${alone * price:,.2f}"
    return (
        f"Training shares the {devices} devices, evaluation uses one of them: a run holds all of them for {shared:.1f} "
        f"device hours, and would take {alone:.1f} where the others are given back before make eval{dollars}. "
        "Generating in GRPO takes about as long as on one: it waits for each token."
    )


def memory_warning(plans: list[StagePlan], jobs: int) -> str | None:
    """Return a sentence where `jobs` runs side by side may not fit this machine's GPU; None where they do.

    Different stages can meet, so each run is taken at its largest one.
    """
    sizes = [int(size) << 20 for size in query_gpus("memory.total") if size.isdigit()]
    largest = max(plans, key=lambda plan: plan.memory)
    if not sizes or jobs * largest.memory <= min(sizes):
        return None
    return (
        f"{jobs} runs side by side may take {jobs} x {largest.memory / 1e9:.0f} GB ({largest.name}), and the GPU has "
        f"{min(sizes) / 1e9:.0f} GB: lower JOBS, or that stage's micro-batches"
    )


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Estimate what an experiment costs.")
    parser.add_argument("--recipes", type=Path, default=Path("recipes"), help="the folder with base.yaml")
    parser.add_argument("--scale", required=True, help="a file of scales/, such as smoke")
    parser.add_argument("--conditions", nargs="*", action=Conditions, default=["baseline", "mulfact"])
    parser.add_argument("--controls", nargs="*", default=[], help="files of controls/, such as baseline_more")
    parser.add_argument("--seeds", nargs="*", action=Seeds, default=[0])
    parser.add_argument("--gpu", default="h100", help=f"cpu, or one of {', '.join(PEAK_FLOPS)}")
    parser.add_argument("--price", nargs="*", action=Price, help="dollars for an hour of one device")
    parser.add_argument(
        "--jobs", nargs="*", action=Jobs, default=1, help="runs side by side on a GPU: warns if they may not fit it"
    )
    parser.add_argument(
        "--figure", nargs="*", action=FigurePath, help="also draw the last table, as .svg or .png, to this file"
    )
    parser.add_argument("--only_warn", action="store_true", help="print nothing but that warning")
    remembered.add_arguments(parser)
    options = parser.parse_args()

    name, peak = peak_flops(options.gpu)
    settings, overrides = remembered.of(options)
    if (told := settings.told()) and not options.only_warn:
        print(told)
    trained = [*options.conditions, *controls_named(options.recipes, options.controls)]
    chosen = [(condition, options.seeds[0]) for condition in trained]
    stages, *_ = compose_runs(options.recipes, options.scale, chosen, overrides, {"outputs": options.outputs})
    shape, plans = plan_run(stages, peak)
    runs, devices = len(trained) * len(options.seeds), stages["pretrain"]["num_processes"]
    if warning := memory_warning(plans, min(options.jobs, runs)):
        print(f"warning: {warning}", file=sys.stderr)
    if options.only_warn:
        return
    console = Console()
    console.print(show(shape, plans, runs, devices, options.price))
    pretraining = pretraining_utilization(stages["pretrain"])
    console.print(
        f"{devices} x {name}. Times rest on {pretraining:.1%} of its bf16 peak ({peak / 1e12:.0f} TFLOP/s) in "
        f"pretraining, {UTILIZATION['eager']:.1%} in SFT and GRPO (both measured on a H100 with GPT-2 124M; a smaller "
        f"model reaches less), and {1000 * SECONDS_PER_LAYER_AND_TOKEN * shape.n_layer:.0f} ms for each generated "
        "token of a batch (assumed). Loading and compiling are not counted.",
        soft_wrap=True,
    )
    console.print(disk_and_data(stages, shape, len(trained), runs), soft_wrap=True)
    if devices > 1:
        console.print(idle_devices(plans, devices, options.price), soft_wrap=True)
    benchmarks, compare = stages["benchmarks"], stages["compare"]
    items = GSM8K_TEST_ITEMS if benchmarks["gsm8k"] else round(FACT_BEARING * benchmarks["synthetic_problems"])
    measured = measured_seeds(Path(compare["output_dir"]))
    console.print(power_table(items, len(options.seeds), measured))
    if options.figure:
        from mulfact.experiment.power_figure import draw_power  # with matplotlib, which nothing else here waits for

        draw_power(items, len(options.seeds), measured, options.figure)
        print(options.figure)


if __name__ == "__main__":
    main()
