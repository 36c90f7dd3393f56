"""Run or resume an experiment's grid of arms, seeds and stages, and show how it stands.

    make experiment CONDITIONS="baseline mulfact" SEEDS="0 1 2" JOBS=2 PRICE=2.5     # composes the recipes, then:
    python -m mulfact.experiment.grid --folder outputs/smoke --conditions baseline mulfact --seeds 0 --jobs 2
    python -m mulfact.experiment.grid --folder outputs/smoke --halves outputs/smoke/halves/mulfact/recipes/halves.yaml

This is a view around `make -k -j`: make alone knows which cell needs which, and prints each command as it starts it.
What a stage prints goes to `logs/<stage>.log` beside its recipes. In a terminal the grid is redrawn in place; elsewhere
there are lines, and with one job those of the logs as well. A failed cell does not stop the others; the end names it,
with its log and the command that repeats it, and the exit status is 1. GRPO that its gate stopped (modeling/gate.py) is
called gated, not failed: its run goes on with the checkpoints that it has. One experiment at a time works in a folder.
"""

import argparse
import os
import queue
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import psutil
from rich.console import Console

from mulfact.command_line import Conditions, Jobs, Price, Seeds
from mulfact.errors import UserError, command
from mulfact.experiment.cells import Cell, cells_of
from mulfact.experiment.live import Live, Trackio
from mulfact.experiment.state import Grid
from mulfact.experiment.view import Lines, Screen, Together, View
from mulfact.halves import runs_of
from mulfact.layout import READINESS, RUN_STAGES, output_of, run_folder, run_level
from mulfact.locks import experiment_lock
from mulfact.modeling.posttraining.readiness_record import read_record, sentence
from mulfact.settings import load_yaml

CURVE_STAGES: tuple[str, ...] = ("pretrain", "curve")
EVERY_CURVE = "every_curve"  # of make, for the halves; an experiment asks for every_run
# These say which cells, not what one is.
GRID_VARIABLES = ("CONDITIONS", "SEEDS", "RUNS", "CONDITION", "SEED", "JOBS", "PRICE", "PAIRS")
EXIT_STATUS = 128 + signal.SIGTERM


class Signals:
    """SIGTERM, Ctrl-C and a terminal that goes away, noted as they come and obeyed between two lines of make.

    An exception in the handler could leave queue.get in the middle of its work, with a lock that is not its own.
    """

    def __init__(self) -> None:
        self.asked: int | None = None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, self.note)

    def note(self, number: int, frame: Any) -> None:
        self.asked = number
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)  # a second Ctrl-C does not wait for what is stopped

    def obey(self) -> None:
        """Leave when a signal has come."""
        if self.asked == signal.SIGINT:
            raise KeyboardInterrupt
        if self.asked is not None:
            sys.exit(EXIT_STATUS)


def run(grid: Grid, settings: Sequence[str], view: View, signals: Signals, lock: IO[bytes]) -> None:
    """Run every cell that is to do, also those that only others' failures held up.

    `settings` are make's variables, NAME=value. All that is started holds `lock`.
    """
    try:
        drive(grid, settings, view, signals, lock)
        # All runs are evaluated by one command, which needs all of them; when some failed, the others go without them.
        trained = [cell.level for cell in grid.in_state("done", "gated") if cell.stage == "grpo"]
        waiting = [cell.level for cell in grid.in_state("to do") if cell.stage == "eval" and cell.level in trained]
        if waiting:
            runs = "RUNS=" + " ".join(str(grid.folder / level) for level in waiting)
            drive(grid, [*settings, runs], view, signals, lock)
    finally:
        view.close()


def make_command(grid: Grid, settings: Sequence[str], *options: str) -> list[str]:
    return ["make", "--no-print-directory", "--keep-going", *settings, *options, grid.target]


def environment() -> dict[str, str]:
    """Return this environment without the flags of the make above, which are about its own jobs, and in English.

    What make says of a failure is read (mulfact/experiment/state.py).
    """
    plain = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return plain | {"LC_ALL": "C.UTF-8", "LANGUAGE": "C"}


def expect(grid: Grid, settings: Sequence[str], signals: Signals) -> None:
    """Ask make what is to do. Raises UserError when it cannot tell."""
    command = make_command(grid, settings, "--dry-run")
    result = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    signals.obey()
    if result.returncode:
        raise UserError(f"make cannot tell what is to do: {result.stderr.strip()}")
    grid.expect(result.stdout)


def drive(grid: Grid, settings: Sequence[str], view: View, signals: Signals, lock: IO[bytes]) -> None:
    """Run make and follow it to its end; when this process is told to stop, so are all that it started."""
    if not grid.in_state("to do"):
        return
    process = subprocess.Popen(
        make_command(grid, settings, f"--jobs={grid.jobs}", "LOGGED=1"),
        env=environment(),
        stdin=lock,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # a Ctrl-C reaches this process alone, which asks the others to save and stop
    )
    try:
        for line in lines_of(process):
            signals.obey()
            if line is not None:
                grid.read(line)
                view.command(line)
            for log in dict.fromkeys(grid.logs[cell] for cell in grid.in_state("running", "failed")):
                view.printed(log.read())
            for cell in grid.look():
                view.ended(cell)
            view.tick()
        status = process.wait()
        signals.obey()
        if status == 0:
            grid.settle()
    finally:
        stop(process)


def lines_of(process: subprocess.Popen[str]) -> Iterator[str | None]:
    """Yield the lines that a process prints as they come, None in each second without one, and None at the end."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line.rstrip("\n"))
        lines.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    while reader.is_alive() or not lines.empty():
        try:
            yield lines.get(timeout=1)
        except queue.Empty:
            yield None


def stop(process: subprocess.Popen[str]) -> None:
    """Ask every process under make to stop, and wait: pretraining saves first."""
    if process.poll() is not None:
        return
    started = psutil.Process(process.pid).children(recursive=True)
    for child in [*started, process]:
        try:
            child.terminate()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(started)
    process.wait()


def make_variables(flags: str) -> dict[str, str]:
    """Return the variables of make's command line from the MAKEFLAGS that it gives to its children."""
    words = re.findall(r"(?:\\.|[^\\\s])+", flags.partition("-- ")[2])
    plain = [re.sub(r"\\(.)", r"\1", word).replace("$$", "$") for word in words]
    return dict(word.split("=", 1) for word in plain)


def repeat_command(cell: Cell, settings: Sequence[str]) -> str:
    """Return the command that runs a cell again, with the settings of this experiment."""
    kept = [setting for setting in settings if setting.partition("=")[0] not in GRID_VARIABLES]
    return shlex.join(["make", cell.stage, *cell.variables(), *kept])


def plan(folder: Path, run: tuple[str, int]) -> dict[str, float]:
    """Return about how many seconds each stage takes, by the recipes of a run."""
    from mulfact.experiment.plan import planned_seconds  # which imports much, and a finished experiment needs no plan

    level = run_level(*run)
    places = {"benchmarks": "", "tokenizer": run[0], **dict.fromkeys(("pretrain", "sft", "grpo", "eval"), level)}
    return planned_seconds({stage: load_yaml(Cell(at, stage).recipe(folder)) for stage, at in places.items()})


def report(grid: Grid, settings: Sequence[str]) -> None:
    """Print what came out. Exits with status 1 when a cell failed or was never reached."""
    print(grid.summary())
    for cell in grid.in_state("gated"):
        print(f"gated: {cell.level}: {sentence(read_record(output_of(grid.folder / cell.level, READINESS)))}")
    for cell, reason in grid.failures.items():
        log = grid.logs[cell]
        print(
            f"\nfailed: {cell.name} ({reason})\n  log: {log.path}", *list(log.lines)[-3:], sep="\n  ", file=sys.stderr
        )
        print(f"  repeat: {repeat_command(cell, settings)}", file=sys.stderr)
    if waiting := grid.in_state("to do", "running"):
        print(f"\nnot reached: {', '.join(cell.name for cell in waiting)}", file=sys.stderr)
    if waiting or grid.failures:
        count, what = (len(grid.failures), "failed") if grid.failures else (len(waiting), "not reached")
        told = f"{count} cell{'s' if count > 1 else ''} {what}"
        sys.exit(f"error: {told}; the same command goes on from what is finished")


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Run an experiment's grid under make and show how it stands.")
    parser.add_argument("--folder", type=Path, required=True, help="what make calls the scale's outputs")
    parser.add_argument("--conditions", nargs="*", action=Conditions, help="files of arms/, such as baseline mulfact")
    parser.add_argument("--seeds", nargs="*", action=Seeds)
    parser.add_argument("--halves", type=Path, help="instead of both: a recipe halves.yaml, whose pairs are pretrained")
    parser.add_argument(
        "--curves", action="store_true", help="pretraining and its curve alone, as the halves have them"
    )
    parser.add_argument("--jobs", nargs="*", action=Jobs, default=1, help="cells that run at a time")
    parser.add_argument("--price", nargs="*", action=Price, help="dollars for an hour of one device")
    parser.add_argument("--live", action="store_true", help="mirror every run to a Trackio project")
    options = parser.parse_args()
    signals = Signals()
    if options.halves:
        halves = load_yaml(options.halves)
        runs = runs_of(halves["arm"], halves["pairs"])
    else:
        runs = [(condition, seed) for condition in options.conditions for seed in options.seeds]
    if options.halves or options.curves:
        stages, target = CURVE_STAGES, EVERY_CURVE
    else:
        stages, target = RUN_STAGES, "every_run"

    variables = make_variables(os.environ.get("MAKEFLAGS", "")) | {
        "SCALE": options.folder.name,
        "OUTPUTS": str(options.folder.parent),
        "CONDITIONS": " ".join(dict.fromkeys(condition for condition, _ in runs)),
        "SEEDS": " ".join(dict.fromkeys(str(seed) for _, seed in runs)),
        "RUNS": " ".join(str(run_folder(options.folder, *run)) for run in runs),
    }
    settings = [f"{name}={value}" for name, value in variables.items()]
    cells = cells_of(runs, stages)
    recipe = next(cell for cell in cells if cell.stage == "pretrain").recipe(options.folder)
    price = None if options.price is None else options.price * load_yaml(recipe)["num_processes"]
    page = Live(options.folder, cells, Trackio(options.folder)) if options.live else None
    with experiment_lock(options.folder) as lock:
        grid = Grid(options.folder, cells, options.jobs, price, target)
        expect(grid, settings, signals)
        if grid.in_state("to do"):
            grid.planned = plan(options.folder, runs[0])
        console = Console()
        shown = Screen(grid, console) if console.is_terminal else Lines(grid)
        run(grid, settings, Together(shown, page) if page else shown, signals, lock)
        report(grid, settings)


if __name__ == "__main__":
    main()
