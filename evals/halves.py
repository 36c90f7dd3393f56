"""Does a model learn a fact better, and when, for having a token for it? Pairs of halves, compared fact by fact.

    make halves SCALE=smoke CONDITION=mulfact PAIRS=2                # trains what is missing, then:
    python evals/halves.py --config outputs/smoke/halves/mulfact/recipes/halves.yaml

evals/curves/halves.py says what is estimated and why the test is exact. Writes halves.json, halves.md, a self-contained
halves.html and the figures.
"""

from dataclasses import dataclass, field
from pathlib import Path

from mulfact.errors import UserError, command
from mulfact.halves import runs_of
from mulfact.layout import output_of, run_folder, scale_of
from mulfact.provenance import stage_output, write_json
from mulfact.settings import parse

LEAST_PERMUTATIONS = 1000


@dataclass
class HalvesArguments:
    output_dir: str = field(metadata={"help": "Folder of the page."})
    shared_dir: str = field(metadata={"help": "Folder of the scale, with a folder for each arm."})
    arm: str = field(metadata={"help": "The arm whose tokens are halved."})
    pairs: int = field(metadata={"help": "Pairs of arms; pair n has the seed n."})
    permutations: int = field(metadata={"help": "Random halves that the drawn ones are held against."})
    seed: int = field(metadata={"help": "Of these halves."})
    confidence_level: float = field(metadata={"help": "Of the intervals."})

    def __post_init__(self) -> None:
        if self.permutations < LEAST_PERMUTATIONS:
            raise UserError(f"halves.permutations is {self.permutations}: expected {LEAST_PERMUTATIONS:,} or more")
        if not 0.5 <= self.confidence_level < 1:
            raise UserError(f"halves.confidence_level is {self.confidence_level}: expected a share such as 0.95")


@command
def main() -> None:
    arguments = parse(HalvesArguments)
    # pandas, scipy and matplotlib take seconds, which --help and a mistake in the settings do not wait for.
    from mulfact.evals.curves.analysis import Settings, analyse
    from mulfact.evals.curves.pairs import read_pairs
    from mulfact.evals.report.halves_page import headline, write_page

    shared_dir = Path(arguments.shared_dir)
    pairs = read_pairs(shared_dir, arguments.arm, arguments.pairs)
    inputs = [output_of(run_folder(shared_dir, *run), "curve") for run in runs_of(arguments.arm, arguments.pairs)]
    settings = Settings(arguments.permutations, arguments.seed, arguments.confidence_level)
    with stage_output(arguments.output_dir, arguments, inputs) as folder:
        results = {"scale": scale_of(shared_dir), "arm": arguments.arm, **analyse(pairs, settings)}
        write_json(folder / "halves.json", results)
        write_page(results, folder)
    print(*headline(results), f"{arguments.output_dir}/halves.html", sep="\n")


if __name__ == "__main__":
    main()
