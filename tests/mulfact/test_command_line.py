"""Wrong values of make's variables are told in one line, by the name of the variable."""

import argparse
import sys
from pathlib import Path

import pytest

from mulfact.command_line import Conditions, Jobs, Price, Seeds
from mulfact.errors import UserError
from mulfact.experiment import grid, plan, prepare, study
from mulfact.release import pull, push

SEEDS = "expected whole numbers from 0 to 4294967295, divided by spaces, each once"
ARMS = "expected names of arms, divided by spaces, each once"
GRID = "--folder x --conditions baseline mulfact --seeds 0"


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        (prepare, "--scale smoke --conditions baseline --seeds 0,1", f"SEEDS: found '0,1'; {SEEDS}"),
        (prepare, "--scale smoke --conditions baseline --seeds a", f"SEEDS: found 'a'; {SEEDS}"),
        (prepare, "--scale smoke --conditions baseline --seeds -1", f"SEEDS: found '-1'; {SEEDS}"),
        (prepare, "--scale smoke --conditions baseline --seeds 4294967296", f"SEEDS: found '4294967296'; {SEEDS}"),
        (prepare, "--scale smoke --conditions baseline --seeds --experiment", f"SEEDS: found ''; {SEEDS}"),
        (prepare, "--scale smoke --conditions --seeds 0", f"CONDITIONS: found ''; {ARMS}"),
        (prepare, "--scale smoke --conditions baseline,mulfact", f"CONDITIONS: found 'baseline,mulfact'; {ARMS}"),
        (prepare, "--scale smoke --conditions a --seeds 0 1 0", f"SEEDS: found '0 1 0'; {SEEDS}"),
        (plan, "--scale smoke --conditions a b a", f"CONDITIONS: found 'a b a'; {ARMS}"),
        (plan, "--scale smoke --gpu voodoo2", "GPU is 'voodoo2': its peak is not known"),
        (study, "--name halves --blocks -1", "BLOCKS: found '-1'; expected the number of blocks of runs to make now"),
        (study, "--name halves --jobs many", "JOBS: found 'many'"),
        (grid, f"{GRID} --jobs two", "JOBS: found 'two'; expected the number of cells that run at a time, from 1"),
        (grid, f"{GRID} --jobs 0", "JOBS: found '0'"),
        (grid, f"{GRID} --jobs --price 1", "JOBS: found ''"),
        (grid, f"{GRID} --price free", "PRICE: found 'free'; expected dollars for an hour of one device"),
        (grid, f"{GRID} --price nan", "PRICE: found 'nan'"),
        (plan, "--scale smoke --price free", "PRICE: found 'free'"),
        (plan, "--scale smoke --seeds 0,1", "SEEDS: found '0,1'"),
        (push, "--org someone --shared_dir x --conditions baseline --seeds 0,1", "SEEDS: found '0,1'"),
        (pull, "--org someone --scale smoke --output_dir x --conditions a,b --seeds 0", "CONDITIONS: found 'a,b'"),
    ],
)
def test_a_wrong_value_is_told_in_one_line(
    module: object, arguments: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["command", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        module.main()  # type: ignore[attr-defined]
    assert str(ended.value).startswith(f"error: {message}")
    assert "\n" not in str(ended.value)


def test_right_values_are_read() -> None:
    parser = argparse.ArgumentParser()
    for action in (Conditions, Seeds, Jobs, Price):
        parser.add_argument(f"--{action.__name__.lower()}", nargs="*", action=action)
    options = parser.parse_args(["--conditions", "a", "b", "--seeds", "0", "12", "--jobs", "2", "--price", "2.5"])
    assert vars(options) == {"conditions": ["a", "b"], "seeds": [0, 12], "jobs": 2, "price": 2.5}
    with pytest.raises(UserError):
        parser.parse_args(["--price", "2", "5"])
