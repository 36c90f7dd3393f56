"""One seeded order of things, the same on every machine and under every release of numpy."""

import numpy as np


def permutation(count: int, *key: int) -> np.ndarray:
    """Return a random order of range(count) that depends on `key` and `count` alone; uint32, or int64 beyond 2**32.

    Sorts raw draws of PCG64: numpy guarantees the raw streams of its bit generators and SeedSequence across releases
    (NEP 19), but not Generator.permutation.
    """
    draws = np.random.PCG64(np.random.SeedSequence(key)).random_raw(count)
    order = np.argsort(draws, kind="stable")
    return order.astype(np.uint32) if count <= 2**32 else order
