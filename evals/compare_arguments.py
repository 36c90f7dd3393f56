"""What `compare` is told, and what it refuses before it reads a run."""

from dataclasses import dataclass, field
from pathlib import Path

from mulfact.errors import UserError
from mulfact.layout import TRAINED

LEAST_SAMPLES = 1000  # 25 draws beyond each end of a 95% interval


@dataclass
class CompareArguments:
    output_dir: str = field(metadata={"help": "Folder of the report."})
    shared_dir: str = field(metadata={"help": "Folder of the scale, with a folder for each arm."})
    conditions: list[str] = field(metadata={"help": "The arms; the treatment comes first."})
    reference: str = field(metadata={"help": "Differences are taken against this arm."})
    seeds: list[int] = field(metadata={"help": "The seeds; each is run with every arm."})
    benchmarks: str = field(metadata={"help": "What was evaluated, with its manifest."})
    posttrain: str = field(metadata={"help": "The training rows, for the trivial baselines."})
    protocol: str = field(metadata={"help": "The pre-registered analysis."})
    primary_task: str = field(metadata={"help": "The outcome of the protocol's first hypothesis."})
    primary_stage: str = field(metadata={"help": "The checkpoint of the first hypothesis."})
    bootstrap_samples: int = field(metadata={"help": "Draws of each interval."})
    confidence_level: float = field(metadata={"help": "Of the intervals."})

    def __post_init__(self) -> None:
        if self.bootstrap_samples < LEAST_SAMPLES:
            raise UserError(
                f"compare.bootstrap_samples is {self.bootstrap_samples}: expected {LEAST_SAMPLES:,} or more draws: "
                "fewer do not settle the ends of an interval"
            )

    @property
    def treatments(self) -> list[str]:
        """The arms that are compared with the reference, in their order."""
        return [condition for condition in self.conditions if condition != self.reference]


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
    for name, values in (("conditions", arguments.conditions), ("seeds", arguments.seeds)):
        if len(set(values)) < len(values):
            raise UserError(f"compare.{name} is {values}: each may stand there once")
    if arguments.primary_stage not in TRAINED:
        raise UserError(f"compare.primary_stage is {arguments.primary_stage!r}: expected one of {', '.join(TRAINED)}")
    if not 0.5 <= arguments.confidence_level < 1:
        raise UserError(f"compare.confidence_level is {arguments.confidence_level}: expected a share such as 0.95")
    if not Path(arguments.protocol).is_file():
        raise UserError(f"compare.protocol: {arguments.protocol} is missing; run from the root of the repository")
