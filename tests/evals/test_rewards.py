"""Rewards pay for the text alone, and resist the tricks that a policy may find."""

import inspect
import json
from types import SimpleNamespace

import pytest
import torch
from evaluation_run import WINDOW, write_checkpoint, write_tokenizer
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from mulfact.data_builders.problems.items import Benchmark, Item
from mulfact.errors import UserError
from mulfact.evals.evaluation.harness import load_checkpoint, run_task
from mulfact.evals.evaluation.tasks import task_config
from mulfact.evals.rewards import answer_format, brevity, exact_match, fact_token_ids, no_repetition, repetition_rate
from mulfact.tokenizers.facts import Facts, FactToken

STOPS = ["\nQuestion:"]


class Log:
    """What TRL's log_metric and log_extra would receive."""

    def __init__(self):
        self.metrics, self.columns = {}, {}

    def metric(self, name, value):
        self.metrics[name] = value

    def extra(self, name, values):
        self.columns[name] = values


@pytest.fixture(autouse=True)
def stop_sequences(monkeypatch):
    """What `trl grpo` exports from the recipe's env."""
    monkeypatch.setenv("MULFACT_STOP_SEQUENCES", json.dumps(STOPS))


@pytest.fixture
def facts_file(tmp_path, monkeypatch):
    path = tmp_path / "facts.json"
    tokens = (FactToken("<MUL_6_9>", "6*9", (6, 9)), FactToken("<MUL_7_8>", "7*8", (7, 8)))
    path.write_text(json.dumps(Facts("weak", 1600, 1536, tokens).to_json()))
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


@pytest.fixture(scope="module")
def checkpoint_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_tokenizer(folder / "tokenizer")
    config = GPT2Config(vocab_size=320, n_positions=WINDOW, n_embd=16, n_layer=1, n_head=1, eos_token_id=0)
    write_checkpoint(folder / "model", GPT2LMHeadModel(config), folder / "tokenizer")
    return folder / "model"


def evaluated(folder, texts, gold, monkeypatch, scratch):
    """Return what `make eval` finds of a model that completes the prompts with these texts, by lighteval's own road."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    items = [Item(str(n), f"Question: {n}?\nSolution:", gold, "gsm8k") for n in range(len(texts))]
    completions = {item.prompt: text for item, text in zip(items, texts, strict=True)}

    def generate(self, input_ids, **kwargs):
        said = [completions[tokenizer.decode(row, skip_special_tokens=True)] for row in input_ids]
        ids = tokenizer(said, padding=True, padding_side="right", return_tensors="pt")["input_ids"].long()
        return SimpleNamespace(sequences=torch.cat([input_ids, ids], dim=1), logits=None, scores=None)

    monkeypatch.setattr(GPT2LMHeadModel, "generate", generate)
    benchmark = Benchmark("gsm8k_cot", "gsm8k", "cot", "test", "", items)
    with torch.no_grad():
        model = load_checkpoint(folder, len(texts), "cpu", 32, scratch / "lighteval")
        outcomes = run_task(model, task_config(benchmark, 64, STOPS), items, None, lambda count: None)
    return [float(outcome.metrics["correct"]) for outcome in outcomes]


def test_training_and_evaluation_agree(checkpoint_folder, monkeypatch, tmp_path):
    texts = {
        " #### 18": 1.0,
        " #### 18.": 0.0,
        "####18": 0.0,
        " #### 1,8": 1.0,
        " #### $18": 0.0,
        "18": 0.0,
        " #### 18 each\n#### 2": 1.0,
        " 2*9=18\n#### 18\nQuestion: And now?\nSolution: #### 5": 1.0,  # it goes on after its answer
        " 2*9=18\nQuestion: And now?\nSolution: #### 18": 0.0,  # it answers a question of its own
        "\nQuestion: x\nSolution: #### 18": 0.0,
        "": 0.0,
    }
    trained = call(list(texts), ["18"] * len(texts))
    assert trained == evaluated(checkpoint_folder, list(texts), "18", monkeypatch, tmp_path)
    assert trained == list(texts.values())


def test_the_gate_hands_the_stop_sequences_over(monkeypatch):
    monkeypatch.delenv("MULFACT_STOP_SEQUENCES")
    assert exact_match([" #### 18\nAnd #### 5", "\n#### 18"], ["18"] * 2, stop_sequences=["\n"]) == [1.0, 0.0]
    assert exact_match(["\n#### 18"], ["18"], stop_sequences=[]) == [1.0]


@pytest.mark.parametrize("exported", [None, "", "\nQuestion:", '"\\n"', "[1]", '[""]'])
def test_without_stop_sequences_nothing_is_graded(exported, monkeypatch):
    monkeypatch.delenv("MULFACT_STOP_SEQUENCES")
    if exported is not None:
        monkeypatch.setenv("MULFACT_STOP_SEQUENCES", exported)
    with pytest.raises(UserError, match="expected a JSON list of strings; set it in the env of the grpo recipe"):
        call([" #### 18"], ["18"])


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
    (tmp_path / "facts.json").write_text(json.dumps(Facts("none", 1600, 1536, ()).to_json()))
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
