"""What `compare` is told, and what it refuses before it reads a run."""

from dataclasses import dataclass, field
from pathlib import Path

from mulfact.errors import UserError
from mulfact.layout import TRAINED


@dataclass
class CompareArguments:
    output_dir: str = field(metadata={"help": "Folder of the report."})
    shared_dir: str = field(metadata={"help": "Folder of the scale, with a folder for each arm."})
    conditions: list[str] = field(metadata={"help": "The arms."})
    controls: dict = field(metadata={"help": "Declared controls that were run, with what each declares."})
    reference: str = field(metadata={"help": "Differences are taken against this arm."})
    treatment: str = field(metadata={"help": "The arm that is tested."})
    attribution: dict = field(
        metadata={"help": "The arms it is tested against then, in order, and what explains an effect not shown there."}
    )
    seeds: list[int] = field(metadata={"help": "The seeds; each is run with every arm."})
    benchmarks: str = field(metadata={"help": "What was evaluated, with its manifest."})
    posttrain: str = field(metadata={"help": "The training rows, for the trivial baselines."})
    protocol: str = field(metadata={"help": "The analysis that was fixed beforehand."})
    plan: str | None = field(
        metadata={"help": "Of a study: committed before its runs, it may name another primary outcome."}
    )
    primary_task: str = field(metadata={"help": "The outcome of the protocol's first hypothesis."})
    primary_stage: str = field(metadata={"help": "The checkpoint of the first hypothesis."})
    confidence_level: float = field(metadata={"help": "Of the intervals."})
    ceiling: float = field(metadata={"help": "Arms that are all above it cannot be told apart."})

    @property
    def treatments(self) -> list[str]:
        """The arms that are compared with the reference, in their order."""
        return [condition for condition in self.conditions if condition != self.reference]

    @property
    def tested(self) -> str:
        """The treatment; where it was not run, the first arm that is not the reference."""
        return self.treatment if self.treatment in self.treatments else self.treatments[0]

    @property
    def attributed(self) -> list[str]:
        """The arms that were run of those that the tested one is compared with after the reference, in that order."""
        return [arm for arm in self.attribution if arm in self.treatments and arm != self.tested]


def check_arguments(arguments: CompareArguments) -> None:
    """Raise UserError for an experiment that compares nothing, or counts an arm or a seed twice."""
    if arguments.reference not in arguments.conditions:
        raise UserError(
            f"compare.reference is {arguments.reference!r}, which is not among the arms {arguments.conditions}: "
            "add it to CONDITIONS or set compare.reference to one of them"
        )
    if len(set(arguments.conditions)) < 2 or not arguments.seeds:
        raise UserError(
            f"compare needs two arms and a seed; found arms {arguments.conditions}, seeds {arguments.seeds}"
        )
    for name, declared in arguments.controls.items():
        if declared["arm"] not in arguments.conditions:
            raise UserError(
                f"the control {name} is the arm {declared['arm']} with other compute, which is not among the arms "
                f"{arguments.conditions}: add it to CONDITIONS or leave {name} out of CONTROLS"
            )
        read = declared["pretrain"].get("bytes_as")
        if read and Path(read).parent.name not in arguments.conditions:
            raise UserError(
                f"the control {name} reads as many bytes as {Path(read).parent.name}, which is not among the arms "
                f"{arguments.conditions}: add it to CONDITIONS or leave {name} out of CONTROLS"
            )
    runs = [*arguments.conditions, *arguments.controls]
    named = "conditions and controls" if arguments.controls else "conditions"
    for name, values in ((named, runs), ("seeds", arguments.seeds)):
        if len(set(values)) < len(values):
            raise UserError(f"compare.{name} is {values}: each may stand there once")
    if arguments.primary_stage not in TRAINED:
        raise UserError(f"compare.primary_stage is {arguments.primary_stage!r}: expected one of {', '.join(TRAINED)}")
    for name in ("confidence_level", "ceiling"):
        if not 0.5 <= (share := getattr(arguments, name)) < 1:
            raise UserError(f"compare.{name} is {share}: expected a share such as 0.95")
    for name, path in (("protocol", arguments.protocol), ("plan", arguments.plan)):
        if path is not None and not Path(path).is_file():
            raise UserError(f"compare.{name}: {path} is missing; run from the root of the repository")
