"""Settings that would end in an error hours later are refused when a recipe is composed."""

import subprocess
import sys
from pathlib import Path

import pytest

from mulfact.errors import UserError
from mulfact.evals import rewards
from mulfact.recipe import compose
from mulfact.recipe_checks import own_rewards


@pytest.fixture(scope="module")
def recipes(repository: Path) -> Path:
    return repository / "recipes"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("pretrain.schedule=cosin", "pretrain.schedule is cosin: expected cosine or wsd"),
        ("pretrain.max_steps=null", "pretrain sets none of max_steps, target_tokens, target_flops"),
        ("pretrain.report_to=trackio", "pretrain.report_to is trackio: expected none or tensorboard"),
        ("pretrain.report_to=wandb", "pretrain.report_to is wandb: expected none or tensorboard"),
        ("corpus.validation_fraction=2", "corpus.validation_fraction is 2: expected above 0 and below 1"),
        ("compare.primary_task=foo", "compare.primary_task: unknown task 'foo'"),
        ("compare.primary_task=gsm8k_cott", "did you mean 'gsm8k_cot'"),
        ("compare.primary_task=svamp", "compare.primary_task: unknown task 'svamp'"),
        ("eval.use_tasks=[table_10]", "eval.use_tasks: unknown task 'table_10'; did you mean 'table_20'"),
        ("compare.primary_task=rg_products", "compare.primary_task: unknown task 'rg_products'"),
        ("benchmarks.reasoning_gym=[product]", "benchmarks.reasoning_gym: unknown generator 'product'; did you mean"),
        ("benchmarks.reasoning_gym=products", "benchmarks.reasoning_gym is 'products': expected a list"),
        ("lengths.max_truncated=3", "lengths.max_truncated is 3: expected a share between 0 and 1"),
        ("eval.max_cut_prompts=-1", "eval.max_cut_prompts is -1: expected a share between 0 and 1"),
        ("pretrain.max_steps=-4", "pretrain.max_steps is -4: expected at least 1"),
        ("pretrain.micro_batch_size=0", "pretrain.micro_batch_size is 0: expected at least 1"),
        ("pretrain.target_tokens=many", "pretrain.target_tokens is 'many': expected at least 1"),
        ("corpus.overlap=ignore", "corpus.overlap is 'ignore': expected refuse or drop"),
        ("corpus.synthetic.tables=0.9", "corpus.synthetic: the shares of bytes are {'tables': 0.9, "),
        ("corpus.synthetic.max_digits=7", "corpus.synthetic: max_digits is 7; expected 1 to 4"),
        ("corpus.synthetic.operations.add=-1", "operations"),
        ("corpus.sources=[{name: web, wieght: 1}]", "unknown key 'wieght'"),
        ("corpus.sources=[]", "corpus.sources has the names []"),
        ("posttrain.extra_sets=[{source: a/b, row: 3}]", "posttrain.extra_sets: expected {source: <folder or Hub id>"),
        ("eval.max_samples=some", "eval.max_samples is 'some': expected a number from 1"),
        ("sft.max_steps=0", "sft.max_steps is 0: expected a number from 1"),
        ("pretrain.n_head=7", "pretrain.n_embd is 128: it must be a multiple of pretrain.n_head (7)"),
        ("grpo.num_generations=7", "grpo.num_generations is 7: it must be 2 or more, and a divisor"),
        ("grpo.num_generations=1", "grpo.num_generations is 1: it must be 2 or more"),
        ("grpo.num_generations=128 grpo.steps_per_generation=1", "grpo.num_generations is 128: it must be"),
        ("sft.packing=true", "sft.packing is True: it must be false"),
        ("sft.pad_to_multiple_of=8", "sft.pad_to_multiple_of is 8: it must be ${sft.max_length}"),
        ("grpo.log_completions=false", "grpo.log_completions is False: it must be true"),
        ("sft.save_strategy=epoch", "sft.save_strategy is 'epoch': it must be steps"),
        ("grpo.save_strategy=no", "grpo.save_strategy is 'no': it must be steps"),
        ("sft.num_train_epochs=3", "sft.num_train_epochs is 3: it must be left out"),
        ("grpo.reward_funcs=[]", "grpo.reward_funcs is []: it must be a list with a reward of mulfact.evals.rewards"),
        ("grpo.reward_funcs=[accuracy_reward]", "grpo.reward_funcs is ['accuracy_reward']: it must be a list with"),
        (
            "grpo.reward_funcs=[mulfact.evals.rewards.exact_matsch]",
            "unknown reward 'mulfact.evals.rewards.exact_matsch'; did you mean 'mulfact.evals.rewards.exact_match'",
        ),
        # Held out of training: all but these many, or none.
        ("posttrain.validation_rows=-3", "posttrain.validation_rows is -3: expected a number from 1"),
        ("posttrain.development_prompts=0", "posttrain.development_prompts is 0: expected a number from 1"),
        ("posttrain.arithmetic_rows=-1", "posttrain.arithmetic_rows is -1: expected a number from 0"),
        ("posttrain.max_characters=few", "posttrain.max_characters is 'few': expected a number from 1"),
        ("benchmarks.probe_items=0", "benchmarks.probe_items is 0: expected a number from 1"),
        ("halves.seed=-1", "halves.seed is -1: expected a number from 0"),
        ("halves.permutations=10", "halves.permutations is 10: expected 1,000 or more"),
        ("halves.confidence_level=95", "halves.confidence_level is 95: expected a share such as 0.95"),
        ("curve.contexts=0", "curve.contexts is 0: expected a number from 1"),
        ("sft.logging_steps=0", "sft.logging_steps is 0: expected a number above 0"),
        ("sft.learning_rate=-0.1", "sft.learning_rate is -0.1: expected a number from 0"),
        ("grpo.temperature=0", "grpo.temperature is 0: expected a number above 0"),
        ("grpo.num_iterations=0", "grpo.num_iterations is 0: expected a number from 1"),
        ("grpo.reward_weights=[1.0, 2.0]", "grpo.reward_weights is [1.0, 2.0]: it must be a number for each of"),
        ("sft.push_to_hub=true", "sft.push_to_hub is True: it must be left out: make push publishes"),
        ("grpo.load_best_model_at_end=true", "grpo.load_best_model_at_end is True: it must be left out: the last"),
        ("grpo.resume_from_checkpoint=x", "grpo.resume_from_checkpoint is 'x': it must be left out: training goes on"),
        ("sft.use_peft=true", "lora_dropout is 0.05 (TRL's default is 0.05), and dropout would corrupt"),
        ("eval.use_stages=[sfd]", "eval.use_stages: unknown stage 'sfd'; did you mean 'sft'"),
        ("eval.generation_size.direct=5000", "eval.generation_size.direct is 5000: it must not exceed"),
        ("grpo.top_p=0.9", "grpo.top_p is 0.9: it must be left out or 1.0: the readiness gate samples without it"),
        ("grpo.top_k=40", "grpo.top_k is 40: it must be left out or 0"),
        ("grpo.min_p=0.1", "grpo.min_p is 0.1: it must be left out: "),
        ("grpo.repetition_penalty=1.2", "grpo.repetition_penalty is 1.2: it must be left out or 1.0"),
        ("grpo.generation_kwargs={no_repeat_ngram_size: 3}", "grpo.generation_kwargs is {'no_repeat_ngram_size': 3}"),
    ],
)
def test_what_would_doom_a_run_is_refused(recipes: Path, overrides: str, message: str) -> None:
    split = [overrides] if set(overrides) & set("{[") else overrides.split()
    with pytest.raises(UserError) as refused:
        compose(recipes, "smoke", "mulfact", 0, split)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "override",
    [
        "grpo.top_p=1.0",
        "sft.logging_steps=0.5",
        "posttrain.arithmetic_rows=0",
        "grpo.push_to_hub=false",
        "compare.primary_task=table_9_words",
        "eval.use_tasks=[]",
        "grpo.num_generations=64",  # of as many that are generated together
        "grpo.reward_funcs=[mulfact.evals.rewards.exact_match, mulfact.evals.rewards.brevity, my.own.reward]",
    ],
)
def test_what_dooms_nothing_is_accepted(recipes: Path, override: str) -> None:
    compose(recipes, "smoke", "mulfact", 0, [override])


def test_the_rewards_that_are_read_are_those_that_trl_finds() -> None:
    assert own_rewards() == {"exact_match", "answer_format", "brevity", "no_repetition"}
    assert all(callable(getattr(rewards, name)) for name in own_rewards())


def test_composing_brings_neither_torch_nor_trl_along(repository: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mulfact.recipe import compose, check_comparison\n"
        "compare = compose(Path('recipes'), 'smoke', 'mulfact', 0, "
        "grid={'compare': {'conditions': ['baseline', 'mulfact'], 'seeds': [0]}})['compare']\n"
        "check_comparison(Path('recipes'), compare)\n"
        "assert not {'torch', 'trl', 'transformers'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=repository, check=True)
