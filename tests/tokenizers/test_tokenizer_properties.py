"""What holds for every text in every arm: the engines agree, decoding is canonical and stable, nothing else changes."""

import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from fact_texts import ANY_TEXT, FACTS_AND_GLUE, SOUP
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tiny_tokenizers import ARMS, build
from tokenizers import Tokenizer

from mulfact.tokenizers.encode import BulkEncoder
from mulfact.tokenizers.rewrite import Rewriter, reference_rewriter

DIGIT = re.compile("[0-9]")
SPECIAL = st.sampled_from(["<|endoftext|>", "<|pad|>", ""])


@cache
def engines(arm: str) -> tuple[Tokenizer, BulkEncoder, Rewriter]:
    return Tokenizer.from_file(str(build(arm) / "tokenizer.json")), BulkEncoder(build(arm)), Rewriter(ARMS[arm])


def check(arm: str, text: str) -> None:
    """Assert all guarantees for one text that holds no name of an added token, literal names aside."""
    tokenizer, encoder, rewriter = engines(arm)
    ids = tokenizer.encode(text).ids
    assert encoder.encode_batch([text]) == [ids]
    decoded = tokenizer.decode(ids, skip_special_tokens=True)
    assert decoded == rewriter.canonical(text)
    assert tokenizer.encode(decoded).ids == ids
    matches = list(rewriter.matches(text))
    found = [encoder.facts.ids[match.token] for match in matches if match.token in encoder.facts.ids]
    assert [index for index in ids if index in encoder.facts.by_id] == found
    if not ARMS[arm].tokens():  # what an arm does without tokens is done to the text, and nothing else
        assert ids == engines("digits" if ARMS[arm].digits == "split" else "baseline")[0].encode(decoded).ids
    assert all(first.end <= second.start for first, second in pairwise(matches))
    if not matches:
        assert decoded == text
        if ARMS[arm].digits == "bpe" or not DIGIT.search(text):
            assert ids == engines("baseline")[0].encode(text).ids
    if ARMS[arm].digits == "split":
        pieces = [tokenizer.id_to_token(index) for index in ids if index not in encoder.facts.by_id]
        assert [piece for piece in pieces if DIGIT.search(piece)] == DIGIT.findall("".join(pieces))


@pytest.mark.parametrize("arm", list(ARMS))
@settings(max_examples=100, deadline=None)
@given(text=ANY_TEXT)
@example(text="1*1' Six times nine")  # what is said after a quoted product is a number, in words or not
@example(text="6*9' 六乘九")
def test_the_guarantees_hold_for_any_text(arm: str, text: str) -> None:
    names = [token.content for token in engines(arm)[0].get_added_tokens_decoder().values()]
    assume(not any(name in text for name in names if name.startswith("<")))
    check(arm, text)


@pytest.mark.parametrize("arm", list(ARMS))
def test_the_guarantees_hold_for_gsm8k(arm: str, data_dir: Path) -> None:
    for line in (data_dir / "gsm8k" / "test.jsonl").read_text().splitlines()[::16]:
        row = json.loads(line)
        check(arm, row["question"] + "\n" + row["answer"])


@pytest.mark.parametrize(
    "arm", ["weak", "strict", "weak_20", "in_order", "sums", "plain", "half", "digits", "weak_digits"]
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_engines_agree_on_every_line_of_gsm8k(arm: str, split: str, data_dir: Path) -> None:
    tokenizer, encoder, _ = engines(arm)
    rows = [json.loads(line) for line in (data_dir / "gsm8k" / f"{split}.jsonl").read_text().splitlines()]
    texts = [f"{row['question']}\n{row['answer']}" for row in rows]
    expected = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    assert encoder.encode_batch(texts) == expected


@settings(max_examples=300, deadline=None)
@given(parts=st.lists(st.tuples(SOUP, SPECIAL), max_size=4))
def test_special_tokens_end_what_a_fact_can_see(parts: list[tuple[str, str]]) -> None:
    text = "".join(part for pair in parts for part in pair)
    for arm in ("weak", "strict", "sums", "plain", "half", "weak_digits"):
        tokenizer, encoder, _ = engines(arm)
        assert encoder.encode_batch([text]) == [tokenizer.encode(text).ids]


@settings(max_examples=300, deadline=None)
@given(data=st.binary())
def test_the_baseline_returns_every_byte(data: bytes) -> None:
    """Bytes that are no UTF-8 reach a tokenizer as one character each."""
    for text in (data.decode("latin-1"), data.decode("utf-8", errors="replace")):
        tokenizer = engines("baseline")[0]
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


@settings(max_examples=500, deadline=None)
@given(text=SOUP | FACTS_AND_GLUE)
@example(text="3*6 is 18 hundrednine")  # no word that goes on with the 18
def test_the_reference_finds_every_fact_of_the_1_to_9_arms(text: str) -> None:
    """So a document without a reference fact is the same tokens in each of these arms."""
    reference = {match.start for match in reference_rewriter().matches(text)}
    for arm in ("strict", "words", "no_words", "asterisk_only", "literal_strict", "in_order", "plain", "half"):
        assert {match.start for match in engines(arm)[2].matches(text)} <= reference, arm


@settings(max_examples=300, deadline=None)
@given(
    a=st.integers(1, 9),
    b=st.integers(1, 9),
    operators=st.sampled_from(
        [("*", "+"), (" * ", " + "), (" × ", " + "), ("·", "+"), (" times ", " plus "), ("乘", "加")]
    ),
    before=st.sampled_from(["", "It is ", "(", "\n", "because ", '"', "$"]),
    after=st.sampled_from(["", ".", ")", "\n", "?", ", and so on", '"']),
)
def test_every_fact_is_found_in_plain_surroundings(
    a: int, b: int, operators: tuple[str, str], before: str, after: str
) -> None:
    times, plus = operators
    for arm, text in (
        ("weak", f"{before}{a}{times}{b}{after}"),
        ("strict", f"{before}{a}{times}{b} = {a * b}{after}"),
        ("sums", f"{before}{a}{plus}{b}{after}"),
        ("sums_strict", f"{before}{a}{plus}{b} = {a + b}{after}"),
    ):
        assert [match.fact.operands for match in engines(arm)[2].matches(text)] == [(a, b)]
