"""The probes of facts: one phrasing a task, right answers, and questions that no fact arm rewrites."""

import pytest

from mulfact.data_builders.problem_sets.fact_probes import PROBES, fact_probe
from mulfact.data_builders.problems.items import BENCHMARKS
from mulfact.tokenizers.canonical import canonical_text
from mulfact.tokenizers.facts import FactSettings
from mulfact.tokenizers.rewrite import Rewriter


@pytest.mark.parametrize("name", list(PROBES))
def test_each_probe_asks_all_81_pairs_once(name: str) -> None:
    probe = fact_probe(name)
    assert name in BENCHMARKS
    assert (probe.style, probe.family) == ("direct", "arithmetic")
    assert {item.operands for item in probe.items} == {(a, b) for a in range(1, 10) for b in range(1, 10)}
    assert len({item.id for item in probe.items}) == len({item.prompt for item in probe.items}) == 81


@pytest.mark.parametrize(
    ("name", "question", "answer"),
    [
        ("table_9", "What is 6*9?", "54"),
        ("table_9_words", "What is 6 times 9?", "54"),
        ("product_of", "What is the product of 6 and 9?", "54"),
        ("boxes", "How many pens are in 6 boxes of 9?", "54"),
        ("tens", "What is 6*90?", "540"),
        ("sums_9", "What is 6+9?", "15"),
        ("sum_of", "What is the sum of 6 and 9?", "15"),
    ],
)
def test_questions_and_answers(name: str, question: str, answer: str) -> None:
    (item,) = (item for item in fact_probe(name).items if item.id == f"{name}-6x9")
    assert item.prompt == f"Question: {question}\nAnswer:"
    assert item.answer == answer


def test_the_plain_prompt_is_an_equation_without_its_end() -> None:
    (item,) = (item for item in fact_probe("table_9_plain").items if item.operands == (6, 9))
    assert (item.id, item.prompt, item.answer, item.answer_rule) == ("table_9_plain-6x9", "6*9=", "54", "number")


@pytest.mark.parametrize(
    ("name", "operation", "fact"),
    [("table_9_plain", "multiply", ((6, 9),)), ("boxes", "multiply", ((6, 9),)), ("sum_of", "add", ()),
     ("tens", "multiply", ())],
)  # fmt: skip
def test_what_an_item_calculates_is_known(name: str, operation: str, fact: tuple[tuple[int, int], ...]) -> None:
    (item,) = (item for item in fact_probe(name).items if item.operands == (9, 6))
    assert (item.operations, item.facts) == ((operation,), fact)


@pytest.mark.parametrize("name", ["product_of", "boxes", "tens", "sum_of"])
def test_no_arm_of_the_products_of_1_to_9_rewrites_the_question(name: str) -> None:
    rewriters = [Rewriter(FactSettings(mode)) for mode in ("weak", "strict")]
    for item in fact_probe(name).items:
        assert canonical_text(item.prompt) == item.prompt
        assert all(rewriter.rewrite(item.prompt) == item.prompt for rewriter in rewriters)
