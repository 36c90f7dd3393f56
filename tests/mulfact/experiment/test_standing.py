"""What is finished is decided by content: copies, touched files, equal rebuilds, changes that reach no training."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from stand_ins import make_stage

from mulfact.experiment.cells import Cell
from mulfact.experiment.once import refusal
from mulfact.experiment.prepare import in_order
from mulfact.experiment.standing import Standing, cell_of, discarded, judge, loses, settle
from mulfact.finished import Hashes, Move, examine, why_not
from mulfact.layout import TRAINED
from mulfact.modeling.gate import pass_gate
from mulfact.provenance import input_hash, stage_output
from mulfact.recipe import compose_runs, recipe_path, write_if_changed

RUNS = [("baseline", 0), ("mulfact", 0)]


class Experiment:
    """An experiment of two runs, composed and made by stand-ins, without make."""

    def __init__(self, repository: Path, outputs: Path, *overrides: str) -> None:
        grid: dict[str, Any] = {
            "outputs": str(outputs),
            "compare": {"conditions": ["baseline", "mulfact"], "seeds": [0]},
        }
        composed = compose_runs(repository / "recipes", "smoke", RUNS, overrides, grid)
        self.folder = outputs / "smoke"
        self.recipes = in_order(dict(zip(RUNS, composed, strict=True))) | {Cell("", "compare"): composed[0]}
        self.flat = {cell: stages[cell.stage] for cell, stages in self.recipes.items()}
        self.paths = {cell: recipe_path(stages, cell.stage) for cell, stages in self.recipes.items()}

    def standing(self) -> Standing:
        return judge(self.folder, self.flat)

    def unfinished(self) -> dict[str, str]:
        return {cell.name: str(found) for cell, found in self.standing().items() if not found.finished}

    def write(self) -> "Experiment":
        for cell, path in self.paths.items():
            write_if_changed(path, self.flat[cell])
        return self

    def make(self) -> list[Cell]:
        """Make what is not finished, one after the other, and return it: what make and `once` do together."""
        made = []
        for cell, path in self.write().paths.items():
            if not judge(self.folder, {cell: self.flat[cell]})[cell].finished:
                make_stage(path)
                made.append(cell)
            if cell.stage == "readiness":
                pass_gate(self.folder / cell.level)
        return made


@pytest.fixture(scope="module")
def original(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    experiment = Experiment(repository, tmp_path_factory.mktemp("original"))
    assert len(experiment.make()) == len(experiment.recipes)
    return experiment


@pytest.fixture
def experiment(repository: Path, original: Experiment, tmp_path: Path) -> Experiment:
    """A copy, as `cp -r` makes one: other paths, other time stamps."""
    shutil.copytree(original.folder, tmp_path / "smoke", copy_function=shutil.copyfile)
    return Experiment(repository, tmp_path)


def trained(cells: list[Cell]) -> list[str]:
    return [cell.name for cell in cells if cell.stage in TRAINED]


def test_a_copy_is_as_finished_as_its_original(experiment: Experiment, original: Experiment) -> None:
    assert original.unfinished() == {}
    assert experiment.unfinished() == {}
    assert experiment.make() == []


def test_touched_files_train_nothing(experiment: Experiment) -> None:
    for path in sorted(experiment.folder.rglob("*"), key=lambda path: path.name):
        path.touch()
    assert experiment.unfinished() == {}


@pytest.mark.parametrize("gone", ["corpus", "benchmarks", "base_tokenizer", "mulfact/tokens", "posttrain"])
def test_what_was_removed_is_made_again_and_nothing_behind_it(experiment: Experiment, gone: str) -> None:
    shutil.rmtree(experiment.folder / gone)
    assert not discarded(experiment.folder, experiment.standing())
    assert [cell.product(Path()).parent for cell in experiment.make()] == [Path(gone)]
    assert experiment.unfinished() == {}


def test_a_file_that_was_cut_short_or_edited_is_found_also_at_its_old_size(experiment: Experiment) -> None:
    product = experiment.folder / "mulfact/seed-0/sft_final/product.txt"
    product.write_text("x" * len(product.read_text()))
    assert experiment.unfinished()["mulfact/seed-0 sft"] == "cut short or edited: product.txt"
    lost = discarded(experiment.folder, experiment.standing())
    assert [cell.name for cell in lost] == ["mulfact/seed-0 sft", "mulfact/seed-0 grpo"]
    product.write_text("")
    assert "mulfact/seed-0 sft" in experiment.unfinished()


def test_other_benchmarks_restart_no_training_as_long_as_no_document_changes(
    repository: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = Experiment(repository, experiment.folder.parent, "benchmarks.probe_items=50")
    assert changed.unfinished()["benchmarks"] == "changed: probe_items"
    assert not discarded(changed.folder, changed.standing())
    made = changed.make()
    assert trained(made) == []
    assert {cell.stage for cell in made} == {"benchmarks", "corpus", "posttrain", "eval", "compare"}
    monkeypatch.setenv("SPOILED", "1")
    spoiled = Experiment(repository, experiment.folder.parent, "benchmarks.probe_items=40")
    made = spoiled.make()
    assert len(trained(made)) == 6


@pytest.mark.parametrize(
    ("override", "lost"),
    [
        ("pretrain.learning_rate=0.1", 6), ("sft.learning_rate=0.1", 4), ("grpo.learning_rate=0.1", 2),
        ("corpus.seed=5", 6), ("posttrain.seed=5", 4), ("base_tokenizer.vocab_size=512", 6),
        ("pretrain.save_steps=7", 0), ("pretrain.num_processes=2", 0), ("corpus.num_workers=2", 0),
        ("tokens.min_fact_share=0.0001", 0), ("eval.batch_size=3", 0),
        ("sft.env.TRACKIO_DIR=elsewhere", 0),
    ],
)  # fmt: skip
def test_finished_trainings_that_a_change_would_discard_are_named(
    repository: Path, experiment: Experiment, override: str, lost: int
) -> None:
    changed = Experiment(repository, experiment.folder.parent, override)
    found = discarded(changed.folder, changed.standing())
    assert len(found) == lost
    assert len(trained(changed.make())) == lost


def test_the_refusal_says_which_and_how_many_hours(repository: Path, experiment: Experiment) -> None:
    changed = Experiment(repository, experiment.folder.parent, "grpo.learning_rate=0.1")
    standing = changed.standing()
    lost = {cell: (why, standing[cell].seconds) for cell, why in discarded(changed.folder, standing).items()}
    assert "2 finished trainings of 2.00 hours would be made again: baseline/seed-0 grpo (changed: learning_rate; " in (
        refusal(lost)
    )
    assert "AGAIN=1" in refusal(lost)


def test_data_that_took_long_are_asked_about_as_trainings_are(repository: Path, experiment: Experiment) -> None:
    record = experiment.folder / "corpus/provenance.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"seconds": 3 * 3600}))
    changed = Experiment(repository, experiment.folder.parent, "corpus.seed=5")
    lost = discarded(changed.folder, changed.standing())
    assert lost[Cell("", "corpus")] == "changed: seed"
    assert loses(Cell("", "corpus"), changed.standing()[Cell("", "corpus")])
    assert "7 finished stages of 9.00 hours would be made again: corpus (changed: seed; 3.00 h); " in (
        refusal({cell: (why, changed.standing()[cell].seconds) for cell, why in lost.items()})
    )


def test_a_gate_that_closes_or_opens_is_part_of_the_content(
    repository: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs, run = experiment.folder.parent, experiment.folder / "mulfact/seed-0"
    monkeypatch.setenv("GATED", "mulfact/seed-0")
    closed = Experiment(repository, outputs, "readiness.prompts=32")
    assert discarded(closed.folder, closed.standing()) == {}
    made = {cell.name for cell in closed.make()}
    assert {"mulfact/seed-0 readiness", "mulfact/seed-0 eval", "mulfact/seed-0 ledger"} <= made
    assert "mulfact/seed-0 grpo" not in made
    assert (run / "grpo_final").is_dir()
    assert closed.unfinished() == {}
    monkeypatch.delenv("GATED")
    opened = Experiment(repository, outputs, "readiness.prompts=16")
    made = {cell.name for cell in opened.make()}
    assert {"mulfact/seed-0 eval", "mulfact/seed-0 ledger"} <= made
    assert "mulfact/seed-0 grpo" not in made  # it was trained by this recipe from this checkpoint
    assert opened.unfinished() == {}


def test_settling_renews_times_in_the_order_of_stages(experiment: Experiment) -> None:
    standing = experiment.write().standing()
    settle(experiment.folder, standing, experiment.paths.values())
    times = {cell: cell.product(experiment.folder).stat().st_mtime_ns for cell in standing}
    recipes = max(path.stat().st_mtime_ns for path in experiment.paths.values())
    assert min(times.values()) >= recipes
    assert times[Cell("", "compare")] >= max(times.values())
    (experiment.folder / "corpus/product.txt").write_text("edited")
    settle(experiment.folder, experiment.standing())
    assert Cell("", "corpus").product(experiment.folder).stat().st_mtime_ns == 0
    settle(experiment.folder, standing)  # made right again
    assert Cell("", "corpus").product(experiment.folder).stat().st_mtime_ns > 0


def test_a_finished_experiment_of_twelve_runs_is_judged_within_a_second(
    repository: Path, experiment: Experiment
) -> None:
    twelve = {Cell(cell.level.replace("seed-0", f"seed-{n}"), cell.stage): recipe
              for n in range(6) for cell, recipe in experiment.flat.items()}  # fmt: skip
    for n in range(1, 6):
        for arm in ("baseline", "mulfact"):
            shutil.copytree(experiment.folder / arm / "seed-0", experiment.folder / arm / f"seed-{n}")
    judge(experiment.folder, twelve)  # reads what was copied
    started = time.process_time()
    judge(experiment.folder, twelve)
    assert time.process_time() - started < 1


def test_a_new_file_of_a_source_is_found(repository: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.txt").write_text("one\n")
    recipe = {"output_dir": str(tmp_path / "smoke/corpus"), "sources": [{"name": "own", "files": [str(texts)]}]}
    with stage_output(recipe["output_dir"], recipe, [texts / "a.txt"]) as folder:
        (folder / "product.txt").write_text("one")
    cell = Cell("", "corpus")
    assert judge(tmp_path / "smoke", {cell: recipe})[cell].finished
    (texts / "b.txt").write_text("two\n")
    assert judge(tmp_path / "smoke", {cell: recipe})[cell].inputs == [str(texts / "b.txt")]
    (texts / "b.txt").unlink()
    (texts / "a.txt").write_text("oné\n")
    assert str(judge(tmp_path / "smoke", {cell: recipe})[cell]) == "made from another: a.txt"


def test_a_record_that_proves_nothing_is_not_believed(tmp_path: Path) -> None:
    folder = tmp_path / "stage"
    recipe = {"output_dir": str(folder), "seed": 1, "env": {"A": 1, "AB": 1}}
    with stage_output(folder, recipe) as partial:
        (partial / "product.txt").write_text("text")
    assert why_not(folder, recipe, Hashes()) == ""
    assert why_not(folder, recipe | {"seed": 2}, Hashes()) == "changed: seed"
    assert why_not(folder, recipe | {"env": {"A": 2, "AB": 2}}, Hashes(), free=("env.A",)) == "changed: env.AB"
    assert why_not(folder, recipe | {"env": {}}, Hashes(), free=("env",)) == ""
    for text in ("", "[]", "{}", '{"recipe": 1}'):
        (folder / "provenance.json").write_text(text)
        assert why_not(folder, {"seed": 1}, Hashes()) == "cut short or edited: provenance.json"


def test_what_describes_a_folder_is_not_what_is_read_of_it(tmp_path: Path) -> None:
    def write(count: str) -> str:
        with stage_output(tmp_path / "corpus", {}, descriptions=["manifest.json"]) as folder:
            (folder / "text.txt").write_text("text")
            (folder / "manifest.json").write_text(count)
        return input_hash(tmp_path / "corpus")

    assert write("1") == write("2")


def test_hashes_are_kept_by_size_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, kept = tmp_path / "text", tmp_path / ".hashes.json"
    path.write_text("one")
    hashes = Hashes(kept)
    first = hashes.of(path)
    hashes.save()
    assert list(json.loads(kept.read_text())) == ["text"]
    monkeypatch.setattr("mulfact.finished.hash_file", lambda path: "read again")
    assert Hashes(kept).of(path) == first
    os.utime(path, (1, 1))
    assert Hashes(kept).of(path) == "read again"
    kept.write_text("{")
    assert Hashes(kept).of(path) == "read again"


@pytest.mark.parametrize(
    ("then", "now", "value", "moved"),
    [
        ("outputs/smoke/corpus", "elsewhere/smoke/corpus", "outputs/smoke/tokens/x", "elsewhere/smoke/tokens/x"),
        ("outputs/smoke/corpus", "/abs/outputs/smoke/corpus", "outputs/smoke/tokens", "/abs/outputs/smoke/tokens"),
        ("/abs/outputs/smoke/corpus", "outputs/smoke/corpus", "/abs/outputs/smoke/a/b", "outputs/smoke/a/b"),
        ("outputs/smoke/corpus", "outputs/smoke/corpus", "outputs/smoke/tokens", "outputs/smoke/tokens"),
        ("outputs/smoke/corpus", "elsewhere/smoke/corpus", "openai/gsm8k", "openai/gsm8k"),
        ("outputs/smoke/corpus", "elsewhere/smoke/corpus", "outputs2/gsm8k", "outputs2/gsm8k"),
    ],
)
def test_paths_follow_an_experiment(then: str, now: str, value: str, moved: str) -> None:
    assert Move(then, now).there({"a": [value]}) == {"a": [moved]}


def test_the_cell_of_a_recipe_is_told_by_its_path() -> None:
    folder = Path("outputs/smoke")
    for level, stage in (("", "corpus"), ("", "compare"), ("a", "tokens"), ("a/seed-3", "grpo")):
        assert cell_of(Cell(level, stage).recipe(folder)) == (folder, Cell(level, stage))


def test_a_stage_waits_for_what_is_made_before_it(experiment: Experiment) -> None:
    cell = Cell("mulfact", "tokens")
    found = examine(
        experiment.folder / "mulfact/tokens",
        experiment.flat[cell],
        Hashes(),
        waiting=[str(experiment.folder / "corpus")],
    )
    assert str(found) == "waits for: corpus"
