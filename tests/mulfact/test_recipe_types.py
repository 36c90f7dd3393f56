"""A setting of the wrong kind is refused when a recipe is composed, with key, found and expected."""

import shutil
from pathlib import Path

import pytest

from mulfact.errors import UserError
from mulfact.recipe import compose


@pytest.fixture(scope="module")
def recipes(repository: Path) -> Path:
    return repository / "recipes"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("eval.batch_size=x", "eval.batch_size is 'x': expected a whole number, such as 64"),
        ("pretrain.sequence_length=long", "pretrain.sequence_length is 'long': expected a whole number"),
        ("pretrain.max_steps=2.5", "pretrain.max_steps is 2.5: expected a whole number"),
        ("pretrain.n_layer=true", "pretrain.n_layer is True: expected a whole number"),
        ("pretrain.n_layer=null", "pretrain.n_layer is None: expected a whole number"),
        ("readiness.force=perhaps", "readiness.force is 'perhaps': expected true or false"),
        ("sft.learning_rate=fast", "sft.learning_rate is 'fast': expected a number, such as 0.001"),
        ("sft.learning_rate=.inf", "sft.learning_rate is inf: expected a number"),
        ("sft.max_length=null", "sft.max_length is None: expected a whole number"),
        ("grpo.max_completion_length=", "grpo.max_completion_length is None: expected a whole number"),
        ("corpus.sources.0.weight=3", "corpus.sources is {'0': {'weight': 3}}: expected a list"),
        ("corpus.sources=[fineweb]", "corpus.sources is 'fineweb': expected a mapping"),
        ("tokenizer.subset.share=half", "tokenizer.subset.share is 'half': expected a number"),
        ("tokenizer.subset.complement=1", "tokenizer.subset.complement is 1: expected true or false"),
        ("tokenizer.surface_forms=[1]", "tokenizer.surface_forms is 1: expected a text"),
        ("grpo.env=3", "grpo.env is 3: expected a mapping"),
        ("base_tokenizer.source=5", "base_tokenizer.source is 5: expected a text, such as 'train'"),
        ("outputs.x=3", "outputs is {'x': 3}: expected a text, such as 'outputs'"),
        ("outputs=", "an override cannot set outputs"),
        ("eval.batch_size=${sft.optim}", "eval.batch_size is 'adamw_torch_fused': expected a whole number"),
    ],
)
def test_an_override_of_another_kind_is_refused(recipes: Path, override: str, expected: str) -> None:
    with pytest.raises(UserError) as refused:
        compose(recipes, "smoke", "mulfact", 0, [override])
    assert expected in str(refused.value)
    assert ("recipe smoke/mulfact" if "$" in override else f"override {override!r}") in str(refused.value)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("custom_tokens: null", "a list"),
        ("custom_tokens: {a: b}", "a list"),
        ("surface_forms: null", "a list"),
        ("max_operand: nine", "a whole number, such as 9"),
        ("vocab_size: big", "a whole number"),
    ],
)
def test_an_arm_file_is_named_with_its_wrong_value(recipes: Path, tmp_path: Path, setting: str, expected: str) -> None:
    shutil.copytree(recipes, tmp_path, dirs_exist_ok=True)
    (tmp_path / "arms" / "mine.yaml").write_text(f"tokenizer:\n  mode: weak\n  {setting}\n")
    with pytest.raises(UserError, match=rf"mine\.yaml: tokenizer\.{setting.split(':')[0]} is .*: expected {expected}"):
        compose(tmp_path, "smoke", "mine", 0)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("pretrain.mixed_precision=no", "no"),
        ("pretrain.learning_rate=1", 1),
        ("corpus.target_bytes=5e7", 50_000_000),
        ("corpus.benchmarks=null", None),
        ("pretrain.target_flops=1e15", 1e15),
        ("sft.warmup_steps=0.1", 0.1),
        ("grpo.report_to=[tensorboard]", ["tensorboard"]),
        ("eval.max_samples=${grpo.max_steps}", 30),
        ("posttrain.gsm8k=openai/gsm8k", "openai/gsm8k"),
    ],
)
def test_what_a_setting_may_be(recipes: Path, override: str, value: object) -> None:
    section, _, key = override.partition("=")[0].partition(".")
    others = ["pretrain.max_steps=null"] if key == "target_flops" else []
    found = compose(recipes, "smoke", "mulfact", 0, [override, *others])[section][key]
    assert (found, type(found)) == (value, type(value))
