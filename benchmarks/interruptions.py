"""Is an experiment that is stopped again and again the one that nobody disturbed?

    make smoke
    python benchmarks/interruptions.py --reference outputs/smoke --outputs outputs/interrupted --stops 10

Runs `make experiment` of the reference's scale, arms and seeds in a folder of its own, and stops it after random
pauses: by SIGKILL for all its processes, by SIGTERM for make, or by Ctrl-C; then the same command again, until it comes
to its end. One line tells of each stop. A process that lives on after a stop is an error, and so is, at the end, any
weight or number of results.json, times and memory aside, that is not the reference's.
"""

import argparse
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from mulfact.errors import UserError, command
from mulfact.layout import report_folder
from mulfact.provenance import hash_file

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
OF_THE_MACHINE = {"seconds", "tokens_per_second", "peak_memory_bytes", "mfu", "device"}  # of a ledger
PATIENCE = 60.0  # seconds to leave in


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Stop an experiment at random moments and compare how it ends.")
    parser.add_argument("--reference", type=Path, default=Path("outputs/smoke"), help="a finished experiment")
    parser.add_argument("--outputs", type=Path, default=Path("outputs/interrupted"), help="folder for the other one")
    parser.add_argument("--stops", type=int, default=10)
    parser.add_argument("--shortest", type=float, default=15.0, help="seconds until a stop")
    parser.add_argument("--longest", type=float, default=75.0)
    parser.add_argument("--seed", type=int, default=0, help="of the pauses and signals")
    parser.add_argument("--make", default="", help="further words for make, such as 'VENV= JOBS=1'")
    options = parser.parse_args()

    expected = read_results(options.reference)
    arms, seeds = " ".join(expected["conditions"]), " ".join(map(str, expected["seeds"]))
    words = ["make", "experiment", f"SCALE={expected['scale']}", f"CONDITIONS={arms}", f"SEEDS={seeds}"]
    words += [f"OUTPUTS={options.outputs}", *shlex.split(options.make)]
    begun, draw = time.monotonic(), random.Random(options.seed)
    options.outputs.mkdir(parents=True, exist_ok=True)
    log = options.outputs / "interruptions.log"
    for stop in range(1, options.stops + 1):
        pause, number = draw.uniform(options.shortest, options.longest), draw.choice(SIGNALS)
        status, left = run(words, log, pause, number)
        if left is None:
            print(f"it came to its end before stop {stop}")
            break
        told = f"stop {stop} by {number.name} after {pause:.0f} s, status {status}; {last_progress(log)}"
        print(f"{time.monotonic() - begun:5.0f} s  {told}", flush=True)
        if left:
            raise UserError(f"processes of the stopped experiment live on: {', '.join(left)}; {log} tells more")
    else:
        status, _ = run(words, log)
    if status:
        raise UserError(f"the last run ended with status {status}; {log} tells more")
    found = differences(options.reference, options.outputs / expected["scale"])
    for line in found:
        print(line)
    print(f"{time.monotonic() - begun:5.0f} s  {len(found)} differences to {options.reference}")
    sys.exit(1 if found else 0)


def run(words: list[str], log: Path, pause: float | None = None, number: int = 0) -> tuple[int, list[str] | None]:
    """Run a command, stopped by signal `number` after `pause` seconds; return its status and who lives on after it.

    None where it ended by itself. Raises UserError when it does not end.
    """
    with log.open("a") as file:
        job = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        return job.wait(timeout=pause), None
    except subprocess.TimeoutExpired:
        pass
    family = [psutil.Process(job.pid), *psutil.Process(job.pid).children(recursive=True)]
    if number == signal.SIGTERM:
        job.terminate()  # make alone, as a scheduler does
    elif number == signal.SIGINT:
        os.killpg(job.pid, signal.SIGINT)  # the foreground of a terminal
    else:
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
    try:
        status = job.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise UserError(f"make did not leave within {PATIENCE:.0f} s of {signal.Signals(number).name}") from None
    _, alive = psutil.wait_procs(family, timeout=PATIENCE)
    return status, [f"{process.pid} {process.name()}" for process in alive]


def last_progress(log: Path) -> str:
    """Return how far the experiment had come, as it said last."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if "cells done" in line]
    return lines[-1].split(", elapsed")[0] if lines else "no cell done"


def differences(reference: Path, other: Path) -> list[str]:
    """Return what of the weights and the results is not the same, a line for each."""
    names = sorted(path.relative_to(reference) for path in reference.glob("*/seed-*/*_final/model.safetensors"))
    found = [
        f"{name}: other weights"
        for name in names
        if not (other / name).is_file() or hash_file(reference / name) != hash_file(other / name)
    ]
    return found + unequal(of_the_science(read_results(reference)), of_the_science(read_results(other)), "results.json")


def read_results(folder: Path) -> dict[str, Any]:
    """Return the results of an experiment. Raises UserError when it has none."""
    path = report_folder(folder) / "results.json"
    if not path.is_file():
        raise UserError(f"{path} is missing: {folder} is not a finished experiment; run make experiment first")
    return json.loads(path.read_text())


def of_the_science(results: dict[str, Any]) -> dict[str, Any]:
    """Return the results without what the machine and the clock say."""
    reported = {
        stage: {field: value for field, value in fields.items() if field not in OF_THE_MACHINE}
        for stage, fields in results["ledger"]["reported"].items()
    }
    kept = {key: value for key, value in results.items() if key != "provenance"}
    return kept | {"ledger": {**results["ledger"], "reported": reported}}


def unequal(expected: Any, found: Any, where: str) -> list[str]:
    """Return the places in two values of JSON that differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = sorted(expected.keys() | found.keys())
        return [line for key in keys for line in unequal(expected.get(key), found.get(key), f"{where}: {key}")]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [line for place, pair in pairs for line in unequal(*pair, f"{where}[{place}]")]
    return [] if expected == found else [f"{where}: {str(expected)[:60]} became {str(found)[:60]}"]


if __name__ == "__main__":
    main()
