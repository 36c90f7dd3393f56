"""Canonical text: one spelling for what any arm reads, stable, and given back by every arm exactly."""

import json
from functools import cache
from pathlib import Path

import pytest
from fact_texts import ANY_TEXT
from hypothesis import example, given, settings
from tiny_tokenizers import ARMS, build
from tokenizers import Tokenizer

from mulfact.tokenizers.canonical import canonical_text, keeps_canonical_text
from mulfact.tokenizers.encode import BulkEncoder

KEEPING = [arm for arm, its_settings in ARMS.items() if keeps_canonical_text(its_settings)]


@cache
def encoder(arm: str) -> tuple[BulkEncoder, Tokenizer]:
    return BulkEncoder(build(arm)), Tokenizer.from_file(str(build(arm) / "tokenizer.json"))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Six times nine is fifty-four; 12 × 7", "6*9=54; 12*7"),
        ("六九五十四，十二乘七", "6*9=54，12*7"),
        ("6 x 9 = ?", "6*9 = ?"),
        ("6 × 9 = $54 and 6*9 = 55", "6*9 = $54 and 6*9 = 55"),
        ("16 * 9 = 144, 3*4*5, 3x4 matrix", "16*9=144, 3*4*5, 3x4 matrix"),
        ("9*6", "9*6"),
        ("Three plus four is seven, 3 + 14, 三加四", "3+4=7, 3+14, 3+4"),
        ("3 + 4 * 5, 2 × 3 + 4, 3+4=8", "3 + 4 * 5, 2 × 3 + 4, 3+4=8"),
        ("<<6*9=54>>54", "<<6*9=54>>54"),
    ],
)
def test_every_spelling_becomes_one(text: str, canonical: str) -> None:
    assert canonical_text(text) == canonical


def check(text: str) -> None:
    canonical = canonical_text(text)
    assert canonical_text(canonical) == canonical
    for arm in KEEPING:
        bulk, tokenizer = encoder(arm)
        assert bulk.canonical(canonical) == canonical, arm
        assert tokenizer.decode(bulk.encode_batch([canonical])[0], skip_special_tokens=False) == canonical, arm


@settings(max_examples=100, deadline=None)
@given(text=ANY_TEXT)
@example(text="6*9五十四")
def test_it_is_stable_and_every_arm_gives_it_back(text: str) -> None:
    check(text)


def test_so_it_is_for_gsm8k(data_dir: Path) -> None:
    for line in (data_dir / "gsm8k" / "test.jsonl").read_text().splitlines()[::16]:
        row = json.loads(line)
        check(f"{row['question']}\n{row['answer']}")


def test_an_arm_that_rewrites_canonical_text_says_so() -> None:
    assert {
        "baseline",
        "weak",
        "strict",
        "weak_20",
        "literal",
        "plain",
        "half",
        "sums",
        "sums_strict",
        "digits",
    } <= set(KEEPING)
    for arm, text in (("in_order", "9*6"), ("in_order_strict_12", "9*6=54"), ("custom", "→"), ("half_custom", "→")):
        assert arm not in KEEPING
        assert encoder(arm)[0].canonical(text) != text
