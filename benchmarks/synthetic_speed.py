"""How fast the synthetic generator writes, by kind of document, and where the time goes.

    python benchmarks/synthetic_speed.py                          # a few seconds on one core
    python benchmarks/synthetic_speed.py --megabytes 20 --profile

Times are CPU seconds of one process, so that a busy machine does not count against it. The yardstick of the last column
is a loop of f-strings that writes lines such as 6*9=54 in the same run: what plain Python can do on this machine.
"""

import argparse
import cProfile
import pstats
import random
import time
from collections.abc import Iterator
from typing import Any

from mulfact.data_builders.synthetic.documents import SyntheticSettings, documents, up_to
from mulfact.settings import base_settings

EASY = {"max_digits": 1, "max_steps": 2}
HARD = {"max_digits": 4, "max_steps": 8, "max_operand": 500, "largest_table": 20}
CASES: dict[str, dict[str, Any]] = {
    "default mixture": {},
    "easy mixture": EASY,
    "hard mixture": HARD,
    "tables": {"tables": 1.0, "drills": 0.0, "word_problems": 0.0},
    "drills, hard": {"tables": 0.0, "drills": 1.0, "word_problems": 0.0, **HARD},
    "word problems, easy": {"tables": 0.0, "drills": 0.0, "word_problems": 1.0, **EASY},
    "word problems, hard": {"tables": 0.0, "drills": 0.0, "word_problems": 1.0, **HARD},
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the speed of the synthetic generator.")
    parser.add_argument("--megabytes", type=float, default=4, help="text to generate for each row")
    parser.add_argument("--profile", action="store_true", help="also list where the default mixture spends its time")
    arguments = parser.parse_args()

    defaults = base_settings("corpus.synthetic")
    size = int(arguments.megabytes * 1e6)
    yardstick = megabytes_per_second(plain_lines(), size)
    print(f"{'':22}{'MB/s':>8}{'documents/s':>14}{'of plain lines':>17}")
    for name, settings in CASES.items():
        speed, rate = measure(documents(SyntheticSettings(**{**defaults, **settings}), 0), size)
        print(f"{name:22}{speed:8.1f}{rate:14,.0f}{speed / yardstick:16.0%}")
    print(f"{'plain lines':22}{yardstick:8.1f}")
    if arguments.profile:
        profiler = cProfile.Profile()
        profiler.runcall(measure, documents(SyntheticSettings(**defaults), 0), size)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(15)


def measure(stream: Iterator[str], size: int) -> tuple[float, float]:
    """Return megabytes and documents per CPU second; building the tables of the generator is part of it."""
    start = time.process_time()
    lengths = [len(text.encode()) for text in up_to(stream, size)]
    seconds = time.process_time() - start
    return sum(lengths) / 1e6 / seconds, len(lengths) / seconds


def megabytes_per_second(stream: Iterator[str], size: int) -> float:
    return measure(stream, size)[0]


def plain_lines() -> Iterator[str]:
    """Yield documents of twenty lines by the least work: two random operands and one f-string for each line."""
    draw = random.Random(0).random
    while True:
        pairs = [(1 + int(draw() * 99), 1 + int(draw() * 99)) for _ in range(20)]
        yield "\n".join([f"{a}*{b}={a * b}" for a, b in pairs])


if __name__ == "__main__":
    main()
