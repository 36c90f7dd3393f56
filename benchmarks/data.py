"""How fast and in how much memory the data stages run: generate, rewrite, tokenize, and the two commands end to end.

    python benchmarks/data.py                                                # 10 MB, 1 and 2 workers: about a minute
    python benchmarks/data.py --megabytes 100 1000 --workers 2 --only-commands   # how memory scales

Megabytes are 10^6 bytes of raw text. Peak memory is that of the largest process of a command. The parts are timed in
CPU seconds, which a busy machine does not lengthen; those of a command are of all its processes together.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from mulfact.data_builders.contamination.ngrams import NgramIndex
from mulfact.data_builders.corpus_arguments import CorpusArguments
from mulfact.data_builders.mixture.build import CorpusBuild
from mulfact.data_builders.storage.work_folder import WorkFolder
from mulfact.data_builders.storage.workers import Workers
from mulfact.data_builders.synthetic.documents import SyntheticSettings, documents
from mulfact.recipe import compose
from mulfact.settings import base_settings
from mulfact.tokenizers.encode import BulkEncoder
from mulfact.tokenizers.rewrite import reference_rewriter

REPOSITORY = Path(__file__).resolve().parent.parent
COLUMNS = ("command", "MB", "workers", "MB/s", "seconds", "CPU seconds", "peak MB")
COMMANDS = {
    "benchmarks": "mulfact.data_builders.benchmarks",
    "corpus": "mulfact.data_builders.corpus",
    "base_tokenizer": "mulfact.tokenizers.base",
    "tokenizer": "mulfact.tokenizers.build",
    "tokens": "mulfact.data_builders.tokens",
}


def run(stage: str, recipe: dict[str, Any], folder: Path) -> dict[str, float]:
    """Run a stage's command; return its seconds, its CPU seconds and the peak memory of its largest process in MB."""
    shutil.rmtree(recipe["output_dir"], ignore_errors=True)  # finished shards would be taken up
    path = folder / f"{stage}.yaml"
    path.write_text(yaml.safe_dump(recipe))
    command = [sys.executable, "-m", COMMANDS[stage], "--config", str(path)]
    with (folder / "log").open("w") as log:
        launched = subprocess.run(
            [sys.executable, "-c", LAUNCHER, *command], stdout=subprocess.PIPE, stderr=log, text=True, check=False
        )
    if launched.returncode != 0:
        sys.exit(f"{stage} failed: {(folder / 'log').read_text().splitlines()[-1]}")
    seconds, cpu_seconds, kilobytes = map(float, launched.stdout.split())
    return {"seconds": seconds, "CPU seconds": cpu_seconds, "peak MB": kilobytes * 1024 / 1e6}


# A process that is started counts the memory of the one that starts it as its own peak: so that one is kept small.
LAUNCHER = """
import os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(status != 0)
"""


def recipes(folder: Path, condition: str, megabytes: float, num_workers: int) -> dict[str, dict[str, Any]]:
    """Return the flat recipes of one measurement: the mixture of `smoke`, in shards of 4 MB."""
    settings = {
        "outputs": folder,
        "corpus.target_bytes": int(megabytes * 1e6),
        "corpus.shard_bytes": 4_000_000,
        "corpus.num_workers": num_workers,
        "corpus.min_fact_count": 0,
        "corpus.max_duplicate_fraction": 0.5,
        "tokens.num_workers": num_workers,
        "pretrain.allow_epochs": True,
    }
    return compose(REPOSITORY / "recipes", "smoke", condition, 0, [f"{key}={value}" for key, value in settings.items()])


def speed(function: Callable[[Sequence[str]], Any], texts: Sequence[str]) -> float:
    """Return MB per CPU second of a function over `texts`: the best of three, after one that compiles patterns."""
    function(texts[:100])
    size = sum(len(text.encode()) for text in texts) / 1e6
    times = []
    for _ in range(3):
        started = time.process_time()
        function(texts)
        times.append(time.process_time() - started)
    return size / min(times)


def build_tokenizers(folder: Path) -> dict[str, Path]:
    """Build the tokenizer of two arms on 2 MB, which every measurement takes; return their folders."""
    stages = {condition: recipes(folder, condition, 2, 1) for condition in ("baseline", "mulfact")}
    for stage in ("benchmarks", "corpus", "base_tokenizer"):
        run(stage, stages["mulfact"][stage], folder)
    for condition in stages:
        run("tokenizer", stages[condition]["tokenizer"], folder)
    return {condition: Path(stages[condition]["tokenizer"]["output_dir"]) for condition in stages}


def measure_parts(folder: Path, tokenizers: dict[str, Path]) -> dict[str, float]:
    """Return MB/s on one core of every part of the work, on synthetic text."""
    settings = SyntheticSettings(**base_settings("corpus.synthetic"))
    texts = list(itertools.islice(documents(settings, 1), 8000))
    rewriter = reference_rewriter()
    encoders = {condition: BulkEncoder(path) for condition, path in tokenizers.items()}
    index = NgramIndex({"benchmark": {str(number): text for number, text in enumerate(texts[:2000])}})
    unrelated = list(itertools.islice(documents(settings, 2), 8000))
    return {
        "generate": speed(lambda texts: list(itertools.islice(documents(settings, 1), len(texts))), texts),
        "count facts": speed(lambda texts: [rewriter.count(text) for text in texts], texts),
        "13-gram overlap": speed(index.find, unrelated),
        **{f"tokenize, {condition}": speed(encoder.encode_batch, texts) for condition, encoder in encoders.items()},
        "corpus, main process": main_process_speed(recipes(folder, "baseline", 20, 2)["corpus"]),
    }


def main_process_speed(recipe: dict[str, Any]) -> float:
    """Return MB per CPU second of the main process of a corpus build: the ceiling for any number of workers.

    CPU seconds, so that neither waiting for workers nor a busy machine counts.
    """
    arguments = CorpusArguments(**recipe)
    sources = arguments.read_sources()
    work = WorkFolder(arguments.output_dir, {})
    with Workers(arguments.num_workers) as workers:
        build = CorpusBuild(arguments, sources, work)
        started = time.process_time()
        build.run(workers)
        seconds = time.process_time() - started
    work.remove()
    return arguments.target_bytes / 1e6 / seconds


def measure_commands(folder: Path, megabytes: Sequence[float], workers: Sequence[int]) -> list[dict[str, Any]]:
    """Return a row for each command, size and number of workers."""
    rows = []
    for size, num_workers in itertools.product(megabytes, workers):
        stages = recipes(folder, "mulfact", size, num_workers)
        for stage in ("corpus", "tokens"):
            measured = run(stage, stages[stage], folder)
            rows.append({"command": stage, "MB": size, "workers": num_workers, "MB/s": size / measured["seconds"]})
            rows[-1] |= measured
            print("  ".join(f"{_cell(value):>11}" for value in rows[-1].values()), flush=True)
    return rows


def peaks(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the peak memory of each command with its sizes side by side, a line for each number of workers."""
    sizes = sorted({row["MB"] for row in rows})
    lines = ["  ".join(f"{title:>11}" for title in ("peak MB at", "workers", *(f"{size:g} MB" for size in sizes)))]
    for command, num_workers in dict.fromkeys((row["command"], row["workers"]) for row in rows):
        of_size = {
            row["MB"]: row["peak MB"] for row in rows if (row["command"], row["workers"]) == (command, num_workers)
        }
        cells = (command, num_workers, *(f"{of_size[size]:.0f}" for size in sizes))
        lines.append("  ".join(f"{cell:>11}" for cell in cells))
    return lines


def _cell(value: str | float) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and memory of the data stages.")
    parser.add_argument("--megabytes", nargs="+", type=float, default=[10])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--folder", type=Path, help="where to build; a temporary folder when it is left out")
    parser.add_argument("--only-commands", action="store_true", help="leave out the parts, which take two minutes")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    arguments = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # workers are the only parallelism that is measured

    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        tokenizers = build_tokenizers(folder)
        parts = {} if arguments.only_commands else measure_parts(folder, tokenizers)
        for part, megabytes in parts.items():
            print(f"{part:>20}: {megabytes:6.2f} MB/s on one core")
        print("  ".join(f"{column:>11}" for column in COLUMNS))
        rows = measure_commands(folder, arguments.megabytes, arguments.workers)
        print("\n".join(peaks(rows)))
    if arguments.json:
        arguments.json.write_text(json.dumps({"parts": parts, "commands": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
