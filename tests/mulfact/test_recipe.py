"""Recipes: composition, what may differ between two arms, and errors that name the nearest valid key."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mulfact.errors import UserError
from mulfact.recipe import compose, controls_named, parse_override, recipe_path, write_if_changed

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def recipes(repository: Path) -> Path:
    return repository / "recipes"


def flatten(value: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {key: leaf for name, below in value.items() for key, leaf in flatten(below, f"{prefix}.{name}").items()}


ARMS = sorted(path.stem for path in (REPOSITORY / "recipes" / "arms").glob("*.yaml"))


def test_any_two_arms_differ_in_the_tokenizer_and_the_paths_only(recipes: Path) -> None:
    arms = {arm: flatten(compose(recipes, "smoke", arm, 0)) for arm in ARMS}
    named = {"baseline", "canonical", "mulfact", "mulfact_strict", "sums", "digits", "mulfact_digits", "placebo"}
    assert named <= set(arms)
    for first, second in itertools.combinations(arms, 2):
        one, other = arms[first], arms[second]
        assert one.keys() == other.keys()
        differing = {key for key in one if one[key] != other[key]}
        tokenizer_keys = {key for key in differing if re.match(r"\.tokenizer\.(?!output_dir)", key)}
        assert tokenizer_keys, (first, second)
        assert {key.split(".")[2] for key in tokenizer_keys} <= {"mode", "operation", "max_operand", "subset", "digits"}
        for key in differing - tokenizer_keys:
            named = [second if part == first else part for part in str(one[key]).split("/")]
            assert "/".join(named) == str(other[key]), key


def test_mulfact_and_baseline_differ_in_one_key(recipes: Path) -> None:
    one, other = (flatten(compose(recipes, "smoke", arm, 0)["tokenizer"]) for arm in ("baseline", "mulfact"))
    assert {key for key in one if one[key] != other[key]} == {".output_dir", ".mode"}


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("baseline_more", {".pretrain.steps_factor", ".tokens.steps_factor"}),
        ("baseline_less", {".pretrain.steps_factor", ".tokens.steps_factor"}),
        ("baseline_bytes", {".pretrain.bytes_as"}),
    ],
)
def test_a_control_differs_from_its_arm_in_what_it_declares_and_the_paths(
    recipes: Path, name: str, keys: set[str]
) -> None:
    assert controls_named(recipes, [name])[name]["arm"] == "baseline"
    arm, control = (flatten(compose(recipes, "smoke", run, 0)) for run in ("baseline", name))
    differing = {
        key for key, value in arm.items() if str(value).replace("/baseline/", f"/{name}/") != str(control[key])
    }
    assert differing - {".halves.arm"} == keys


def test_a_control_that_is_unknown_or_says_too_little_is_refused(recipes: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown control 'baseline_mor'; did you mean 'baseline_more'"):
        controls_named(recipes, ["baseline_mor"])
    shutil.copytree(recipes, tmp_path, dirs_exist_ok=True)
    (tmp_path / "controls/short.yaml").write_text("arm: baseline\npretrain: {steps_factor: 2.0}\n")
    with pytest.raises(UserError, match="a declared control says `arm`"):
        compose(tmp_path, "smoke", "short", 0)
    (tmp_path / "controls/mulfact.yaml").write_text("arm: baseline\npretrain: {steps_factor: 2.0}\ndiffers: [steps]\n")
    with pytest.raises(UserError, match="mulfact is the name of an arm as well"):
        compose(tmp_path, "smoke", "mulfact", 0)


def test_every_scale_composes_with_every_arm(recipes: Path) -> None:
    scales = [path.stem for path in (recipes / "scales").glob("*.yaml")]
    arms = [path.stem for path in (recipes / "arms").glob("*.yaml")]
    assert "smoke" in scales
    for scale in scales:
        sizes = {compose(recipes, scale, arm, 1)["tokenizer"]["vocab_size"] for arm in arms}
        assert len(sizes) == 1, "every arm of a scale has the same vocabulary size"


def test_a_scale_extends_another_and_shows_only_what_differs(recipes: Path, tmp_path: Path) -> None:
    medium, small = (compose(recipes, scale, "mulfact", 0) for scale in ("gpt2_355m", "gpt2_124m"))
    assert (medium["pretrain"]["n_layer"], medium["pretrain"]["n_embd"]) == (24, 1024)
    assert medium["corpus"]["sources"] == small["corpus"]["sources"]
    assert medium["sft"]["max_steps"] == small["sft"]["max_steps"]
    shutil.copytree(recipes, tmp_path, dirs_exist_ok=True)
    (tmp_path / "scales" / "first.yaml").write_text("extends: second\n")
    (tmp_path / "scales" / "second.yaml").write_text("extends: first\n")
    with pytest.raises(UserError, match="which extends second in its turn"):
        compose(tmp_path, "first", "mulfact", 0)
    (tmp_path / "scales" / "first.yaml").write_text("extends: gpt2_125m\n")
    with pytest.raises(UserError, match="did you mean 'gpt2_124m'"):
        compose(tmp_path, "first", "mulfact", 0)


def test_a_seed_changes_seeds_and_paths_only(recipes: Path) -> None:
    first, second = (flatten(compose(recipes, "smoke", "mulfact", seed)) for seed in (0, 1))
    for key in (key for key in first if first[key] != second[key]):
        assert key.endswith("seed") or str(first[key]).replace("seed-0", "seed-1") == second[key], key
    assert first[".corpus.seed"] == second[".corpus.seed"]


def test_overrides_win_over_scale_and_base(recipes: Path) -> None:
    stages = compose(recipes, "smoke", "mulfact", 0, ["pretrain.max_steps=50", "pretrain.learning_rate=1e-4"])
    assert stages["pretrain"]["max_steps"] == 50
    assert stages["pretrain"]["learning_rate"] == 1e-4


@pytest.mark.parametrize(
    ("override", "nearest"),
    [
        ("pretrain.max_step=50", "pretrain.max_steps"),
        ("pretrian.max_steps=50", "pretrain"),
        ("corpus.synthetic.tabels=0.1", "corpus.synthetic.tables"),
        ("sft.lerning_rate=1", "sft.learning_rate"),
    ],
)
def test_an_unknown_key_names_the_nearest_valid_one(recipes: Path, override: str, nearest: str) -> None:
    with pytest.raises(UserError, match=f"did you mean '{nearest}'"):
        compose(recipes, "smoke", "mulfact", 0, [override])


def test_an_option_of_trl_that_base_does_not_list_is_accepted(recipes: Path) -> None:
    assert compose(recipes, "smoke", "mulfact", 0, ["sft.lora_r=8"])["sft"]["lora_r"] == 8


@pytest.mark.parametrize(
    ("scale", "arm", "message"),
    [("smok", "mulfact", "unknown scale 'smok'; did you mean 'smoke'"), ("smoke", "mulfakt", "did you mean 'mulfact'")],
)
def test_an_unknown_scale_or_arm_names_the_nearest(recipes: Path, scale: str, arm: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compose(recipes, scale, arm, 0)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("pretrain.max_steps", "expected section.key=value"),
        ("pretrain=5", "pretrain is a section"),
        ("tokenizer.vocab_size=2050", "multiple of 64"),
        ("tokenizer.vocab_size=1600", "adds 81 tokens: set it to at least 1664 for every arm"),
        ("base_tokenizer.vocab_size=1980", "is 2048, but base_tokenizer.vocab_size is 1980 and this arm adds 81"),
        ("tokenizer.mode=week", "tokenizer.mode: found 'week'"),
        ("tokenizer.mode=custom", "tokenizer.custom_tokens is empty"),
        ("tokenizer.operation=divide", "tokenizer.operation: found 'divide'; expected one of multiply, add"),
        ("tokenizer.digits=one", "tokenizer.digits: found 'one'"),
        ("tokenizer.subset.share=2", "tokenizer.subset.share is 2: expected 0"),
        ("tokenizer.subset.shares=0.5", "did you mean 'tokenizer.subset.share'"),
        ("tokenizer.surface_forms=[times]", "leaves out asterisk"),
        ("pretrain.tokens_per_step=1000", "multiple of pretrain.sequence_length"),
        ("pretrain.num_processes=7", "a step has 8 sequences .* which so many processes cannot share"),
        ("pretrain.micro_batch_size=7", "each of 1 processes has 8 sequences in a step"),
        ("sft.num_processes=2", "left out: PROCESSES= of make says it"),
        ("sft.max_length=4096", "must not exceed pretrain.n_positions"),
        ("seed=5", "an override cannot set seed; say make SEED=... instead"),
        ("scale=foo", "say make SCALE="),
        ("condition=foo", "say make CONDITION="),
        ("compare.seeds=[1]", "say make SEEDS="),
        ("pretrain.max_steps=${nowhere}", "nowhere"),
        ("pretrain.max_steps=[1, 2", "override .*: the value is not YAML: while parsing a flow sequence in "),
        ("pretrain.seed=5", r"pretrain.seed cannot be set: .* go by \$\{seed\}; leave it out, and say make SEED=..."),
        ("grpo.data_seed=0", "grpo.data_seed cannot be set"),
    ],
)
def test_settings_that_cannot_work_are_refused(recipes: Path, override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compose(recipes, "smoke", "mulfact", 0, [override])


def test_training_is_told_what_stops_a_completion_in_evaluation(recipes: Path) -> None:
    stages = compose(recipes, "smoke", "mulfact", 0, ['eval.stop_sequences.cot=["\\nQuestion:", "\\n\\n"]'])
    assert json.loads(stages["grpo"]["env"]["MULFACT_STOP_SEQUENCES"]) == ["\nQuestion:", "\n\n"]
    assert stages["readiness"]["stop_sequences"] == ["\nQuestion:", "\n\n"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("grpo.max_completion_length=161", "evaluation would cut completions that GRPO was paid for"),
        ("grpo.env.MULFACT_STOP_SEQUENCES='[]'", "training must grade the text that evaluation grades"),
    ],
)
def test_training_on_what_evaluation_does_not_see_is_refused(recipes: Path, override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compose(recipes, "smoke", "mulfact", 0, [override])


def test_every_arm_fits_the_same_vocab_size_at_every_scale(recipes: Path) -> None:
    arms = {path.stem for path in (recipes / "arms").glob("*.yaml")}
    assert {"baseline", "mulfact", "mulfact_strict", "mulfact_20", "placebo"} <= arms
    for scale in (recipes / "scales").glob("*.yaml"):
        sizes = {compose(recipes, scale.stem, arm, 0)["tokenizer"]["vocab_size"] for arm in arms}
        assert len(sizes) == 1, scale


def test_a_flat_recipe_keeps_its_time_stamp_when_it_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "recipes" / "pretrain.yaml"
    assert write_if_changed(path, {"learning_rate": 1e-4})
    os.utime(path, (1, 1))
    assert not write_if_changed(path, {"learning_rate": 1e-4})
    assert path.stat().st_mtime == 1
    assert write_if_changed(path, {"learning_rate": 2e-4})
    assert yaml.safe_load(path.read_text()) == {"learning_rate": 2e-4}


def test_recipes_lie_beside_the_outputs_of_their_level(recipes: Path) -> None:
    stages = compose(recipes, "smoke", "mulfact", 3)
    assert recipe_path(stages, "corpus") == Path("outputs/smoke/recipes/corpus.yaml")
    assert recipe_path(stages, "tokens") == Path("outputs/smoke/mulfact/recipes/tokens.yaml")
    assert recipe_path(stages, "sft") == Path("outputs/smoke/mulfact/seed-3/recipes/sft.yaml")


def test_parse_override_reads_values_as_yaml() -> None:
    assert parse_override("a.b=1e-4") == {"a": {"b": 1e-4}}
    assert parse_override("a.b=[x, 2]") == {"a": {"b": ["x", 2]}}
    assert parse_override("a.b=null") == {"a": {"b": None}}


def test_the_root_folder_does_not_shadow_the_tokenizers_package(repository: Path) -> None:
    subprocess.run([sys.executable, "-c", "import tokenizers; tokenizers.Tokenizer"], cwd=repository, check=True)


@pytest.mark.parametrize(
    "override",
    [
        "corpus.output_dir=/etc/corpus",
        "pretrain.checkpoint_dir=outputs/../../elsewhere",
        "ledger.output=../ledger.json",
        "ledger.run_dir=.",
        "compare.output_dir=docs/report",
        "tokenizer.output_dir=outputs",  # the folder itself would be replaced by the stage's
        "run_dir=/tmp/run",
        "shared_dir=outputs/other",  # make would look for the stages in outputs/smoke, and train again and again
        "pretrain.output_dir=outputs/smoke/mine",
        "sft.model_name_or_path=gpt2",
        "eval.checkpoints.sft=outputs/smoke/mine",
        "tokenizer.base_tokenizer=outputs/other/base_tokenizer",
    ],
)
def test_every_stage_writes_and_reads_where_make_looks(recipes: Path, override: str) -> None:
    with pytest.raises(UserError, match=r"cannot be set: make and the other stages go by .* make OUTPUTS=\.\.\."):
        compose(recipes, "smoke", "mulfact", 0, [override])


def test_a_link_does_not_lead_out_of_the_output_folder(recipes: Path, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    (outputs / "smoke").mkdir(parents=True)
    (outputs / "smoke" / "corpus").symlink_to(tmp_path)
    with pytest.raises(UserError, match=r"corpus\.output_dir"):
        compose(recipes, "smoke", "mulfact", 0, grid={"outputs": str(outputs)})


def test_the_command_line_alone_moves_the_output_folder(recipes: Path, tmp_path: Path) -> None:
    stages = compose(recipes, "smoke", "mulfact", 0, grid={"outputs": str(tmp_path)})
    assert stages["corpus"]["output_dir"] == f"{tmp_path}/smoke/corpus"
    copy = tmp_path / "recipes"
    shutil.copytree(recipes, copy)
    (copy / "arms" / "mulfact.yaml").write_text("outputs: /etc\n")
    with pytest.raises(UserError, match="outputs is set on the command line only"):
        compose(copy, "smoke", "mulfact", 0)


@pytest.mark.parametrize("name", ["../arms/mulfact", "/etc/passwd", "../../x"])
def test_an_arm_is_a_name_and_not_a_path(recipes: Path, name: str) -> None:
    with pytest.raises(UserError, match="arm '.*: expected up to 31 letters"):
        compose(recipes, "smoke", name, 0)


@pytest.mark.parametrize("section", ["pretrain: {learning_rate: 0.01}", "corpus: {seed: 1}", "run_dir: x"])
def test_an_arm_sets_its_tokenizer_and_nothing_else(recipes: Path, tmp_path: Path, section: str) -> None:
    shutil.copytree(recipes, tmp_path, dirs_exist_ok=True)
    (tmp_path / "arms" / "fast.yaml").write_text(f"tokenizer: {{mode: weak}}\n{section}\n")
    with pytest.raises(UserError, match=rf"fast\.yaml: {section.split(':')[0]} must not be set by an arm"):
        compose(tmp_path, "smoke", "fast", 0)
    (tmp_path / "arms" / "slow.yaml").write_text("extends: fast\n")
    with pytest.raises(UserError, match=r"fast\.yaml: .* must not be set by an arm"):
        compose(tmp_path, "smoke", "slow", 0)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        # Without a mode it would be the baseline once more.
        ("{max_operand: 20}", "tokenizer.max_operand changes nothing while tokenizer.mode is none"),
        ("{mode: none, surface_forms: [asterisk]}", "tokenizer.surface_forms changes nothing while"),
        ("{mode: custom, operation: add, custom_tokens: [{patterns: [a], name: <A>, text: a}]}", "tokenizer.operation"),
        ("{mode: placebo, custom_tokens: [{patterns: [a], name: <A>, text: a}]}", "tokenizer.custom_tokens changes"),
        ("{mode: weak, base_tokenizer: outputs/other}", "tokenizer.base_tokenizer cannot be set"),
        ("{mode: weak, corpus: outputs/other}", "tokenizer.corpus cannot be set"),
        ("{mode: weak, model_max_length: 64}", "tokenizer.model_max_length must not be set by an arm"),
    ],
)
def test_an_arm_is_what_its_file_says_and_shares_the_rest(
    recipes: Path, tmp_path: Path, section: str, message: str
) -> None:
    shutil.copytree(recipes, tmp_path, dirs_exist_ok=True)
    (tmp_path / "arms" / "own.yaml").write_text(f"tokenizer: {section}\n")
    with pytest.raises(UserError, match=rf"own\.yaml: {message}"):
        compose(tmp_path, "smoke", "own", 0)


def test_settings_for_all_arms_may_be_idle_in_some(recipes: Path) -> None:
    stages = compose(recipes, "smoke", "baseline", 0, ["tokenizer.max_operand=12", "sft.run_name=mine"])
    assert (stages["tokenizer"]["max_operand"], stages["sft"]["run_name"]) == (12, "mine")


def test_the_file_of_an_arm_is_not_passed_over_for_a_half(recipes: Path, tmp_path: Path) -> None:
    shutil.copytree(recipes, tmp_path, dirs_exist_ok=True)
    (tmp_path / "arms" / "mulfact_half0a.yaml").write_text("tokenizer: {mode: strict}\n")
    with pytest.raises(UserError, match=r"mulfact_half0a\.yaml: .* is the name of a half of an arm"):
        compose(tmp_path, "smoke", "mulfact_half0a", 0)


def test_a_scale_does_not_say_which_seed_is_run(recipes: Path, tmp_path: Path) -> None:
    shutil.copytree(recipes, tmp_path, dirs_exist_ok=True)
    (tmp_path / "scales" / "mine.yaml").write_text("extends: smoke\nseed: 5\n")
    with pytest.raises(UserError, match=r"mine\.yaml: seed is set on the command line only \(make SEED="):
        compose(tmp_path, "mine", "mulfact", 0)


def test_a_half_of_an_arm_needs_no_file(recipes: Path) -> None:
    whole, first, second = (
        compose(recipes, "smoke", name, 3)["tokenizer"] for name in ("mulfact", "mulfact_half3a", "mulfact_half3b")
    )
    assert first["subset"] == {"share": 0.5, "seed": 3, "complement": False}
    assert second["subset"] == {"share": 0.5, "seed": 3, "complement": True}
    assert {key for key in whole if whole[key] != first[key]} == {"subset", "output_dir"}
    with pytest.raises(UserError, match="unknown arm 'mulfakt'; did you mean 'mulfact'"):
        compose(recipes, "smoke", "mulfakt_half0a", 0)
    with pytest.raises(UserError, match="there are no facts to draw from"):
        compose(recipes, "smoke", "baseline_half0a", 0)
