"""Orders are permutations, differ by key, and are pinned: a change of numpy must not reorder a published run."""

import numpy as np
import pytest

from mulfact.data_builders.storage.permutation import permutation


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_is_a_permutation(count: int) -> None:
    assert sorted(permutation(count, 3, 0).tolist()) == list(range(count))


def test_depends_on_every_part_of_the_key() -> None:
    orders = [permutation(1000, *key) for key in ((0, 0), (0, 1), (1, 0), (1, 1), (0,))]
    assert len({order.tobytes() for order in orders}) == len({(0, 0), (0, 1), (1, 0), (1, 1)})
    assert permutation(1000, 0, 0).tobytes() == permutation(1000, 0, 0).tobytes()


def test_is_pinned() -> None:
    assert permutation(8, 0, 0).tolist() == [3, 2, 1, 6, 0, 7, 4, 5]
    assert permutation(8, 1, 2).tolist() == [5, 6, 3, 2, 1, 0, 4, 7]
    assert permutation(8, 1, 2).dtype == np.uint32
