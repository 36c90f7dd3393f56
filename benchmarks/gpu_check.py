"""Is this GPU right, and what does it do? Everything that only a GPU answers, in a quarter of an hour.

    make gpu_check NANOGPT=../nanoGPT GSM8K=../gsm8k     # both may be left out
    python benchmarks/gpu_check.py --tiny --output_dir check     # the same steps in tiny shapes, on a CPU
    python benchmarks/gpu_check.py --tiny --only curve validation --output_dir check

The steps run in the order of their worth, each within a time of its own; one that has no time left is skipped, and one
that runs out of time, fails or is killed keeps what it had found. The folder (docs/results/<date>-gpu-check unless told
otherwise) can be committed at any moment. Given once more, the command goes on with the steps that have no answer.

Steps that measure a model are forks of this process, so torch and transformers are imported once; the data of the pilot
are built on the other cores meanwhile.
"""

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # asking for a GPU must not start CUDA before the forks

import torch

from mulfact.benchmarks.pretrain import compare_in_turn
from mulfact.benchmarks.timing.steps_in_time import Command, Found, Questions, Step, read_json, stop_on_sigterm
from mulfact.benchmarks.timing.training_steps import SHAPES, Bench, Shape, settings
from mulfact.errors import UserError, command
from mulfact.layout import READINESS, run_folder
from mulfact.modeling.gpt2.model import Objective
from mulfact.modeling.pretrain_arguments import PretrainArguments
from mulfact.modeling.pretraining.optimizer import build_optimizer
from mulfact.provenance import git_state, hardware, package_versions, query_gpus

REPOSITORY = Path(__file__).resolve().parent.parent
TINY = Shape(2, 2, 64, 512, 64, 4)
ARMS = ["baseline", "canonical", "mulfact"]
CURVE_STEPS = 50
PATIENCE = 6  # with --tiny: a CPU may be busy, and nobody pays for it by the minute
MOST_DIFFERENCE = 0.02  # of the loss, bf16 and compiled against eager float32, at any of the steps
PILOT = (
    "corpus.target_bytes=180_000_000 pretrain.max_steps=763 pretrain.eval_steps=190 pretrain.save_steps=400 "
    "readiness.threshold=1.0"  # 50M tokens, and GRPO never starts
)
TINY_PILOT = (
    "corpus.target_bytes=1_500_000 corpus.min_fact_count=1 pretrain.max_steps=4 pretrain.eval_steps=2 "
    "pretrain.eval_bytes=4096 pretrain.curve=2 sft.max_steps=2 posttrain.synthetic_problems=200 "
    "posttrain.arithmetic_rows=50 posttrain.validation_rows=20 posttrain.development_prompts=16 "
    "benchmarks.synthetic_problems=8 benchmarks.probe_items=4 readiness.force=false readiness.threshold=1.0 "
    "readiness.prompts=4 eval.max_samples=8"
)


@dataclass
class Check:
    """What the steps share: the options, and the folder."""

    options: argparse.Namespace
    folder: Path
    background: Command | None = None

    @property
    def device(self) -> str:
        return "cpu" if self.options.tiny else "cuda"

    @property
    def shape(self) -> Shape:
        return TINY if self.options.tiny else SHAPES["gpt2_124m"]

    @property
    def arguments(self) -> PretrainArguments:
        """The settings of the GPU scales on this shape; on a CPU as near to them as it can."""
        loss = "chunked" if self.options.tiny else "liger"
        recipe = {"mixed_precision": "bf16", "bf16_residual": True, "compile": True, "loss": loss}
        return PretrainArguments(**settings(self.shape, **recipe))

    @property
    def pilot(self) -> Path:
        """The folder of the pilot's experiment."""
        return self.folder / "outputs" / ("smoke" if self.options.tiny else "pilot")

    @property
    def make(self) -> list[str]:
        """The words of `make` that name the pilot's experiment."""
        overrides = TINY_PILOT if self.options.tiny else PILOT
        if not self.options.gsm8k:
            overrides += " posttrain.gsm8k=null"
        conditions = "CONDITIONS=" + " ".join(self.options.conditions)
        words = [f"SCALE={self.pilot.name}", conditions, "SEEDS=0", f"OUTPUTS={self.pilot.parent}", "VENV=", "LIVE="]
        return [*words, f"OVERRIDES={overrides}", *([f"GSM8K={self.options.gsm8k}"] if self.options.gsm8k else [])]

    # ---------------------------------------------------------------- what is measured in a fork

    def speed(self) -> Iterator[Found]:
        """Yield how many times as fast as the reference our rows are."""
        torch.set_float32_matmul_precision("high")  # as modeling/pretraining/launch.py has it
        bench = Bench(self.shape, self.arguments)
        nanogpt = None if self.options.tiny else self.options.nanogpt
        for found in compare_in_turn(bench, not self.options.tiny, nanogpt, repeats=2 if self.options.tiny else 6):
            fastest = max(found["rows"], key=lambda row: row["ratio"])
            yield {**found, "fastest": fastest["name"].strip(" +"), "times_as_fast": fastest["ratio"]}

    def objective(self, recipe: bool) -> Objective:
        """Return the model as the GPU scales train it, or eager in float32 with the plain loss."""
        arguments = self.arguments
        model = Bench(self.shape, arguments).model()
        if not recipe:
            return Objective(model, "plain", "no")
        objective = Objective(model, arguments.loss, "bf16", bf16_residual=True)
        objective.compile(**({"backend": "aot_eager"} if self.options.tiny else {}))
        return objective

    def tokens(self, seed: int) -> torch.Tensor:
        """Return a batch of (sequences, length + 1) ids with something to learn: a neighbour plus one or two each."""
        shape, generator = self.shape, torch.Generator().manual_seed(seed)
        steps = torch.randint(1, 3, (shape.batch, shape.sequence_length + 1), generator=generator)
        return (steps.cumsum(1) % shape.vocab_size).to(self.device)

    def curve(self) -> Iterator[Found]:
        """Yield how far the recipe's loss strays from eager float32 over the first steps, in the same order of data."""
        losses: dict[bool, list[float]] = {}
        for recipe in (False, True):
            objective = self.objective(recipe)
            optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-4)
            # Whole, float32 logits of 64 x 1024 tokens do not fit; in parts, both sides see the same sums.
            parts = 1 if self.options.tiny else 8
            losses[recipe] = []
            for step in range(CURVE_STEPS):
                total = 0.0
                for ids in self.tokens(step).chunk(parts):
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
        yield {
            "steps": CURVE_STEPS, "first_loss": losses[False][0], "last_loss": losses[False][-1],
            "largest_relative_difference": worst, "as_it_should_be": worst <= MOST_DIFFERENCE,
        }  # fmt: skip

    def validation(self) -> Iterator[Found]:
        """Yield the peak memory of a training step and of a validation batch, which takes its logits in chunks."""
        objective, ids = self.objective(True), self.tokens(0)
        optimizer = build_optimizer(objective.model, self.arguments)
        for _ in range(2):
            objective(ids[:, :-1], ids[:, 1:]).backward()
            optimizer.step()
            optimizer.zero_grad()
        training = self.peak_bytes()
        losses = objective.token_losses(ids[:, :-1], ids[:, 1:])
        found: Found = {"finite": bool(losses.isfinite().all())}
        if self.device == "cuda":
            validating = self.peak_bytes()
            found |= {"training_GB": training / 1e9, "validation_GB": validating / 1e9, "fits": validating <= training}
        print(found)
        yield found

    def peak_bytes(self) -> int:
        """Return the bytes of a GPU that were taken at most since the last call."""
        if self.device == "cpu":
            return 0
        most = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return most

    # ---------------------------------------------------------------- what is measured by a command

    def evaluation_command(self) -> list[str]:
        words = [sys.executable, "benchmarks/evaluation_speed.py", "--benchmarks", str(self.pilot / "benchmarks")]
        words += ["--tokenizer", str(self.pilot / self.options.conditions[-1] / "tokenizer")]
        if self.options.tiny:
            return [*words, "--use_cpu", "--n_layer", "2", "--n_embd", "64", "--cot_tokens", "32", "--max_samples", "8"]
        return [*words, "--n_layer", "17"]  # with the pilot's small vocabulary, 128M parameters

    def pilot_command(self) -> list[str]:
        return ["make", "experiment", *self.make, "JOBS=2" if self.options.tiny else "JOBS=3"]

    def pilot_found(self) -> Found:
        """Copy what the pilot has left into the folder that is committed; return where each arm stands."""
        found: Found = {}
        report = self.pilot / "report"
        for arm in self.options.conditions:
            run = run_folder(self.pilot, arm, 0)
            results = [*run.glob("eval/*/*_results.json"), *run.glob("pretrain_final/training_summary.json")]
            for path in [*results, run / READINESS / "readiness.json", run / "ledger.json"]:
                if path.is_file():
                    copy = self.folder / "pilot" / path.relative_to(self.pilot)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, copy)
            found |= self.stands(arm, run)
        for name in ("results.md", "results.json"):
            if (report / name).is_file():
                shutil.copyfile(report / name, self.folder / "pilot" / name)
        return found

    def stands(self, arm: str, run: Path) -> Found:
        """Return what is known of one run of the pilot, as far as it came."""
        readiness = read_json(run / READINESS / "readiness.json")
        tasks = read_json(run / "eval" / "sft" / "gsm8k_results.json").get("tasks", {})
        known: dict[str, Any] = {
            "tokens_per_second": read_json(run / "pretrain_final" / "training_summary.json").get("tokens_per_second"),
            "pass_at_8": readiness.get("pass_at_k"),
            "mixed_groups": readiness.get("mixed_groups"),
            "accuracy": tasks.get("gsm8k_cot", {}).get("accuracy"),
        }
        return {f"{arm} {name}": value for name, value in known.items() if value is not None}

    def generation_command(self) -> list[str]:
        run = run_folder(self.pilot, self.options.conditions[-1], 0)
        updates = "1" if self.options.tiny else "2"
        return [sys.executable, "benchmarks/grpo.py", "--recipe", str(run / "recipes/grpo.yaml"), "--updates", updates,
                "--generation_only"]  # fmt: skip

    def steps(self) -> list[Step]:
        """Return the questions in the order of their worth."""
        parity = [sys.executable, "-m", "pytest", "-q", "tests/modeling/gpt2/test_liger.py"]
        pilot = "Where does a pilot of 30M parameters stand after 50M tokens and SFT?"
        return [
            Step("parity", "Is Liger's kernel equal to plain torch?", 45, command=lambda: parity),
            Step("speed", "How fast is pretraining beside nanoGPT, in turn?", 170, self.speed),
            Step("curve", "Is the recipe's loss that of eager float32?", 60, self.curve),
            Step("validation", "Does validation fit where training fits?", 30, self.validation),
            Step("evaluation", "How long does the evaluation of 124M parameters take?", 110, None,
                 self.evaluation_command),
            Step("pilot", pilot, 400, None, self.pilot_command, self.pilot_found),
            Step("generation", "What does a GRPO update cost, by the way of generating?", 120, None,
                 self.generation_command),
        ]  # fmt: skip

    # ---------------------------------------------------------------- the pilot's data, on the other cores

    def start_data(self) -> None:
        """Build what the pilot reads."""
        words = ["make", *self.make, "benchmarks", "posttrain", "--no-print-directory"]
        arms = [["make", "tokens", "lengths", *self.make, f"CONDITION={arm}"] for arm in self.options.conditions]
        script = " && ".join(shlex.join(line) for line in (words, *arms))
        with (self.folder / "data.log").open("wb") as log:
            self.background = Command(["bash", "-c", script], log)

    def wait_for_data(self, seconds: float) -> bool:
        """Return whether the pilot's data are there, or come within `seconds`."""
        if self.background is None:
            self.start_data()
        assert self.background is not None
        return self.background.wait(seconds) == 0


NEEDS_DATA = ("evaluation", "pilot", "generation")


def told(options: argparse.Namespace) -> dict[str, str]:
    """Return the head of README.md: what runs where."""
    machine, git = hardware(query_gpus("name")), git_state()  # torch would start CUDA here, and then no fork could
    gpus = ", ".join(machine["gpus"]) or "no GPU: tiny shapes on the CPU, which shows that the check works and no more"
    versions = ", ".join(f"{name} {version}" for name, version in package_versions().items() if version)
    gib = f"{machine['memory_bytes'] / 2**30:.0f} GiB"
    return {
        "Title": f"A check of one machine, {datetime.now(UTC):%Y-%m-%d}",
        "Machine": f"{gpus}; {machine['cores']} cores of {machine['processor']}, {gib}.",
        "Software": f"Python {sys.version.split()[0]}, {versions}.",
        "Code": f"{git['commit']}{', with changes' if git['dirty'] else ''}.",
        "Command": f"`python benchmarks/gpu_check.py {' '.join(sys.argv[1:])}`",
    }


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Answer what only a GPU answers, within a quarter of an hour.")
    names = [step.name for step in Check(argparse.Namespace(), Path()).steps()]
    parser.add_argument("--minutes", type=float, default=14, help="everything ends by then")
    parser.add_argument("--only", nargs="+", choices=names, help="these steps alone, answered already or not")
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
    stop_on_sigterm()
    folder = options.output_dir or REPOSITORY / "docs" / "results" / f"{datetime.now(UTC):%Y-%m-%d}-gpu-check"
    patience = PATIENCE if options.tiny else 1
    head = told(options)
    stamp = {"commit": head["Code"][:7]}  # a folder may be gone on with after a mend
    questions = Questions(folder.resolve(), 60 * options.minutes, patience, head, ("Machine",), stamp)
    check = Check(options, questions.folder)
    questions.plan(check.steps())
    asked = [
        step
        for step in questions.steps.values()
        if (step.name in options.only if options.only else not questions.answered(step.name))
    ]
    try:
        if any(step.name in NEEDS_DATA for step in asked):
            check.start_data()
        for step in asked:
            waits_for = [check.wait_for_data] if step.name in NEEDS_DATA else []
            found = questions.ask(step, *waits_for)
            print(f"{step.name}: {found['state']}", flush=True)
    finally:
        if check.background is not None:
            check.background.stop()
    print(f"{check.folder / 'README.md'}")
    failed = [name for name, found in questions.found.items() if found["state"].startswith("failed")]
    if failed:
        raise UserError(f"{', '.join(failed)} failed: {check.folder}/<step>.log holds the reason")


if __name__ == "__main__":
    main()
