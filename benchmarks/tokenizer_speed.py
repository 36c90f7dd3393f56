"""How fast each arm is tokenized, as ratios to the baseline arm measured in the same run.

    python benchmarks/tokenizer_speed.py --data data
    python benchmarks/tokenizer_speed.py --data data --arms baseline mulfact --repeats 3

Reads gsm8k/*.jsonl and corpus/wikitext2_*.txt, trains a base vocabulary on them, builds the arms, and encodes all
texts with BulkEncoder, the way that token shards are written, and with tokenizer.json alone, the way that a released
checkpoint is used; the baseline's tokenizer.json is the `tokenizers` library called directly. The runs take turns on
one core, batch by batch, timed in CPU seconds; the best repeat of each batch counts. The last table runs BulkEncoder in
one process and in as many as there are cores, on as many copies of the texts, timed by the wall clock.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tokenizers import Tokenizer

from mulfact.errors import UserError, command
from mulfact.recipe import compose
from mulfact.tokenizers.base import read_tokenizer, train
from mulfact.tokenizers.build import add_facts, save
from mulfact.tokenizers.custom import read_settings
from mulfact.tokenizers.encode import BulkEncoder
from mulfact.tokenizers.facts import Facts
from mulfact.tokenizers.list_rewrites import read_texts

NOT_HERE = ("placebo",)  # its words are counted in a corpus
RECIPES = Path(__file__).parents[1] / "recipes"
BATCH = 256


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the speed of the arms' tokenizers.")
    parser.add_argument("--data", type=Path, required=True, help="folder with gsm8k/ and corpus/")
    arms = sorted(path.stem for path in (RECIPES / "arms").glob("*.yaml") if path.stem not in NOT_HERE)
    parser.add_argument("--arms", nargs="+", default=arms, choices=arms)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--vocab_size", type=int, default=8192)
    arguments = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    texts = read_data(arguments.data)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{len(texts)} texts, {megabytes:.1f} MB, one core, best of {arguments.repeats}")

    with tempfile.TemporaryDirectory() as scratch:
        folders = build_arms(texts, arguments.vocab_size, Path(scratch), arguments.arms)
        runs: dict[str, Callable[[list[str]], object]] = {}
        for arm, folder in folders.items():
            runs[f"{arm}: BulkEncoder"] = BulkEncoder(folder).encode_batch
            tokenizer = read_tokenizer(folder / "tokenizer.json")
            runs[f"{arm}: tokenizer.json"] = partial(encode_directly, tokenizer)
        seconds = time_in_turn(runs, texts, arguments.repeats)
        print(f"{'':32}{'MB/s':>8}{'to the baseline':>18}{'to the library':>18}")
        for name, best in seconds.items():
            reference = seconds["baseline: " + name.partition(": ")[2]]
            library = seconds["baseline: tokenizer.json"]
            print(f"{name:32}{megabytes / best:8.2f}{reference / best:18.2f}{library / best:18.2f}")
        print(f"\n{'BulkEncoder, wall clock':32}{'MB/s':>8}{'to one process':>18}")
        for arm, folder in folders.items():
            show_scaling(arm, folder, texts, megabytes)


def read_data(folder: Path) -> list[str]:
    """Return the questions and answers of GSM8K and the paragraphs of WikiText-2."""
    files = [*sorted(folder.glob("gsm8k/*.jsonl")), *sorted(folder.glob("corpus/wikitext2_*.txt"))]
    if not files:
        raise UserError(f"{folder} holds neither gsm8k/*.jsonl nor corpus/wikitext2_*.txt")
    return [part for path in files for _, text in read_texts(path) for part in text.split("\n = ")]


def build_arms(texts: list[str], vocab_size: int, scratch: Path, arms: list[str]) -> dict[str, Path]:
    """Build the arms' tokenizers over one base vocabulary; the baseline comes first."""
    base = train(texts, vocab_size).to_str()
    folders = {}
    for arm in dict.fromkeys(("baseline", *arms)):
        tokenizer, settings = Tokenizer.from_str(base), read_settings(compose(RECIPES, "smoke", arm, 0)["tokenizer"])
        tokens = tuple(settings.tokens())
        facts = Facts(settings.mode, vocab_size + 512, tokenizer.get_vocab_size(), tokens, settings)
        folders[arm] = scratch / arm
        folders[arm].mkdir()
        save(add_facts(tokenizer, facts), facts, 1024, folders[arm])
    return folders


def time_in_turn(runs: dict[str, Callable[[list[str]], object]], texts: list[str], repeats: int) -> dict[str, float]:
    """Return the CPU seconds of each run over all texts, the sum of each batch's least.

    The runs take turns at every batch, so that a busy machine slows all of them alike.
    """
    total = dict.fromkeys(runs, 0.0)
    for start in range(0, len(texts), BATCH):
        batch, best = texts[start : start + BATCH], dict.fromkeys(runs, float("inf"))
        for _ in range(repeats):
            for name, run in runs.items():
                started = time.process_time()
                run(batch)
                best[name] = min(best[name], time.process_time() - started)
        total = {name: total[name] + best[name] for name in runs}
    return total


def encode_directly(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def show_scaling(arm: str, folder: Path, texts: list[str], megabytes: float) -> None:
    """Print the rate of one process and of as many as there are cores, each encoding all texts."""
    one = None
    for processes in dict.fromkeys((1, os.cpu_count() or 1)):
        with multiprocessing.get_context("spawn").Pool(processes, open_encoder, (folder,)) as pool:
            pool.map(encode, [texts[:BATCH]] * processes, chunksize=1)  # every process has loaded its tokenizer
            started = time.perf_counter()
            pool.map(encode, [texts] * processes, chunksize=1)
            rate = megabytes * processes / (time.perf_counter() - started)
        one = one or rate
        print(f"{f'{arm}: {processes} processes':32}{rate:8.2f}{rate / one:18.2f}")


encoder: BulkEncoder  # of a worker


def open_encoder(folder: Path) -> None:
    global encoder
    encoder = BulkEncoder(folder)


def encode(texts: list[str]) -> int:
    return sum(len(encoder.encode_batch(texts[start : start + BATCH])) for start in range(0, len(texts), BATCH))


if __name__ == "__main__":
    main()
