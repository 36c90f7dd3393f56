"""The table of facts: names, renderings, ids, and facts.json."""

import json
from pathlib import Path

import pytest

from mulfact.errors import UserError
from mulfact.tokenizers.facts import Facts, FactSettings, FactToken, Subset, read_facts
from mulfact.tokenizers.patterns.numerals import chinese_numerals, number_words

LETTERS = tuple(FactToken(f"<{letter.upper()}>", letter, None, (letter, letter * 2)) for letter in "abcde")


@pytest.mark.parametrize(
    ("settings", "count", "token"),
    [
        (FactSettings("weak"), 81, FactToken("<MUL_6_9>", "6*9", (6, 9))),
        (FactSettings("strict"), 81, FactToken("<MUL_6_9_54>", "6*9=54", (6, 9))),
        (FactSettings("weak", max_operand=20), 400, FactToken("<MUL_19_20>", "19*20", (19, 20))),
        (FactSettings("weak", canonical_order=True), 45, FactToken("<MUL_6_9>", "6*9", (6, 9))),
        (FactSettings("weak", token_names="literal"), 81, FactToken("9*6", "9*6", (9, 6))),
        (FactSettings("strict", token_names="literal"), 81, FactToken("9*6=54", "9*6=54", (9, 6))),
        (FactSettings("weak", operation="add"), 81, FactToken("<ADD_3_4>", "3+4", (3, 4))),
        (FactSettings("strict", operation="add"), 81, FactToken("<ADD_9_9_18>", "9+9=18", (9, 9))),
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
        (
            {"mode": "weak", "operation": "subtract"},
            "tokenizer.operation: found 'subtract'; expected one of multiply, add",
        ),
        ({"mode": "weak", "operation": "add", "surface_forms": ("asterisk",)}, "leaves out plus_sign"),
        ({"digits": "single"}, "tokenizer.digits: found 'single'; expected one of bpe, split"),
        ({"subset": Subset(0.5)}, "tokenizer.subset is set, but tokenizer.mode is none"),
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
        FactSettings("custom", custom_tokens=LETTERS, subset=Subset(0.5, 3, True)),
        FactSettings("placebo", custom_tokens=LETTERS, operation="add", subset=Subset(0.5)),
        FactSettings("weak", operation="add", digits="split", subset=Subset(0.25, 7)),
        FactSettings("weak", subset=Subset(0)),
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
    first = {"token": "<MUL_1_1>", "id": 1536, "operands": (1, 1), "text": "1*1", "operation": "multiply"}
    assert content["fact_tokens"][0] == first
    sums = FactSettings("weak", operation="add")
    content = Facts("weak", 2048, 1536, tuple(sums.tokens()), sums).to_json()
    assert content["fact_tokens"][-1] == first | {
        "token": "<ADD_9_9>",
        "id": 1616,
        "operands": (9, 9),
        "text": "9+9",
        "operation": "add",
    }
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


ARMS_OF_FACTS = [
    {"mode": "weak"},
    {"mode": "strict", "max_operand": 20},
    {"mode": "weak", "operation": "add"},
    {"mode": "weak", "canonical_order": True},
    {"mode": "custom", "custom_tokens": LETTERS},
]


@pytest.mark.parametrize("arm", ARMS_OF_FACTS)
@pytest.mark.parametrize("share", [0, 0.3, 0.5, 1])
def test_a_subset_and_its_complement_are_all_facts(arm: dict, share: float) -> None:
    everything = FactSettings(**arm).tokens()
    drawn, others = (FactSettings(**arm, subset=Subset(share, 4, complement)) for complement in (False, True))
    assert sorted((*drawn.tokens(), *others.tokens()), key=everything.index) == everything
    assert drawn.facts() == others.facts() == everything
    assert len(drawn.tokens()) == pytest.approx(share * len(everything), abs=0.05 * len(everything) + 1)
    assert drawn.token_count == len(drawn.tokens())


def test_both_orders_are_drawn_together_and_alike_in_every_kind_of_arm() -> None:
    half = Subset(0.5, 2)
    pairs = {fact.operands for fact in FactSettings("weak", subset=half).tokens()}
    assert pairs == {(b, a) for a, b in pairs}
    for arm in ({"mode": "strict"}, {"mode": "weak", "operation": "add"}, {"mode": "strict", "operation": "add"}):
        assert {fact.operands for fact in FactSettings(**arm, subset=half).tokens()} == pairs
    ordered = {fact.operands for fact in FactSettings("weak", canonical_order=True, subset=half).tokens()}
    assert ordered == {(a, b) for a, b in pairs if a <= b}


def test_the_seed_draws() -> None:
    halves = {tuple(FactSettings("weak", subset=Subset(0.5, seed)).tokens()) for seed in range(20)}
    assert len(halves) == 20
    small, large = (set(FactSettings("weak", subset=Subset(share, 1)).tokens()) for share in (0.2, 0.6))
    assert small < large


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_is_between_nothing_and_all(share: float) -> None:
    with pytest.raises(UserError, match=r"tokenizer.subset.share is .*: expected 0"):
        Subset(share)


def test_a_placebo_has_a_token_for_each_fact_that_is_drawn() -> None:
    assert (
        FactSettings("placebo", subset=Subset(0.5)).token_count == FactSettings("weak", subset=Subset(0.5)).token_count
    )
