"""An arm of the user's own: what works, and what is refused with the reason."""

import pytest

from mulfact.errors import UserError
from mulfact.tokenizers.custom import overlap, parse_custom_tokens
from mulfact.tokenizers.facts import FactSettings
from mulfact.tokenizers.rewrite import Rewriter


def entry(*patterns: str, name: str = "<A>", text: str | None = None) -> dict:
    return {"patterns": list(patterns), "name": name, "text": patterns[0] if text is None else text}


def rewriter(*entries: dict) -> Rewriter:
    return Rewriter(FactSettings("custom", custom_tokens=parse_custom_tokens(list(entries))))


def test_patterns_become_tokens_where_they_are_whole_words() -> None:
    arm = rewriter(entry("of the", "of a", name="<OF>"), entry("->", "→", name="<ARROW>"), entry("naïve", name="<N>"))
    assert arm.rewrite("of the oaf the roof of a house") == "<OF> oaf the roof <OF> house"
    assert arm.rewrite("x->y →z naïvely, naïve.") == "x<ARROW>y <ARROW>z naïvely, <N>."
    assert arm.canonical("of a →") == "of the ->"


def test_a_pattern_that_is_no_whole_word_hides_no_other() -> None:
    arm = rewriter(entry("of the", name="<A>"), entry("then go", name="<B>"))
    assert arm.rewrite("a roof then go") == "a roof <B>"


def test_a_pattern_that_begins_another_is_not_taken_for_it() -> None:
    arm = rewriter(entry(" do the", name="<A>"), entry(" do they", name="<B>"))
    assert arm.rewrite("so do they do the rest") == "so<B><A> rest"
    assert arm.count("so do they do the rest") == {"<A>": 1, "<B>": 1}


def test_characters_that_mean_something_in_patterns_are_literal() -> None:
    arm = rewriter(
        entry("a.b", name="<A>"), entry("(c)", name="<B>"), entry("\\d+", name="<C>"), entry("#", name="<D>")
    )
    assert arm.rewrite("a.b axb (c) c \\d+ 12 #") == "<A> axb <B> c <C> 12 <D>"


def test_a_name_may_be_the_text_itself() -> None:
    arm = rewriter(entry("thank you", name="thank you"))
    assert [match.token for match in arm.matches("thank you, thank youth")] == ["thank you"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"patterns": ["a"], "name": "<A>"}], "entry 1: expected the keys patterns, name and text"),
        (["a"], "entry 1: expected the keys patterns, name and text; found 'a'"),
        ([entry("a"), {"patterns": "b", "name": "<B>", "text": "b"}], "entry 2: patterns must be a list of words"),
        ([{"patterns": [], "name": "<A>", "text": "a"}], "patterns must be a list of words or phrases; found []"),
        ([{"patterns": ["a"], "name": 5, "text": "a"}], "name and text must be strings; found 5 and 'a'"),
        ([entry("a", name="word")], "the name 'word' could occur in text"),
        ([entry("a", name="<A B>")], "the name '<A B>' could occur in text"),
        ([entry("a", name="<|endoftext|>")], "could occur in text"),
        ([entry("a", text="b")], "<A> is decoded as 'b', which is not one of its patterns"),
        ([entry("a"), entry("b")], "the name '<A>' is used twice"),
        ([entry("a"), entry("a", name="<B>")], "'a' stands for <A> and for <B>"),
        ([entry("a\nb")], "must be words in one line, with no white space at the ends but a space in front"),
        ([entry("a ")], "must be words in one line, with no white space at the ends but a space in front"),
        ([entry("  a")], "must be words in one line, with no white space at the ends but a space in front"),
        ([entry(" ")], "must be words in one line, with no white space at the ends but a space in front"),
        ([entry(" a b"), entry("b a", name="<B>")], "' a b' (<A>) and 'b a' (<B>) overlap"),
        ([entry("\ue000")], "private-use characters"),
        ([entry("of the"), entry("the end", name="<B>")], "'of the' (<A>) and 'the end' (<B>) overlap"),
        ([entry("of the"), entry("of the end", name="<B>")], "overlap, so a text could be read in two ways"),
        ([entry("again and again")], "overlap"),
        ([entry("==")], "overlap"),
        ([entry("aa-bb"), entry("-", name="<B>")], "overlap"),
        # One half would be written <A>, and that read again.
        ([entry("one half"), entry("<A>", name="<B>")], "the pattern '<A>' holds <A>, the name of a token"),
        ([entry("<B> an hour"), entry("b", name="<B>")], "the pattern '<B> an hour' holds <B>"),
    ],
)
def test_what_cannot_work_is_refused(entries: list, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse_custom_tokens(entries)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [("of the", "other"), ("the", "of thermal"), ("of the", "in the"), ("ab", "bc"), ("a b", "c a")],
)
def test_words_that_only_share_letters_do_not_overlap(first: str, second: str) -> None:
    assert overlap(first, second) is (first == "a b")
    assert overlap(second, first) is (first == "a b")
