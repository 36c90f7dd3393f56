"""The table of facts: names, renderings, ids, and facts.json."""

import json
from pathlib import Path

import pytest

from mulfact.errors import UserError
from mulfact.tokenizers.facts import Facts, FactSettings, FactToken, read_facts
from mulfact.tokenizers.numerals import chinese_numerals, number_words


@pytest.mark.parametrize(
    ("settings", "count", "token"),
    [
        (FactSettings("weak"), 81, FactToken("<MUL_6_9>", "6*9", (6, 9))),
        (FactSettings("strict"), 81, FactToken("<MUL_6_9_54>", "6*9=54", (6, 9))),
        (FactSettings("weak", max_operand=20), 400, FactToken("<MUL_19_20>", "19*20", (19, 20))),
        (FactSettings("weak", canonical_order=True), 45, FactToken("<MUL_6_9>", "6*9", (6, 9))),
        (FactSettings("weak", token_names="literal"), 81, FactToken("9*6", "9*6", (9, 6))),
        (FactSettings("strict", token_names="literal"), 81, FactToken("9*6=54", "9*6=54", (9, 6))),
    ],
)
def test_an_arm_has_one_token_for_each_fact(settings: FactSettings, count: int, token: FactToken) -> None:
    tokens = settings.tokens()
    assert len(tokens) == len({t.token for t in tokens}) == count
    assert token in tokens


def test_the_baseline_has_no_tokens() -> None:
    assert FactSettings().tokens() == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "week"}, "tokenizer.mode: found 'week'; expected one of none, weak"),
        ({"mode": "weak", "token_names": "plain"}, "tokenizer.token_names: found 'plain'"),
        ({"mode": "weak", "surface_forms": ("asterisk", "roman")}, "tokenizer.surface_forms: found 'roman'"),
        ({"mode": "weak", "surface_forms": ("times_sign",)}, "leaves out asterisk"),
        ({"mode": "weak", "max_operand": 21}, "tokenizer.max_operand is 21: expected 1 to 20"),
        ({"mode": "custom"}, "tokenizer.custom_tokens is empty"),
        ({"mode": "weak", "custom_tokens": (FactToken("<A>", "a", None, ("a",)),)}, "set mode to custom"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        FactSettings(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        FactSettings("strict", 12, True, "literal", ("asterisk", "words")),
        FactSettings("custom", custom_tokens=(FactToken("<A>", "a", None, ("a", "an")),)),
        FactSettings(),
    ],
)
def test_facts_json_is_read_back(settings: FactSettings, tmp_path: Path) -> None:
    facts = Facts(settings.mode, 2048, 1536, tuple(settings.tokens()), settings)
    (tmp_path / "facts.json").write_text(json.dumps(facts.to_json()))
    assert read_facts(tmp_path) == facts
    assert list(facts.ids.values()) == list(range(1536, 1536 + len(facts.fact_tokens)))
    assert all(facts.by_id[index].token == token for token, index in facts.ids.items())


def test_facts_json_has_the_form_that_other_stages_read() -> None:
    settings = FactSettings("weak")
    content = Facts("weak", 2048, 1536, tuple(settings.tokens()), settings).to_json()
    assert content["fact_tokens"][0] == {"token": "<MUL_1_1>", "id": 1536, "operands": (1, 1), "text": "1*1"}
    assert (content["mode"], content["vocab_size"], content["base_vocab_size"]) == ("weak", 2048, 1536)


def test_a_missing_or_damaged_facts_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"facts\.json does not exist: expected a tokenizer built by mulfact"):
        read_facts(tmp_path)
    (tmp_path / "facts.json").write_text('{"mode": "weak"}')
    with pytest.raises(UserError, match=r"facts\.json is not a facts\.json of mulfact .*build the tokenizer again"):
        read_facts(tmp_path)


def test_numbers_are_spelled() -> None:
    assert number_words(54) == ["fifty-four", "fifty four"]
    assert number_words(20) == ["twenty"]
    assert number_words(300) == ["three hundred"]
    assert number_words(361)[:2] == ["three hundred and sixty-one", "three hundred sixty-one"]
    assert chinese_numerals(54) == ["五十四"]
    assert chinese_numerals(12) == ["十二", "一十二"]
    assert chinese_numerals(105) == ["一百零五"]
    assert chinese_numerals(361) == ["三百六十一"]
