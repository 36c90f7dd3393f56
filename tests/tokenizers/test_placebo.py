"""The placebo's pairs of words: as many as the facts, as frequent, never overlapping, nothing arithmetic."""

import random
import re

import pytest

from mulfact.errors import UserError
from mulfact.tokenizers.base import train
from mulfact.tokenizers.build import add_facts, fit_facts
from mulfact.tokenizers.facts import FactSettings
from mulfact.tokenizers.placebo import ARITHMETIC, choose_pairs
from mulfact.tokenizers.rewrite import Rewriter


def texts() -> list[str]:
    """Return texts in which facts and pairs of made-up words occur with many different frequencies."""
    generator = random.Random(0)
    words = [a + b + c for a in "bdfgk" for b in "aeiou" for c in "lmnrt"]
    weights = [1 / (1 + index) for index in range(len(words))]
    return [
        " ".join(generator.choices(words, weights, k=30)) + f". So {a}*{b}={a * b} and twice six, number {a} times {b}."
        for a in range(1, 10)
        for b in range(1, 10)
        for _ in range(1 + 90 // (a * b))
    ]


def test_pairs_match_the_facts_in_number_and_frequency() -> None:
    corpus = texts()
    pairs = choose_pairs(corpus, FactSettings("placebo"))
    assert len(pairs) == len({pair.token.token for pair in pairs}) == 81
    facts, placebo = sum(pair.fact_count for pair in pairs), sum(pair.count for pair in pairs)
    assert abs(placebo - facts) < 0.1 * facts
    assert sorted((pair.fact_count for pair in pairs), reverse=True) == [pair.fact_count for pair in pairs]


def test_each_pair_is_rewritten_as_often_as_it_was_counted() -> None:
    corpus = texts()
    pairs = choose_pairs(corpus, FactSettings("placebo"))
    arm = Rewriter(FactSettings("placebo", custom_tokens=tuple(pair.token for pair in pairs)))
    counts = arm.count("\n".join(corpus))
    assert {pair.token.token: pair.count for pair in pairs} == dict(counts)


def test_a_pair_takes_the_place_of_two_words_at_least() -> None:
    """What is added would compress nothing if the space in front stayed outside, and facts do compress."""
    corpus = texts()
    pairs = choose_pairs(corpus, FactSettings("placebo"))
    settings = FactSettings("placebo", custom_tokens=tuple(pair.token for pair in pairs))
    base = train(corpus, 800)
    alone = sum(len(encoding.ids) for encoding in base.encode_batch(corpus))
    facts = fit_facts(settings, base, vocab_size=896)
    with_pairs = sum(len(encoding.ids) for encoding in add_facts(base, facts).encode_batch(corpus))
    assert alone - with_pairs >= sum(pair.count for pair in pairs) > 0


def test_pairs_never_overlap_and_are_not_arithmetic() -> None:
    pairs = [pair.token.text.split() for pair in choose_pairs(texts(), FactSettings("placebo"))]
    assert {first for first, _ in pairs}.isdisjoint(second for _, second in pairs)
    assert ARITHMETIC.isdisjoint(word for pair in pairs for word in pair)
    assert all(re.fullmatch("[a-z]{2,}", word) for pair in pairs for word in pair)


def test_the_choice_is_the_same_every_time() -> None:
    assert choose_pairs(texts(), FactSettings("placebo")) == choose_pairs(texts(), FactSettings("placebo"))


def test_a_poor_corpus_is_refused() -> None:
    with pytest.raises(UserError, match="the corpus has word pairs for 1 of 81 placebo tokens"):
        choose_pairs(["a good morning 6*9"], FactSettings("placebo"))
