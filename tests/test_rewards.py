"""Rewards pay for the text alone, and resist the tricks that a policy may find."""

import inspect
import json

import pytest

from mulfact.errors import UserError
from mulfact.evals.answers import grade
from mulfact.evals.rewards import answer_format, brevity, exact_match, fact_token_ids, no_repetition, repetition_rate


class Log:
    """What TRL's log_metric and log_extra would receive."""

    def __init__(self):
        self.metrics, self.columns = {}, {}

    def metric(self, name, value):
        self.metrics[name] = value

    def extra(self, name, values):
        self.columns[name] = values


@pytest.fixture
def facts_file(tmp_path, monkeypatch):
    path = tmp_path / "facts.json"
    path.write_text(json.dumps({"mode": "weak", "fact_tokens": [{"token": "<MUL_6_9>", "id": 1536}, {"id": 1537}]}))
    monkeypatch.setenv("MULFACT_FACTS", str(path))
    return path


def call(completions, answer, ids=None, **kwargs):
    """Call the reward as GRPOTrainer does: everything by keyword, with columns that it does not know."""
    return exact_match(
        prompts=["p"] * len(completions),
        completions=completions,
        completion_ids=ids or [[5]] * len(completions),
        answer=answer,
        trainer_state=None,
        **kwargs,
    )


def test_only_the_right_answer_is_paid():
    completions = [" 6*9=54\n#### 54", " 6*9=55\n#### 55", " 54", ""]
    assert call(completions, ["54"] * 4) == [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("completion", "gold"),
    [
        (" #### 17 #### 18", "18"),  # two answers: the first counts
        (" #### 17\n#### 18\n#### 19", "18"),
        (" The #### 3 apples make 18.\n#### 18", "18"),  # #### inside the reasoning
        (" Question: how many are 18?", "18"),  # the prompt's number, without the form
        (" 18 18 18 18", "18"),
        (" #### " + "18" * 50_000, "18"),
        (" #### inf", "inf"),
        (" #### nan", "nan"),
        (" #### 1e9999", "18"),
        (" #### 18.0", "18"),
        (" #### 0x12", "18"),
        (" #### 2*9", "18"),
        (" #### ", ""),
        ("", ""),
        (" #### \u0661\u0668", "18"),
    ],
)
def test_tricks_are_not_paid(completion, gold):
    assert call([completion], [gold]) == [0.0]


def test_training_and_evaluation_agree():
    texts = [" #### 18", " #### 18.", "####18", " #### 1,8", " #### $18", "18", " #### 18 each\n#### 2"]
    assert call(texts, ["18"] * len(texts)) == [float(grade(text, "18").correct) for text in texts]


def test_two_texts_that_differ_only_in_tokenization_get_the_same_reward(facts_file):
    text = " 6*9=<<6*9=54>>54\n#### 54"
    with_facts, without = [1536, 30, 1536, 40, 41], [11, 12, 13, 14, 15, 16, 17, 18, 19]
    log = Log()
    for reward in (exact_match, answer_format, brevity, no_repetition):
        values = reward(
            completions=[text, text], answer=["54", "54"], completion_ids=[with_facts, without], log_extra=log.extra
        )
        assert values[0] == values[1]
    assert log.columns["fact_tokens"] == [2, 0]


@pytest.mark.parametrize("reward", [answer_format, brevity, no_repetition])
def test_optional_rewards_cannot_read_tokens(reward):
    """They name no argument but the text: what they pay cannot depend on the ids."""
    assert [p.name for p in inspect.signature(reward).parameters.values()] == ["completions", "kwargs"]


def test_the_mean_reward_of_each_source_is_logged():
    log = Log()
    sources = ["gsm8k", "synthetic", "synthetic", "gsm8k"]
    call([" #### 54", " #### 54", " #### 5", ""], ["54"] * 4, source=sources, log_metric=log.metric)
    assert (log.metrics["reward_gsm8k"], log.metrics["reward_synthetic"]) == (0.5, 0.5)
    log = Log()
    call([" #### 54"], ["54"], source=["gsm8k"], log_metric=log.metric)
    assert log.metrics["reward_gsm8k"] == 1.0
    assert "reward_synthetic" not in log.metrics


def test_what_is_logged(facts_file):
    log = Log()
    call(
        [" #### 54", " a b c d a b c d"],
        ["54", "54"],
        [[1536, 1537, 7], [3]],
        log_metric=log.metric,
        log_extra=log.extra,
    )
    assert log.metrics == {
        "fact_tokens": 1.0,
        "completion_tokens": 2.0,
        "completion_characters": 12.0,
        "answered": 0.5,
        "repetition": pytest.approx(0.1),
    }
    assert log.columns["extracted"] == ["54", None]
    assert log.columns["gold"] == ["54", "54"]
    assert log.columns["completion_tokens"] == [3, 1]


def test_an_arm_without_fact_tokens_logs_zero(tmp_path, monkeypatch):
    (tmp_path / "facts.json").write_text('{"mode": "none", "fact_tokens": []}')
    monkeypatch.setenv("MULFACT_FACTS", str(tmp_path / "facts.json"))
    log = Log()
    call([" #### 54"], ["54"], [[1536]], log_metric=log.metric)
    assert log.metrics["fact_tokens"] == 0


def test_nothing_is_claimed_about_fact_tokens_when_no_file_is_named(monkeypatch):
    monkeypatch.delenv("MULFACT_FACTS", raising=False)
    log = Log()
    call([" #### 54"], ["54"], [[1536]], log_metric=log.metric)
    assert "fact_tokens" not in log.metrics


@pytest.mark.parametrize("content", [None, "{", '{"mode": "weak"}', '{"fact_tokens": [{"token": "x"}]}'])
def test_a_wrong_facts_file_is_named(tmp_path, content):
    path = tmp_path / "facts.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=f"MULFACT_FACTS={path}"):
        fact_token_ids(str(path))


def test_optional_rewards():
    assert answer_format([" so\n#### 54", "#### 54 ", "#### 5 #### 54", "#### 54 left", "54"]) == [1, 1, 0, 0, 0]
    assert brevity(["", "x" * 500, "x" * 9000]) == [0, -0.5, -1]
    assert no_repetition(["one two three four five", "a " * 103]) == [0, pytest.approx(-0.99)]
    assert repetition_rate("only three words") == 0
