"""What is asked over a curve: the same texts in every arm, and by which token an arm writes a fact."""

import tiny_tokenizers
from transformers import AutoTokenizer

from mulfact.evals.curves.probes import added_token, context_probes, fact_probes
from mulfact.tokenizers.facts import FactToken, read_facts


def test_each_fact_is_asked_as_an_equation_and_as_a_question() -> None:
    probes = {(probe.unit, probe.form): probe for probe in fact_probes(9)}
    assert len(probes) == 2 * 2 * 81
    assert probes["6*9", "plain"].prompt == "6*9="
    assert probes["6*9", "plain"].answer == "54"
    assert probes["6*9", "question"].prompt == "Question: What is 6 times 9?\nAnswer: ####"
    assert probes["6*9", "question"].answer == " 54"
    assert (probes["3+4", "question"].prompt, probes["3+4", "question"].answer) == (
        "Question: What is 3 plus 4?\nAnswer: ####", " 7",
    )  # fmt: skip
    assert len(fact_probes(20)) == 2 * 2 * 400


def test_the_token_of_a_fact_is_that_by_which_the_arm_writes_it() -> None:
    products = {probe.unit: probe for probe in fact_probes(9)}

    def name(arm: str, unit: str) -> str | None:
        folder = tiny_tokenizers.build(arm)
        return added_token(products[unit], AutoTokenizer.from_pretrained(folder), read_facts(folder))

    assert [name("weak", unit) for unit in ("6*9", "9*6", "6+9")] == ["<MUL_6_9>", "<MUL_9_6>", None]
    assert name("strict", "6*9") == "<MUL_6_9_54>"
    assert name("in_order", "9*6") == "<MUL_6_9>"
    assert [name("sums", unit) for unit in ("6*9", "6+9")] == [None, "<ADD_6_9>"]
    assert name("baseline", "6*9") is None
    halves = [{unit for unit in products if name(arm, unit)} for arm in ("half", "other_half")]
    assert halves[0] & halves[1] == set()
    assert halves[0] | halves[1] == {unit for unit in products if "*" in unit}
    assert all(f"{b}*{a}" in halves[0] for a, b in (unit.split("*") for unit in halves[0]))


def test_words_are_asked_where_they_stand() -> None:
    token = FactToken("<OF_THE>", "of the", None, ("of the", "of  the"))
    texts = ["The end of the long road is near.\nroof the house", "one of  the\nsame", "a part of the whole"]
    probes = context_probes([token], texts, most=9)
    assert [(probe.prompt, probe.answer) for probe in probes] == [
        ("The end of the", " long road"), ("a part of the", " whole"),
    ]  # fmt: skip
    assert {(probe.task, probe.unit, probe.form) for probe in probes} == {("words", "of the", "context")}
    assert len(context_probes([token], texts, most=1)) == 1
