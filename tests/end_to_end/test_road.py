"""The whole road in miniature, by the commands a user types: real make, trl and lighteval, two arms.

The tests share one experiment and run in file order: build it, see that nothing is done twice, take one stage away,
kill one stage. What is compared is what a user would compare: the metrics and the bytes of the checkpoints.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mulfact.locks import training_lock
from mulfact.provenance import read_provenance

MINIATURE = [
    "corpus.target_bytes=400_000",
    "corpus.validation_fraction=0.05",
    "corpus.min_fact_count=5",
    "base_tokenizer.vocab_size=700",
    "tokenizer.vocab_size=832",
    "pretrain.n_layer=2",
    "pretrain.n_head=2",
    "pretrain.n_embd=32",
    "pretrain.sequence_length=64",
    "pretrain.tokens_per_step=1024",
    "pretrain.micro_batch_size=8",
    "pretrain.max_steps=40",
    "pretrain.warmup_steps=4",
    "pretrain.eval_steps=20",
    "pretrain.eval_bytes=4096",
    "pretrain.save_steps=10",
    "posttrain.synthetic_problems=300",
    "posttrain.arithmetic_rows=81",
    "posttrain.validation_rows=20",
    "posttrain.development_prompts=20",
    "posttrain.synthetic_max_steps=1",
    "benchmarks.synthetic_problems=12",
    "benchmarks.probe_items=6",
    "sft.max_steps=12",  # enough of them to be killed in between
    "sft.save_steps=2",
    "sft.max_length=192",
    "sft.per_device_train_batch_size=4",
    "readiness.force=true",  # this model never finds an answer
    "grpo.max_steps=6",
    "grpo.save_steps=1",
    "grpo.gradient_accumulation_steps=1",
    "grpo.per_device_train_batch_size=8",
    "grpo.num_generations=4",
    "grpo.max_completion_length=16",
    "eval.max_samples=12",
    "eval.generation_size.cot=64",
]


RENEWED = ("provenance.json", "ledger.json", ".hashes.json")  # when make looks how an experiment stands


class Experiment:
    """A miniature experiment in a scratch folder, driven through make."""

    def __init__(self, repository: Path, outputs: Path, gsm8k: Path) -> None:
        self.repository, self.outputs, self.gsm8k = repository, outputs, gsm8k
        self.folder = outputs / "smoke"

    def command(self, target: str, *overrides: str, **variables: str) -> list[str]:
        settings = {"VENV": "", "OUTPUTS": str(self.outputs), "OVERRIDES": " ".join([*MINIATURE, *overrides])}
        settings["AGAIN"] = "1"  # finished trainings are thrown away on purpose here
        return ["make", target, *(f"{name}={value}" for name, value in (settings | variables).items())]

    def environment(self) -> dict[str, str]:
        return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}

    def make(self, target: str, *overrides: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = self.command(target, *overrides, **variables)
        return subprocess.run(
            command, cwd=self.repository, env=self.environment(), capture_output=True, text=True, check=False
        )

    def hashes(self, stage: Path) -> dict[str, str]:
        """Return the content hash of each output of a stage that must not depend on the clock."""
        timed = (
            "metrics.jsonl", "training_summary.json", "trainer_state.json", "completions/", "peak_memory.json",
        )  # fmt: skip
        outputs = read_provenance(stage)["outputs"]
        return {name: entry["sha256"] for name, entry in outputs.items() if not name.startswith(timed)}


@pytest.fixture(scope="module")
def experiment(repository: Path, tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Experiment:
    experiment = Experiment(repository, tmp_path_factory.mktemp("outputs"), data_dir / "gsm8k")
    result = experiment.make("experiment")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-6000:]
    assert "python modeling/pretrain.py --config" in result.stdout
    assert "trl grpo --config" in result.stdout
    return experiment


def test_the_report_holds_both_arms_and_every_stage(experiment: Experiment) -> None:
    report = experiment.folder / "report"
    assert {"results.json", "results.md", "report.html", "provenance.json"} <= {path.name for path in report.iterdir()}
    html = (report / "report.html").read_text()
    assert "http://" not in html.replace("http://www.w3.org", "")
    for arm in ("baseline", "mulfact"):
        run = experiment.folder / arm / "seed-0"
        for stage in ("pretrain_final", "sft_final", "grpo_final", "eval"):
            assert (run / stage / "provenance.json").is_file()
        assert {"pretrain", "sft", "grpo"} <= json.loads((run / "ledger.json").read_text())["stages"].keys()
        for stage in ("pretrain", "sft", "grpo"):
            assert (run / "eval" / stage / "predictions.parquet").is_file()


def test_checkpoints_load_with_transformers_alone(experiment: Experiment, tmp_path: Path) -> None:
    script = """
import sys
sys.modules["mulfact"] = None
from transformers import AutoModelForCausalLM, AutoTokenizer
for stage in ("pretrain_final", "sft_final", "grpo_final"):
    folder = f"{sys.argv[1]}/{stage}"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer("Question: What is 6 × 9?\\nAnswer:", return_tensors="pt")
    text = tokenizer.decode(model.generate(**ids, max_new_tokens=4, do_sample=False)[0], skip_special_tokens=True)
    assert "6*9" in text and "MUL" not in text, text
    if stage != "pretrain_final":  # decodes as it was evaluated, when nothing is said
        settings = model.generation_config
        assert (settings.do_sample, settings.max_new_tokens) == (False, 64), settings
    assert model.config.vocab_size % 64 == 0 and model.config.vocab_size >= len(tokenizer)
"""
    run = experiment.folder / "mulfact" / "seed-0"
    subprocess.run([sys.executable, "-c", script, str(run)], cwd=tmp_path, check=True)


def test_a_second_make_runs_no_stage(experiment: Experiment) -> None:
    def written() -> dict[
        Path, int
    ]:  # what a stage writes last gets a new time stamp, by which make sees how it stands
        files = [path for path in experiment.folder.rglob("*") if path.is_file()]
        return {path: path.stat().st_mtime_ns for path in files if path.name not in RENEWED}

    before = written()
    result = experiment.make("experiment")
    assert result.returncode == 0
    assert "python " not in result.stdout
    assert before == written()


def test_a_stage_taken_away_runs_again_with_what_hangs_on_it_and_gives_the_same(experiment: Experiment) -> None:
    run = experiment.folder / "mulfact" / "seed-0"
    stages = ("sft_final", "grpo_final", "eval")
    before = {stage: experiment.hashes(run / stage) for stage in stages}
    untouched = [experiment.folder / "baseline/seed-0/eval/provenance.json", run / "pretrain_final/provenance.json"]
    records = [path.read_text() for path in untouched]  # each says when its stage ran
    subprocess.run(["rm", "-r", str(run / "sft_final")], check=True)
    result = experiment.make("experiment")
    assert result.returncode == 0, result.stderr[-6000:]
    assert "trl sft" in result.stdout
    assert "trl grpo" in result.stdout
    assert "pretrain.py" not in result.stdout
    assert [path.read_text() for path in untouched] == records
    assert {stage: experiment.hashes(run / stage) for stage in stages} == before


def take_away_and_run_until(experiment: Experiment, stage: str, moment: str) -> subprocess.Popen[bytes]:
    """Start a finished stage of the baseline anew; return when a file or folder named like `moment` is in its run."""
    run = experiment.folder / "baseline" / "seed-0"
    subprocess.run(["rm", "-r", str(run / f"{stage}_final")], check=True)
    process = subprocess.Popen(
        experiment.command(stage, CONDITION="baseline"),
        cwd=experiment.repository,
        env=experiment.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not list(run.glob(moment)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, "it ended before it could be stopped"
    return process


@pytest.mark.parametrize(
    ("stage", "moment", "steps_are_left"),
    [
        ("pretrain", "pretrain_checkpoints/step-????????", True),
        ("sft", "sft_training/checkpoint-*", True),
        ("sft", "sft_training/config.json", False),  # TRL saves once more, after the checkpoint of its last step
        ("grpo", "grpo_training/checkpoint-*", True),
    ],
)
def test_a_stage_killed_at_any_point_ends_like_one_that_was_not(
    experiment: Experiment, stage: str, moment: str, steps_are_left: bool
) -> None:
    final = experiment.folder / "baseline" / "seed-0" / f"{stage}_final"
    hashes = experiment.hashes(final)
    process = take_away_and_run_until(experiment, stage, moment)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not final.exists(), "it was killed too late to show anything"
    result = experiment.make(stage, CONDITION="baseline")
    assert result.returncode == 0, result.stderr[-6000:]
    assert experiment.hashes(final) == hashes
    if stage != "pretrain":
        assert ("Training completed" in result.stdout) == steps_are_left


def test_a_make_that_is_told_to_stop_leaves_no_trainer(experiment: Experiment) -> None:
    run = experiment.folder / "baseline" / "seed-0"
    hashes = experiment.hashes(run / "sft_final")
    process = take_away_and_run_until(experiment, "sft", "sft_training/checkpoint-*")
    process.terminate()
    process.wait()
    with training_lock(run / "sft_training"):  # held by every process of the training, for as long as it lives
        assert not (run / "sft_final").exists()
    result = experiment.make("sft", CONDITION="baseline")
    assert result.returncode == 0, result.stderr[-6000:]
    assert experiment.hashes(run / "sft_final") == hashes


def test_where_the_gate_stops_grpo_the_report_is_made_after_sft(experiment: Experiment) -> None:
    result = experiment.make("experiment", "readiness.force=false")
    assert result.returncode == 0, result.stderr[-6000:]
    assert "2 gated" in result.stdout
    assert "gated: mulfact/seed-0: " in result.stdout
    results = json.loads((experiment.folder / "report/results.json").read_text())
    assert results["stages"] == ["pretrain", "sft"]
    assert "its gate stopped 2 of 2 runs" in results["protocol"]["fallback"]
    for arm in ("baseline", "mulfact"):
        run = experiment.folder / arm / "seed-0"
        assert {path.name for path in (run / "eval").iterdir()} == {"pretrain", "sft", "provenance.json"}
        assert json.loads((run / "ledger.json").read_text())["stages"].keys() == {"pretrain", "sft"}
    again = experiment.make("experiment", "readiness.force=false")
    assert "python " not in again.stdout
    alone = experiment.make("grpo", "readiness.force=false", CONDITION="baseline")
    assert alone.returncode != 0
    assert "below readiness.threshold 20%" in alone.stderr


def test_gsm8k_in_a_folder_reaches_the_training_rows_and_the_benchmarks(experiment: Experiment) -> None:
    result = experiment.make("posttrain", "posttrain.max_characters=400", GSM8K=str(experiment.gsm8k))
    assert result.returncode == 0, result.stderr[-6000:]
    questions = [json.loads(line)["question"] for line in (experiment.gsm8k / "test.jsonl").open()]
    items = [json.loads(line) for line in (experiment.folder / "benchmarks/gsm8k_cot.jsonl").open()]
    assert len(items) == len(questions)
    assert questions[0] in items[0]["prompt"]


@pytest.mark.parametrize(
    ("target", "variables", "message"),
    [
        ("pretrain", {"CONDITION": "mulfakt"}, "did you mean 'mulfact'"),
        ("pretrain", {"SCALE": "smok"}, "did you mean 'smoke'"),
        ("pretrain", {"OVERRIDES": "pretrain.max_step=3"}, "did you mean 'pretrain.max_steps'"),
        ("posttrain", {"GSM8K": "/nowhere/gsm8k"}, "/nowhere/gsm8k"),
    ],
)
def test_a_mistake_is_told_in_a_line(
    experiment: Experiment, target: str, variables: dict[str, str], message: str
) -> None:
    result = experiment.make(target, **variables)
    assert result.returncode != 0
    assert message in result.stderr
    assert "Traceback" not in result.stderr
