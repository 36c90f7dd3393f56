"""Does GRPO start for a run? What the readiness stage found out decides, and a file beside the checkpoints says it.

    python modeling/gate.py --run_dir outputs/smoke/mulfact/seed-0
    python modeling/gate.py --run_dir outputs/smoke/mulfact/seed-0 --check

Writes grpo_stopped.json where GRPO has nothing to reinforce: the run is finished then, with its pretraining and SFT.
Takes the file away where GRPO may start. `--check` changes nothing, and ends with an error where GRPO does not start.
docs/protocol.md says what a stopped run means for the comparison.
"""

import argparse
from pathlib import Path

from mulfact.errors import command
from mulfact.layout import READINESS, STOPPED, recipe_file
from mulfact.locks import stage_lock
from mulfact.modeling.posttraining.readiness_record import ADVICE, check_ready, decision, read_record, sentence
from mulfact.provenance import write_json


def pass_gate(run_dir: Path) -> str:
    """Write or remove the run's grpo_stopped.json and return what was decided in words.

    Raises UserError without a record of the readiness stage.
    """
    record = read_record(run_dir / READINESS)
    decided = decision(record)
    if decided == "stopped":
        write_json(run_dir / STOPPED, record)
        return f"{run_dir}: GRPO does not start. {sentence(record)}. {ADVICE}"
    (run_dir / STOPPED).unlink(missing_ok=True)
    note = ", but readiness.force is set" if decided == "forced" else ""
    return f"{run_dir}: GRPO starts. {sentence(record)}{note}"


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Say whether GRPO starts, and leave grpo_stopped.json if not.")
    parser.add_argument("--run_dir", type=Path, required=True, help="folder of one run, with its readiness folder")
    parser.add_argument("--check", action="store_true", help="change nothing; an error where GRPO does not start")
    arguments = parser.parse_args()
    if arguments.check:
        check_ready(arguments.run_dir / READINESS)
    else:
        with stage_lock(recipe_file(arguments.run_dir, "grpo")):
            print(pass_gate(arguments.run_dir))


if __name__ == "__main__":
    main()
