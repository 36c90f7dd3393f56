"""Is this GPU right, and what does it do? Everything that only a GPU answers, in a quarter of an hour.

    make gpu_check NANOGPT=../nanoGPT GSM8K=../gsm8k     # both may be left out
    python benchmarks/gpu_check.py --tiny --only parity curve validation --output_dir /tmp/check     # on a CPU

The steps run in the order of their worth, each within a time of its own, and one that has no time left is skipped. A
step that runs out of time, fails or is killed keeps what it had printed. The folder (docs/results/<date>-gpu-check
unless told otherwise) can be committed at any moment: README.md is written anew after each step, beside a log of each.

Steps that measure a model are forks of this process, so torch and transformers are imported once; the data of the pilot
are built on the other cores meanwhile.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import shlex
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # asking for a GPU must not start CUDA before the forks

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from mulfact.errors import UserError, command
from mulfact.modeling.gpt2.model import Objective, build_model
from mulfact.modeling.pretrain_arguments import PretrainArguments
from mulfact.modeling.pretraining.optimizer import build_optimizer
from mulfact.provenance import git_state, hardware, package_versions, write_json

REPOSITORY = Path(__file__).resolve().parent.parent
SHAPES = {  # layers, heads, width, vocabulary, length, sequences
    "gpt2_124m": (12, 12, 768, 50304, 1024, 64),
    "tiny": (2, 2, 64, 512, 64, 4),
}
ARMS = ["baseline", "canonical", "mulfact"]
CURVE_STEPS = 50
PATIENCE = 6  # with --tiny: a CPU may be busy, and nobody pays for it by the minute
MOST_DIFFERENCE = 0.02  # of the loss, bf16 and compiled against eager float32, at any of the steps
PILOT = (
    "corpus.target_bytes=180_000_000 pretrain.max_steps=763 pretrain.eval_steps=190 pretrain.save_steps=400 "
    "readiness.threshold=1.0"  # 50M tokens, and GRPO never starts
)
TINY_PILOT = (
    "corpus.target_bytes=1_500_000 corpus.min_fact_count=1 pretrain.max_steps=4 pretrain.eval_steps=2 sft.max_steps=2 "
    "posttrain.synthetic_problems=200 posttrain.arithmetic_rows=50 posttrain.validation_rows=20 "
    "posttrain.development_prompts=16 benchmarks.synthetic_problems=8 benchmarks.probe_items=4 "
    "readiness.force=false readiness.threshold=1.0 readiness.prompts=4"
)


@dataclass
class Check:
    """What the steps share: the options, the folder and the end of the time."""

    options: argparse.Namespace
    folder: Path
    deadline: float
    background: subprocess.Popen[bytes] | None = None
    found: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def device(self) -> str:
        return "cpu" if self.options.tiny else "cuda"

    @property
    def left(self) -> float:
        """Seconds until everything must have ended."""
        return self.deadline - time.monotonic()

    @property
    def make(self) -> list[str]:
        """The words of `make` that name the pilot's experiment."""
        scale, overrides = ("smoke", TINY_PILOT) if self.options.tiny else ("pilot", PILOT)
        if not self.options.gsm8k:
            overrides += " posttrain.gsm8k=null"
        conditions = "CONDITIONS=" + " ".join(self.options.conditions)
        words = [f"SCALE={scale}", conditions, "SEEDS=0", f"OUTPUTS={self.folder / 'outputs'}", "VENV="]
        return [*words, f"OVERRIDES={overrides}", *([f"GSM8K={self.options.gsm8k}"] if self.options.gsm8k else [])]


@dataclass(frozen=True)
class Step:
    """A question, the most seconds that it may take, and what answers it: a function in a fork, or a command line."""

    name: str
    question: str
    seconds: float
    run: Callable[[Check], dict[str, Any]] | None = None
    line: Callable[[Check], list[str]] | None = None


# ---------------------------------------------------------------- what is measured in a fork


def tokens_of(check: Check, seed: int) -> torch.Tensor:
    """Return a batch of (sequences, length + 1) ids with something to learn: each is its neighbour plus one or two."""
    *_, vocabulary, length, sequences = SHAPES["tiny" if check.options.tiny else "gpt2_124m"]
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randint(1, 3, (sequences, length + 1), generator=generator)
    return (steps.cumsum(1) % vocabulary).to(check.device)


def objective_of(check: Check, recipe: bool) -> Objective:
    """Return the model as the GPU scales train it, or eager in float32 with the plain loss."""
    layers, heads, width, vocabulary, length, _ = SHAPES["tiny" if check.options.tiny else "gpt2_124m"]
    config = GPT2Config(
        vocab_size=vocabulary, n_positions=length, n_embd=width, n_layer=layers, n_head=heads,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model: GPT2LMHeadModel = build_model(config, 0).to(check.device).train()
    if not recipe:
        return Objective(model, "plain", "no")
    objective = Objective(model, "chunked" if check.options.tiny else "liger", "bf16", bf16_residual=True)
    objective.compile(**({"backend": "aot_eager"} if check.options.tiny else {}))
    return objective


def curve(check: Check) -> dict[str, Any]:
    """Return how far the recipe's loss strays from eager float32 over the first steps, in the same order of data."""
    losses: dict[bool, list[float]] = {}
    for recipe in (False, True):
        objective = objective_of(check, recipe)
        optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-4)
        # Whole, float32 logits of 64 x 1024 tokens do not fit; in parts, both sides see the same sums.
        parts = 1 if check.options.tiny else 8
        losses[recipe] = []
        for step in range(CURVE_STEPS):
            total = 0.0
            for ids in tokens_of(check, step).chunk(parts):
                loss = objective(ids[:, :-1], ids[:, 1:]) / parts
                loss.backward()
                total += loss.item()
            torch.nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses[recipe].append(total)
            if step % 10 == 9:
                print(f"{'recipe' if recipe else 'eager float32'}  step {step + 1}  loss {total:.4f}", flush=True)
        del objective, optimizer
    worst = max(abs(a / b - 1) for a, b in zip(losses[True], losses[False], strict=True))
    return {
        "steps": CURVE_STEPS, "first_loss": losses[False][0], "last_loss": losses[False][-1],
        "largest_relative_difference": worst, "as_it_should_be": worst <= MOST_DIFFERENCE,
    }  # fmt: skip


def validation(check: Check) -> dict[str, Any]:
    """Return the peak memory of a training step and of a validation batch, which takes its logits in chunks."""
    objective = objective_of(check, True)
    ids = tokens_of(check, 0)
    optimizer = build_optimizer(objective.model, optimizer_settings())
    for _ in range(2):
        objective(ids[:, :-1], ids[:, 1:]).backward()
        optimizer.step()
        optimizer.zero_grad()
    peaks = {"training": peak(check)}
    losses = objective.token_losses(ids[:, :-1], ids[:, 1:])
    peaks["validation"] = peak(check)
    if check.device == "cuda":
        print({name: f"{value / 1e9:.1f} GB" for name, value in peaks.items()})
    return {**peaks, "finite": bool(losses.isfinite().all()), "fits": peaks["validation"] <= peaks["training"]}


def optimizer_settings() -> PretrainArguments:
    """Return the optimizer's settings of the recipe."""
    from mulfact.recipe import compose

    section = compose(REPOSITORY / "recipes", "gpt2_124m", "baseline", 0)["pretrain"]
    return PretrainArguments(**section)


def peak(check: Check) -> int:
    """Return the bytes that were taken at most since the last call; 0 on a CPU."""
    if check.device == "cpu":
        return 0
    most = torch.cuda.max_memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    return most


# ---------------------------------------------------------------- what is measured by a command


def parity(check: Check) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", "tests/modeling/gpt2/test_liger.py"]


def speed(check: Check) -> list[str]:
    words = [sys.executable, "benchmarks/pretrain.py", "--pairs"]
    if check.options.tiny:
        return [*words, "--shape", "tiny", "--steps", "2"]
    nanogpt = ["--nanogpt", str(check.options.nanogpt)] if check.options.nanogpt else []
    return [*words, "--shape", "gpt2_124m", *nanogpt]


def evaluation(check: Check) -> list[str]:
    shared = check.folder / "outputs" / ("smoke" if check.options.tiny else "pilot")
    words = [sys.executable, "benchmarks/evaluation_speed.py", "--benchmarks", str(shared / "benchmarks")]
    words += ["--tokenizer", str(shared / "mulfact" / "tokenizer")]
    if check.options.tiny:
        return [*words, "--use_cpu", "--n_layer", "2", "--n_embd", "64", "--max_samples", "8"]
    return [*words, "--n_layer", "17"]  # with the pilot's small vocabulary, 128M parameters


def pilot(check: Check) -> list[str]:
    return ["make", "experiment", *check.make, "JOBS=2" if check.options.tiny else "JOBS=3"]


def generation(check: Check) -> list[str]:
    run = check.folder / "outputs" / ("smoke" if check.options.tiny else "pilot") / "mulfact" / "seed-0"
    return [sys.executable, "benchmarks/grpo.py", "--recipe", str(run / "recipes" / "grpo.yaml"), "--updates", "2"]


STEPS = (
    Step("parity", "Is Liger's kernel equal to plain torch?", 45, line=parity),
    Step("speed", "How fast is pretraining beside nanoGPT, in turn?", 170, line=speed),
    Step("curve", "Is the recipe's loss that of eager float32?", 60, run=curve),
    Step("validation", "Does validation fit where training fits?", 30, run=validation),
    Step("evaluation", "How long does the evaluation of 124M parameters take?", 110, line=evaluation),
    Step("pilot", "Where does a pilot of 30M parameters stand after 50M tokens and SFT?", 400, line=pilot),
    Step("generation", "What does a GRPO update cost, by the way of generating?", 120, line=generation),
)  # fmt: skip
NEEDS_DATA = ("evaluation", "pilot", "generation")


# ---------------------------------------------------------------- running and writing


def run_step(check: Check, step: Step) -> dict[str, Any]:
    """Return what came of a step within its time: its state, seconds and answer."""
    seconds = min(step.seconds * (PATIENCE if check.options.tiny else 1), check.left)
    if seconds < 5:
        return {"state": "skipped: no time left"}
    begun, log = time.monotonic(), check.folder / f"{step.name}.log"
    if step.name in NEEDS_DATA and not wait_for_data(check, seconds):
        return {"state": "skipped: the pilot's data were not ready, see data.log"}
    if step.run is None:
        assert step.line is not None
        words = step.line(check)
        with log.open("wb") as file:
            file.write(f"{' '.join(words)}\n".encode())
            file.flush()
            process = subprocess.Popen(
                words, cwd=REPOSITORY, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
            status = wait(process, seconds)
        answer: dict[str, Any] = {}
    else:
        fork = multiprocessing.get_context("fork").Process(target=in_fork, args=(step.run, check, log))
        fork.start()
        fork.join(seconds)
        status = fork.exitcode
        if status is None:
            fork.kill()
            fork.join()
        path = check.folder / f"{step.name}.json"
        answer = json.loads(path.read_text()) if path.is_file() else {}
    state = "done" if status == 0 else "out of time" if status is None else f"failed with status {status}"
    return {"state": state, "seconds": round(time.monotonic() - begun, 1), **answer}


def in_fork(run: Callable[[Check], dict[str, Any]], check: Check, log: Path) -> None:
    """Answer one question in a process of its own: what it prints goes to its log, its answer to a file beside it."""
    with log.open("w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        try:
            write_json(log.with_suffix(".json"), run(check))
        except Exception:
            traceback.print_exc()
            sys.exit(1)


def wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Return the status of a command, None where it had to be stopped: asked first, so that what it does is saved."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(seconds)
    for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            break
    return None


def start_data(check: Check) -> None:
    """Build what the pilot reads, on the other cores."""
    words = ["make", *check.make, "benchmarks", "posttrain", "--no-print-directory"]
    arms = [["make", "tokens", "lengths", *check.make, f"CONDITION={arm}"] for arm in check.options.conditions]
    script = " && ".join(shlex.join(line) for line in (words, *arms))
    with (check.folder / "data.log").open("wb") as file:
        check.background = subprocess.Popen(
            ["bash", "-c", script], cwd=REPOSITORY, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )


def wait_for_data(check: Check, seconds: float) -> bool:
    """Return whether the pilot's data are there, or come within `seconds`."""
    if check.background is None:
        start_data(check)
    assert check.background is not None
    with contextlib.suppress(subprocess.TimeoutExpired):
        return check.background.wait(seconds) == 0
    return False


def write_readme(check: Check) -> None:
    """Write README.md: machine, versions, command, and what each step found so far."""
    machine, git = hardware(), git_state()
    gpus = ", ".join(machine["gpus"]) or "no GPU: tiny shapes on the CPU, which shows that the check works and no more"
    versions = ", ".join(f"{name} {version}" for name, version in package_versions().items() if version)
    lines = [
        f"# A check of one machine, {datetime.now(UTC):%Y-%m-%d}",
        "",
        f"- Machine: {gpus}; {machine['cores']} cores of {machine['processor']}, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB.",
        f"- Software: Python {sys.version.split()[0]}, {versions}.",
        f"- Code: commit {git['commit']}{' with changes' if git['dirty'] else ''}.",
        f"- Command: `python benchmarks/gpu_check.py {' '.join(sys.argv[1:])}`",
        "",
        "| step | question | state | seconds | found |",
        "|---|---|---|--:|---|",
    ]
    for step in STEPS:
        found = dict(check.found.get(step.name, {"state": "not asked"}))
        state, seconds = found.pop("state"), found.pop("seconds", "")
        told = ", ".join(f"{name.replace('_', ' ')} {show(value)}" for name, value in found.items())
        lines.append(f"| {step.name} | {step.question} | {state} | {seconds} | {told} |")
    for step in STEPS:
        log = check.folder / f"{step.name}.log"
        if step.name in check.found and log.is_file():
            lines += ["", f"## {step.name}", "", "```", *tail(log), "```"]
    (check.folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def show(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def tail(log: Path, lines: int = 40) -> Sequence[str]:
    """Return the end of a log without the bars that were drawn over each other."""
    text = log.read_bytes().decode(errors="replace")
    return [line.rpartition("\r")[2].rstrip() for line in text.split("\n") if line.strip()][-lines:]


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Answer what only a GPU answers, within a quarter of an hour.")
    parser.add_argument("--minutes", type=float, default=14, help="everything ends by then")
    parser.add_argument("--only", nargs="+", choices=[step.name for step in STEPS], help="these steps alone")
    parser.add_argument("--output_dir", type=Path, help="docs/results/<date>-gpu-check unless given")
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT, to be measured in turn with ours")
    parser.add_argument(
        "--gsm8k", help="a folder with GSM8K or its Hub id; without it the pilot's problems are synthetic"
    )
    parser.add_argument("--conditions", nargs="+", default=ARMS, help="arms of the pilot")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes on the CPU: does the check itself work?")
    options = parser.parse_args()
    if not options.tiny and not torch.cuda.is_available():
        raise UserError("torch sees no GPU here: run it on a GPU, or try the check itself with --tiny")
    folder = options.output_dir or REPOSITORY / "docs" / "results" / f"{datetime.now(UTC):%Y-%m-%d}-gpu-check"
    folder.mkdir(parents=True, exist_ok=True)
    check = Check(options, folder.resolve(), time.monotonic() + 60 * options.minutes)
    asked = [step for step in STEPS if options.only is None or step.name in options.only]
    if any(step.name in NEEDS_DATA for step in asked):
        start_data(check)
    try:
        for step in asked:
            check.found[step.name] = run_step(check, step)
            write_readme(check)
            print(f"{step.name}: {check.found[step.name]['state']}", flush=True)
    finally:
        if check.background is not None and check.background.poll() is None:
            os.killpg(check.background.pid, signal.SIGTERM)
    print(f"{check.folder / 'README.md'}")
    failed = [name for name, found in check.found.items() if found["state"].startswith("failed")]
    if failed:
        raise UserError(f"{', '.join(failed)} failed: {check.folder}/<step>.log holds the reason")


if __name__ == "__main__":
    main()
