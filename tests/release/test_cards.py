"""The cards: what provenance, ledger and results say, in a form that the Hub and a reader understand."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from hub_metadata import metadata_errors
from huggingface_hub import DatasetCard, ModelCard
from peft import LoraConfig, PeftModel, get_peft_model
from release_folders import STAGES, write_release
from transformers import AutoModelForCausalLM

from mulfact.errors import UserError
from mulfact.evals.comparison.conclusion import points
from mulfact.evals.report.filters import interval_percent, interval_points, percent
from mulfact.provenance import stage_output, write_json
from mulfact.release.cards import Cards
from mulfact.release.repositories import plan
from mulfact.release.staging import stage_files

ARMS, ORG = ["baseline", "mulfact"], "someone"
WEIGHTS = "baseline/seed-0/sft_final/model.safetensors"


@pytest.fixture(scope="module")
def shared_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_release(tmp_path_factory.mktemp("experiment") / "outputs", seeds=(0, 1))


@pytest.fixture(scope="module")
def written(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The card of each repository, by name."""
    cards, scratch = Cards(ORG, shared_dir, ARMS, [0, 1]), tmp_path_factory.mktemp("staged")
    texts = {}
    for repository in plan(shared_dir, ARMS, [0, 1], STAGES):
        folder = scratch / repository.name / repository.revision
        stage_files(repository, folder, shared_dir.parent)
        cards.write(repository, folder)
        name = repository.name if repository.revision == "main" else f"{repository.name}@{repository.revision}"
        texts[name] = (folder / "README.md").read_text()
    return texts


def test_every_card_has_metadata_a_licence_and_an_origin(written: dict[str, str], shared_dir: Path) -> None:
    assert len(written) == 3 + 2 + 12 + 4 * 2 + 1 + 1
    protocol = json.loads((shared_dir / "report" / "results.json").read_text())["protocol"]["sha256"]
    for name, text in written.items():
        assert metadata_errors(text) == [], name
        assert f"{ORG}/" in text
        assert protocol in text
        assert f"protocol-{protocol[:12]}" in text
        assert "## Where it comes from" in text
        assert str(shared_dir) not in text
        assert "FOLDER_OR_ID" not in text
        assert "<this repository>" not in text


def test_a_model_card_holds_the_numbers_of_results_with_their_intervals(
    written: dict[str, str], shared_dir: Path
) -> None:
    text = written["mulfact-smoke-mulfact-seed1-grpo"]
    results = json.loads((shared_dir / "report" / "results.json").read_text())
    key = ("mulfact", "grpo", "gsm8k_cot")
    row = next(r for r in results["accuracy"] if (r["condition"], r["stage"], r["task"]) == key)
    change = next(r for r in results["differences"] if (r["condition"], r["stage"], r["task"]) == key)
    interval, shift = interval_percent(row["interval"]), interval_points(change["interval"])
    line = (
        f"| gsm8k_cot | {row['items']} | {percent(row['seeds']['1'])} | {percent(row['mean'])} | "
        f"{interval} | {points(change['difference'])} ({shift}) |"
    )
    assert line in text
    assert f"- `gsm8k_cot`: {results['benchmarks']['gsm8k_cot']['description']}" in text
    assert results["conclusion"]["headline"] in text
    assert f"May not be concluded: {results['conclusion']['may_not_conclude'][0]}" in text
    assert "| steps | 20 |" in text, "how it was trained, from the ledger"
    assert "| mfu |" not in text, "what was not measured is left out"
    assert (
        "Before it, after SFT, 25.0% of 64 development prompts have right and wrong answers among 8 (pass@8 50.0%"
        in text
    )
    assert "Before it" not in written["mulfact-smoke-mulfact-seed1-sft"]
    reference = written["mulfact-smoke-baseline-seed0-grpo"]
    assert f"| {percent(row['mean'])} |" not in reference
    assert " | – |" in reference, "the reference has no difference to itself"


@pytest.mark.parametrize("paired", [False, True])
def test_what_is_paired_is_said_as_the_results_have_it(copy: Path, tmp_path: Path, paired: bool) -> None:
    cards = Cards(ORG, copy, ARMS, [0])
    for row in cards.results["differences"]:
        row["seeds_paired"] = paired
    repository = next(r for r in plan(copy, ["mulfact"], [0], STAGES) if r.kind == "model")
    stage_files(repository, tmp_path / "staged", copy.parent)
    cards.write(repository, tmp_path / "staged")
    assert f"paired by item{' and by seed' * paired}.\n" in (tmp_path / "staged" / "README.md").read_text()


def test_the_report_names_the_runs_that_are_published(shared_dir: Path, tmp_path: Path) -> None:
    report = plan(shared_dir, ["mulfact"], [1], STAGES)[-2]
    stage_files(report, tmp_path / "staged", shared_dir.parent)
    Cards(ORG, shared_dir, ["mulfact"], [1]).write(report, tmp_path / "staged")
    text = (tmp_path / "staged" / "README.md").read_text()
    assert f'`make pull ORG={ORG} SCALE=smoke CONDITIONS="mulfact" SEEDS="1"`' in text
    assert "(such as\n`mulfact-seed1`) its predictions" in text
    assert [one["config_name"] for one in DatasetCard(text).data.configs] == [
        "accuracy",
        "differences",
        "mulfact-seed1",
    ]


def test_the_hub_reads_where_a_model_comes_from_and_what_it_scored(written: dict[str, str]) -> None:
    data = ModelCard(written["mulfact-smoke-mulfact-seed1-grpo"]).data
    assert data.base_model == f"{ORG}/mulfact-smoke-mulfact-seed1-sft"
    assert data.datasets == [f"{ORG}/mulfact-smoke-posttrain"]
    assert data.license == "mit"
    assert data.eval_results is not None
    assert [(r.dataset_config, r.metric_value) for r in data.eval_results] == [("gsm8k_cot", 0.0), ("table_9", 0.0)]
    assert data.eval_results[0].dataset_name == "synthetic items", "not GSM8K"
    first = ModelCard(written["mulfact-smoke-baseline-seed0-pretrain"]).data
    assert first.base_model is None
    assert first.datasets == [f"{ORG}/mulfact-smoke-corpus"]


def test_a_set_from_elsewhere_keeps_its_licence(written: dict[str, str]) -> None:
    benchmarks = written["mulfact-smoke-benchmarks"]
    assert DatasetCard(benchmarks).data.license == "other"
    assert "| asdiv | cc-by-nc-4.0 |" in benchmarks
    configs = yaml.safe_load(benchmarks.split("---")[1])["configs"]
    assert [config["config_name"] for config in configs] == ["gsm8k_cot", "table_9", "asdiv"]
    assert "| GSM8K | mit |" in written["mulfact-smoke-posttrain"]


def test_the_same_experiment_gives_the_same_cards(written: dict[str, str], shared_dir: Path, tmp_path: Path) -> None:
    cards = Cards(ORG, shared_dir, ARMS, [0, 1])
    repository = plan(shared_dir, ARMS, [0, 1], STAGES)[-3]
    stage_files(repository, tmp_path / "again", shared_dir.parent)
    cards.write(repository, tmp_path / "again")
    assert (tmp_path / "again" / "README.md").read_text() == written[repository.name]


# ---------------------------------------------------------------- numbers of other checkpoints


def test_a_lora_adapter_is_published_beside_the_merged_model(copy: Path, tmp_path: Path) -> None:
    """The card's own line loads it, over the checkpoint that it was trained on, and gives the adapted model."""
    run = copy / "baseline" / "seed-0"
    adapted = get_peft_model(
        AutoModelForCausalLM.from_pretrained(run / "pretrain_final"),
        LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True, init_lora_weights=False),
    )
    adapted.save_pretrained(run / "adapter")
    (run / "adapter").rename(run / "sft_final" / "adapter")

    (repository,) = [r for r in plan(copy, ARMS, [0, 1], STAGES) if r.name == "mulfact-smoke-baseline-seed0-sft"]
    stage_files(repository, tmp_path / "staged", copy.parent)
    Cards(ORG, copy, ARMS, [0, 1]).write(repository, tmp_path / "staged")
    (line,) = re.findall(r"^`(PeftModel.*)`\.$", (tmp_path / "staged" / "README.md").read_text(), re.MULTILINE)
    for repo, folder in ((f"{ORG}/{repository.name}", tmp_path / "staged"), (f"{ORG}/", run / "pretrain_final")):
        line = re.sub(rf'"{repo}[^"]*"', f'"{folder}"', line, count=1)
    loaded = eval(line, {"PeftModel": PeftModel, "AutoModelForCausalLM": AutoModelForCausalLM})
    ids = torch.arange(5, 25).view(2, 10)
    with torch.no_grad():
        torch.testing.assert_close(loaded.eval()(ids).logits, adapted.eval()(ids).logits)


def test_an_experiment_that_was_moved_is_known_again(copy: Path) -> None:
    """Also in a folder of another name, and where the tokens were deleted to make room."""
    Cards(ORG, copy, ARMS, [0, 1])
    for arm in ARMS:
        shutil.rmtree(copy / arm / "tokens")
    Cards(ORG, copy.parent.rename(copy.parents[1] / "kept") / "smoke", ARMS, [0, 1])


def train_again(copy: Path, stage: str) -> None:
    folder = copy / "mulfact" / "seed-1" / f"{stage}_final"
    weights = (folder / "model.safetensors").read_bytes()
    with stage_output(folder, {"seed": 1}) as partial:
        (partial / "model.safetensors").write_bytes(weights[:-1] + b"\0")


def evaluate_again(copy: Path) -> None:
    record = copy / "mulfact" / "seed-1" / "eval" / "provenance.json"
    found = json.loads(record.read_text())
    found["outputs"].popitem()
    write_json(record, found)


def make_again(copy: Path, stage: str) -> None:
    with stage_output(copy / stage, {"seed": 1}) as folder:
        write_json(folder / "other.json", {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda copy: make_again(copy, "benchmarks"), "benchmarks is not what eval was made from: run make compare"),
        (lambda copy: make_again(copy, "corpus"), "corpus is not what tokens was made from"),
        (lambda copy: make_again(copy, "posttrain"), "posttrain is not what sft_final was made from"),
        (lambda copy: make_again(copy, "mulfact/tokenizer"), "tokenizer is not what eval was made from"),
        (lambda copy: make_again(copy, "mulfact/tokens"), "tokens is not what pretrain_final was made from"),
        (lambda copy: train_again(copy, "pretrain"), "pretrain_final is not what eval was made from: run make compare"),
        (lambda copy: train_again(copy, "grpo"), "grpo_final is not what eval was made from: run make compare"),
        (evaluate_again, "eval is not what report was made from"),
        (lambda copy: (copy / WEIGHTS).write_bytes(b"cut"), "it was cut short or edited"),
        (lambda copy: (copy / "report" / "results.json").write_text("{"), "it was cut short or edited"),
        (lambda copy: shutil.rmtree(copy / "report"), "the stage that writes it has not finished"),
    ],
    ids=[
        "other benchmarks",
        "other corpus",
        "other rows",
        "other tokenizer",
        "other tokens",
        "trained again",
        "reinforced again",
        "evaluated again",
        "cut short",
        "report cut short",
        "no report",
    ],
)
def test_numbers_of_other_checkpoints_are_not_published(
    copy: Path, change: Callable[[Path], object], message: str
) -> None:
    change(copy)
    with pytest.raises(UserError, match=message):
        Cards(ORG, copy, ARMS, [0, 1])
