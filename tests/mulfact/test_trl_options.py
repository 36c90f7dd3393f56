"""TRL's options, read from how its classes are declared: as its own parser has them, and wrong values told at once."""

import importlib
from pathlib import Path

import pytest
from transformers.trainer_utils import SchedulerType
from transformers.training_args import OptimizerNames

from mulfact.errors import UserError
from mulfact.recipe import compose
from mulfact.trl_options import LAUNCHER, options_of, trackers


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_the_options_are_those_of_the_parser_of_trl(stage: str) -> None:
    parser = importlib.import_module(f"trl.scripts.{stage}").make_parser()
    assert set(options_of(stage)) == {action.dest for action in parser._actions} - {"help"} | set(LAUNCHER)
    for action in parser._actions:
        if action.choices and action.dest in ("optim", "lr_scheduler_type", "eval_strategy", "save_strategy"):
            assert set(options_of(stage)[action.dest].choices) == {str(getattr(c, "value", c)) for c in action.choices}


def test_the_choices_are_those_of_the_enums() -> None:
    assert set(options_of("sft")["optim"].choices) == {one.value for one in OptimizerNames}
    assert set(options_of("grpo")["lr_scheduler_type"].choices) == {one.value for one in SchedulerType}
    assert {"wandb", "tensorboard", "trackio"} <= set(trackers())


@pytest.mark.parametrize("scale", ["smoke", "pilot", "gpt2_124m", "gpt2_355m"])
def test_trl_takes_the_recipes_of_every_scale(repository: Path, scale: str) -> None:
    stages = compose(repository / "recipes", scale, "mulfact", 0)
    for stage in ("sft", "grpo"):
        refused = [key for key, value in stages[stage].items() if not options_of(stage)[key].takes(value)]
        assert refused == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "sft.lr_scheduler_type=cosin",
            "sft.lr_scheduler_type: unknown lr_scheduler_type 'cosin'; did you mean 'cosine'",
        ),
        ("sft.optim=adamm", "sft.optim: unknown optim 'adamm'"),
        ("grpo.optim=adamw_torch_fuse", "did you mean 'adamw_torch_fused'"),
        ("sft.eval_strategy=stepz", "did you mean 'steps'"),
        ("sft.lora_r=x", "sft.lora_r is 'x': TRL takes int"),
        ("sft.use_peft=maybe", "sft.use_peft is 'maybe': TRL takes bool"),
        ("grpo.num_iterations=1.5", "grpo.num_iterations is 1.5: TRL takes int"),
        ("sft.report_to=wandbb", "did you mean 'wandb'"),
        ("grpo.report_to=[none, neptune]", "grpo.report_to is neptune, which is not installed"),
        ("sft.report_to=trackio", "sft.report_to is trackio: the live page of make's LIVE=1 is the Trackio project"),
        ("grpo.report_to=all", "grpo.report_to is all: the live page"),
        ("sft.lora_rank=4", "unknown key 'sft.lora_rank'"),
    ],
)
def test_what_trl_would_refuse_is_refused_when_a_recipe_is_composed(
    repository: Path, override: str, message: str
) -> None:
    with pytest.raises(UserError) as refused:
        compose(repository / "recipes", "smoke", "mulfact", 0, [override])
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "override",
    ["sft.lora_r=8", "sft.neftune_noise_alpha=5", "grpo.min_p=null", "sft.warmup_steps=0.1",
     "grpo.report_to=tensorboard", "sft.gradient_checkpointing_kwargs={use_reentrant: false}",
     "sft.lora_target_modules=[c_attn]"],
)  # fmt: skip
def test_what_trl_takes_is_taken(repository: Path, override: str) -> None:
    compose(repository / "recipes", "smoke", "mulfact", 0, [override])
