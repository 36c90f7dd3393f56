"""What comes before any stage: recipes on disk, settings that are remembered, and mistakes that are told in a line."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub.utils import validate_repo_id

from mulfact.command_line import LARGEST_SEED
from mulfact.errors import UserError
from mulfact.experiment import remembered
from mulfact.experiment.prepare import main
from mulfact.layout import check_name
from mulfact.locks import experiment_lock
from mulfact.release.repositories import checkpoint_name
from mulfact.settings import load_yaml

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run the command at the scale smoke with its outputs in a folder; return what it printed, or its error."""
    monkeypatch.chdir(REPOSITORY)

    def run(*arguments: str, recipes: Path = REPOSITORY / "recipes") -> str:
        command = ["prepare", "--recipes", str(recipes), "--scale", "smoke", "--outputs", str(tmp_path), *arguments]
        monkeypatch.setattr(sys, "argv", command)
        try:
            main()
        except SystemExit as left:
            return str(left.code)
        return capsys.readouterr().out

    return run


def test_every_stage_gets_its_recipe_and_a_comparison_only_when_asked(prepare, tmp_path: Path) -> None:
    prepare("--conditions", "baseline", "mulfact")
    assert not (tmp_path / "smoke/recipes/compare.yaml").exists()
    assert load_yaml(tmp_path / "smoke/baseline/seed-0/recipes/pretrain.yaml")["seed"] == 0
    prepare("--conditions", "baseline", "mulfact", "--seeds", "0", "1", "--experiment")
    compare = load_yaml(tmp_path / "smoke/recipes/compare.yaml")
    assert (compare["conditions"], compare["seeds"]) == (["baseline", "mulfact"], [0, 1])


def test_a_dry_call_lists_what_would_run_and_writes_nothing(prepare, tmp_path: Path) -> None:
    told = prepare("--conditions", "baseline", "mulfact", "--experiment", "--dry")
    assert "would run: corpus" in told
    assert "25 of 25 cells would run" in told
    assert not list(tmp_path.iterdir())


def test_arms_of_different_vocab_sizes_are_refused(prepare, tmp_path: Path) -> None:
    copy = tmp_path / "recipes"
    shutil.copytree(REPOSITORY / "recipes", copy)
    (copy / "arms" / "wide.yaml").write_text("tokenizer: {mode: weak, vocab_size: 4096}\n")
    told = prepare("--conditions", "baseline", "wide", recipes=copy)
    assert "tokenizer.vocab_size differs between arms: " in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--conditions mulfact --seeds 0", "compare.reference is 'baseline', which is not among the arms ['mulfact']"),
        ("--conditions baseline --seeds 0", "compare needs two arms and a seed"),
        (
            "--conditions baseline sums --set compare.treatment=sumz",
            "compare.treatment: recipes/arms: unknown arm 'sumz'",
        ),
        (
            "--conditions baseline sums --set compare.attribution.digit=x",
            "compare.attribution: recipes/arms: unknown arm",
        ),
        (
            "--conditions baseline sums --controls baseline_bytes",
            "the control baseline_bytes reads as many bytes as mulfact, which is not among the arms",
        ),
    ],
)
def test_an_experiment_that_compares_nothing_is_refused_before_it_runs(
    prepare, tmp_path: Path, arguments: str, message: str
) -> None:
    told = prepare(*arguments.split(), "--experiment").replace(f"{REPOSITORY}/", "")
    assert told.startswith(f"error: {message}")
    assert not list(tmp_path.iterdir())
    assert "wrote" in prepare(*arguments.split())  # its runs by themselves are welcome


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--conditions baseline mulfakt", "did you mean 'mulfact'"),
        ("--conditions baseline --set outputs=foo", "an override cannot set outputs; say make OUTPUTS=..."),
        ("--conditions baseline --seeds 007", "SEEDS: found '007'; expected whole numbers"),
        ("--conditions baseline --seeds ７", "SEEDS: found '７'; expected whole numbers"),
        ("--conditions baseline --seeds 1.0", "SEEDS: found '1.0'; expected whole numbers"),
        (
            "--conditions baseline --processes 4 --set sft.per_device_train_batch_size=6",
            "PROCESSES=4 cannot share a step of sft",
        ),
        ("--conditions baseline --seeds 0 0", "SEEDS: found '0 0'; expected whole numbers"),
        ("--conditions mulfact mulfact", "CONDITIONS: found 'mulfact mulfact'; expected names of arms"),
        ("--conditions baseline --processes 0", "PROCESSES: found '0'; expected the number of processes"),
        ("--conditions posttrain", "arm 'posttrain': a folder of that name is something else in an experiment"),
        ("--conditions empty", "empty.yaml sets nothing"),
    ],
)
def test_wrong_input_is_told_in_a_line_and_nothing_is_written(
    prepare, tmp_path: Path, arguments: str, message: str
) -> None:
    recipes = tmp_path / "own_recipes"
    shutil.copytree(REPOSITORY / "recipes", recipes)
    (recipes / "arms/empty.yaml").write_text("# nothing yet\n")
    (recipes / "arms/posttrain.yaml").write_text("tokenizer: {mode: weak}\n")
    told = prepare(*arguments.split(), recipes=recipes)
    assert message in told
    assert told.startswith("error: ")
    assert "\n" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["own_recipes"]


@pytest.mark.parametrize(
    "name",
    [
        "corpus", "benchmarks", "base_tokenizer", "posttrain", "recipes", "report", "logs", "Report", "halves",
        "seed-0", "mulfact.partial", "mulfact.previous", "mulfact.shards", "-x", ".hidden", "..", ".", "", "a b", "a/b",
        "a/", "a=b", "a%b", "a:b", "a#b", "a$b", "a'b", 'a"b', "a\nb", "a~", "a,b", "end.", "x" * 32,
        "end-", "a--b", "a..b", "事实", "été", "playground", "lm_eval",
    ],
)  # fmt: skip
def test_names_that_no_folder_can_have_are_refused(name: str) -> None:
    for kind in ("arm", "scale"):
        with pytest.raises(UserError, match=kind):
            check_name(kind, name)


@pytest.mark.parametrize("name", ["mulfact_20", "a-b", "v1.5", "7", "x" * 31, "tokenizer"])
def test_other_names_are_taken_and_the_hub_takes_them(name: str) -> None:
    check_name("arm", name)
    validate_repo_id(f"someone/{checkpoint_name('s' * 31, name, LARGEST_SEED, 'pretrain')}")


@pytest.mark.parametrize("name", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "WORLD_SIZE"])
def test_a_shell_inside_of_a_parallel_job_is_refused(prepare, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "2")
    assert f"{name} is '2': this shell says that it is one of several processes" in prepare("--conditions", "baseline")


def test_an_experiment_remembers_its_settings_until_others_are_named(
    prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "smoke/baseline/seed-0/recipes/pretrain.yaml"
    given = ("--conditions", "baseline", "--given", "OVERRIDES")
    monkeypatch.setenv("OVERRIDES", "pretrain.max_steps=7 pretrain.eval_steps=5")
    prepare(*given)
    assert load_yaml(recipe)["max_steps"] == 7
    told = prepare("--conditions", "baseline")
    assert "as this experiment was made: OVERRIDES='pretrain.max_steps=7 pretrain.eval_steps=5'" in told
    assert load_yaml(recipe)["max_steps"] == 7
    monkeypatch.setenv("OVERRIDES", "pretrain.max_steps=9")
    assert "changed max_steps, eval_steps" in prepare(*given)
    monkeypatch.setenv("OVERRIDES", "")
    prepare(*given)
    assert load_yaml(recipe)["max_steps"] == 1300
    assert "as this experiment" not in prepare("--conditions", "baseline")
    (tmp_path / "smoke/recipes/settings.yaml").write_text("- a list\n")
    assert "settings.yaml cannot be read" in prepare("--conditions", "baseline")


def test_an_experiment_remembers_its_arms_and_seeds_and_a_single_stage_does_not(
    prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "smoke/recipes/settings.yaml"
    grid = ("--conditions", "baseline", "canonical", "--seeds", "1", "2")
    monkeypatch.setenv("CONDITIONS", " baseline  canonical")
    monkeypatch.setenv("SEEDS", "1 2")
    prepare("--conditions", "canonical", "--seeds", "1", "--given", "SEEDS")
    assert not settings.exists()
    assert "as this experiment" not in prepare(*grid, "--experiment", "--given", "CONDITIONS", "SEEDS")
    assert settings.read_text() == "CONDITIONS: baseline canonical\nSEEDS: 1 2\n"  # as the Makefile reads it
    told = prepare(*grid, "--experiment")
    assert "as this experiment was made: CONDITIONS='baseline canonical' SEEDS='1 2'   (say CONDITIONS=... " in told
    assert "as this experiment" not in prepare("--conditions", "canonical", "--seeds", "1", "--given", "SEEDS")
    assert load_yaml(settings) == {"CONDITIONS": "baseline canonical", "SEEDS": "1 2"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("  a.b=1   c.d=2\t", ["a.b=1", "c.d=2"]),
        ("a.b=[1, 2] c.d={x: 1, y: [2, 3]}", ["a.b=[1, 2]", "c.d={x: 1, y: [2, 3]}"]),
        ("'a.b=[x, y]' c.d=2", ["a.b=[x, y]", "c.d=2"]),
        ('a.b="two words" c.d=2', ['a.b="two words"', "c.d=2"]),
        ('"a.b=$5 off"', ["a.b=$5 off"]),
        ("a.b=don't c.d=2", ["a.b=don't", "c.d=2"]),
    ],
)
def test_overrides_are_divided_at_blanks_outside_of_lists(text: str, found: list[str]) -> None:
    assert remembered.split(text) == found


@pytest.mark.parametrize("text", ["a.b=[1, 2", "a.b='x", "{a"])
def test_an_override_that_does_not_end_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="that does not end"):
        remembered.split(text)


def test_a_recipe_that_changes_is_told_with_its_keys(prepare, tmp_path: Path) -> None:
    arguments = ("--conditions", "baseline", "--set")
    assert f"wrote {tmp_path}/smoke/recipes/corpus.yaml" in prepare(*arguments)
    assert prepare(*arguments) == ""
    told = prepare(*arguments, "corpus.synthetic.max_digits=2", "corpus.seed=1", "corpus.num_workers=2")
    assert told == f"rewrote {tmp_path}/smoke/recipes/corpus.yaml: changed seed, synthetic.max_digits\n"


def test_two_experiments_in_one_folder_are_refused(prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mulfact.locks.PATIENCE", 0.2)
    arguments = ("--conditions", "baseline", "mulfact", "--experiment")
    with experiment_lock(tmp_path / "smoke"):
        assert f"{tmp_path}/smoke: another make experiment works there" in prepare(*arguments)
    assert not (tmp_path / "smoke" / "recipes").exists()
    prepare(*arguments)
    assert (tmp_path / "smoke" / "recipes").exists()


@pytest.mark.parametrize("module", ["mulfact", "mulfact.errors", "omegaconf"])
def test_ctrl_c_in_the_first_second_is_no_traceback(module: str) -> None:
    command = ["-X", "importtime", "-m", "mulfact.experiment.prepare", "--scale", "smoke", "--conditions", "x" * 70]
    process = subprocess.Popen([sys.executable, *command], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.split("|")[-1].strip() == module:
            break
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert "Traceback" not in told
