"""What is known about documents by themselves."""

import numpy as np

from mulfact.data_builders.mixture.documents import FACTS, Task, count_facts, hash64, prepare
from mulfact.data_builders.sources.blocks import TextBlock


def test_prepare_counts_bytes_hashes_and_facts() -> None:
    texts = ["6*9=54\n6 × 9 = 54", "no fact: 16*9=144", "3 times 4 is 12. 七八五十六"]
    documents = prepare(Task(TextBlock({"file": 1, "record": 3}, texts, {"too_short": 2}), None))
    assert documents.position == {"file": 1, "record": 3}
    assert documents.bytes.tolist() == [len(text.encode()) for text in texts]
    assert documents.hashes.tolist() == [hash64(text.encode()) for text in texts]
    found = {(document, FACTS[fact]): count for document, fact, count in documents.facts.tolist()}
    assert found == {(0, "6x9"): 2, (2, "3x4"): 1, (2, "7x8"): 1}
    assert documents.overlaps.shape == (0, 2)


def test_an_empty_block_is_nothing() -> None:
    assert count_facts([]).shape == (0, 3)
    assert prepare(Task(TextBlock({}, [], {}), None)).hashes.dtype == np.uint64


def test_hash_is_pinned() -> None:
    # The validation split goes by it: another value would move documents between the splits of a published corpus.
    assert hash64(b"6*9=54") == 12814096496763802578
