"""13-gram overlap and near duplicates: equal to the plain definition, and honest about what cannot be found."""

import json
import random
from pathlib import Path

import pytest

from mulfact.data_builders.contamination.ngrams import N, NgramIndex, Overlap, benchmark_texts, near_duplicates, words
from mulfact.errors import UserError


def by_definition(texts: list[str], items: list[str]) -> set[tuple[int, int]]:
    """The pairs that share N consecutive words, by comparing sets of tuples."""

    def grams(text: str) -> set[tuple[str, ...]]:
        found = words(text)
        return {tuple(found[start : start + N]) for start in range(len(found) - N + 1)}

    return {(t, i) for t, text in enumerate(texts) for i, item in enumerate(items) if grams(text) & grams(item)}


def found_pairs(texts: list[str], items: list[str]) -> set[tuple[int, int]]:
    index = NgramIndex({"items": {str(number): item for number, item in enumerate(items)}})
    return {(text, item) for text, item in index.find(texts).tolist()}


def test_finds_exactly_what_the_definition_says() -> None:
    # A tiny, uneven vocabulary makes 13-grams agree often, also across the ends of neighbouring texts.
    choose = random.Random(0)
    items = [" ".join(choose.choices("ab", [4, 1], k=choose.randint(0, 40))) for _ in range(40)]
    texts = [" ".join(choose.choices("abd", [16, 4, 1], k=choose.randint(0, 120))) for _ in range(60)]
    expected = by_definition(texts, items)
    assert 50 < len(expected) < 2000
    assert found_pairs(texts, items) == expected


def test_ignores_case_and_punctuation_but_not_numbers() -> None:
    item = "Natalia sold 48 clips in April, and then she sold half as many clips in May."
    assert found_pairs([f"Copied: {item.upper().replace(',', ' --')}"], [item]) == {(0, 0)}
    assert found_pairs([item.replace("48", "49").replace("half", "a third")], [item]) == set()


def test_texts_do_not_run_into_each_other() -> None:
    item = "one two three four five six seven eight nine ten eleven twelve thirteen"
    assert found_pairs([item], [item]) == {(0, 0)}
    assert found_pairs(["one two three four five six seven", "eight nine ten eleven twelve thirteen"], [item]) == set()


def test_gsm8k_train_against_test(data_dir: Path, real_data: bool) -> None:
    def questions(split: str) -> list[str]:
        with (data_dir / "gsm8k" / f"{split}.jsonl").open() as file:
            return [json.loads(line)["question"] for line in file]

    train, test = questions("train"), questions("test")
    pairs = found_pairs(train, test)
    if real_data:
        # The published sets do overlap, a little: stories that were told again with other numbers.
        assert (len({text for text, _ in pairs}), len({item for _, item in pairs})) == (4, 3)
    else:
        assert pairs == by_definition(train, test)
    assert {(n, n) for n in range(len(test))} <= found_pairs(test, test)


def test_report_names_items_and_refuses_unless_allowed() -> None:
    problem = "Tom has five red apples and his sister gives him four more green apples before lunch today."
    index = NgramIndex({"svamp": {"svamp-1": problem, "svamp-2": problem[::-1]}, "table_9": {"6x9": "6*9="}})
    overlap = Overlap(index)
    overlap.add(["nothing"], index.find(["nothing"]))
    overlap.refuse([], "x")
    texts = ["unrelated", f"He read: {problem}", problem]
    overlap.add(texts, index.find(texts))
    report = overlap.report()["benchmarks"]
    assert report["svamp"] == {
        "items": 2,
        "items_too_short": 0,
        "overlapping_items": 1,
        "overlapping_texts": 2,
        "examples": [{"item": "svamp-1", "text": f"He read: {problem}"}],
    }
    assert report["table_9"]["items_too_short"] == 1
    overlap.refuse(["svamp"], "corpus.allow_overlap")
    with pytest.raises(UserError, match=r"2 training texts .* svamp-1 .* corpus\.allow_overlap"):
        overlap.refuse(["table_9"], "corpus.allow_overlap")
    # An interrupted build goes on with what it had found.
    again = Overlap(index, json.loads(json.dumps(overlap.found)))
    again.add([problem], index.find([problem]))
    assert again.report()["benchmarks"]["svamp"]["overlapping_texts"] == 3


def test_reads_the_prompts_of_a_benchmarks_folder(tmp_path: Path) -> None:
    (tmp_path / "svamp.jsonl").write_text(
        '{"id": "svamp-1", "prompt": "Question: How many?\\nAnswer:", "answer": "5"}\n'
    )
    assert benchmark_texts(tmp_path) == {"svamp": {"svamp-1": "Question: How many?\nAnswer:"}}
    with pytest.raises(UserError, match="holds no benchmark"):
        benchmark_texts(tmp_path / "elsewhere")


def test_near_duplicates_by_jaccard_index() -> None:
    story = "Ann buys six bags with nine marbles each and then gives ten marbles to her friend Max"
    left = {"same": story, "changed": story.replace("Max", "Leo"), "other": "A train leaves the station at noon today"}
    # 17 words have 13 shingles of 5; another last word changes one of them: 12 shared of 14.
    assert near_duplicates(left, {"test": story}) == [("same", "test", 1.0), ("changed", "test", round(12 / 14, 4))]
    assert near_duplicates({"a": "6*9="}, {"b": "6 * 9 ="}) == [("a", "b", 1.0)]
