"""What the report says of an arm is read from the tokenizer of its runs, whatever the arm is called."""

from pathlib import Path

import pytest
from run_folders import write_experiment

from mulfact.evals.comparison.arms import describe_arms
from mulfact.evals.comparison.runs import load_runs
from mulfact.provenance import write_json
from mulfact.tokenizers.facts import Facts, FactSettings, FactToken

HALF, THIRD = FactToken("<HALF>", "one half", patterns=("one half",)), FactToken("a third", "a third")


@pytest.mark.parametrize(
    ("settings", "count", "examples"),
    [
        (FactSettings(), 0, []),
        (FactSettings("weak", max_operand=20), 400, [("<MUL_1_1>", "1*1"), ("<MUL_20_20>", "20*20")]),
        (FactSettings("strict"), 81, [("<MUL_1_1_1>", "1*1=1"), ("<MUL_9_9_81>", "9*9=81")]),
        (FactSettings("custom", custom_tokens=(HALF,)), 1, [("<HALF>", "one half")]),
        (FactSettings("custom", custom_tokens=(HALF, THIRD)), 2, [("<HALF>", "one half"), ("a third", "a third")]),
    ],
)
def test_an_arm_is_described_by_its_own_tokens(
    tmp_path: Path, settings: FactSettings, count: int, examples: list[tuple[str, str]]
) -> None:
    write_experiment(tmp_path, ["plain", "mine"], [0])
    facts = Facts(settings.mode, 1024, 300, tuple(settings.tokens()), settings)
    write_json(tmp_path / "mine/seed-0/grpo_final/facts.json", facts.to_json())
    arm = describe_arms(load_runs(tmp_path, ["plain", "mine"], [0]))["mine"]
    assert (arm["mode"], arm["added_tokens"]) == (settings.mode, count)
    assert arm["description"].startswith(("has", "adds"))
    assert [(token["token"], token["text"]) for token in arm["examples"]] == examples
