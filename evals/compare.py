"""Compare arms that had the same compute: statistics, figures, report.

    python evals/compare.py --config outputs/smoke/recipes/compare.yaml

Refuses runs whose ledgers, recipes or items differ. Where the gate stopped GRPO in any run, all are compared after
pretraining and SFT (docs/protocol.md). Writes results.json (docs/results_schema.md), results.md and a self-contained
report.html.
"""

from pathlib import Path

from mulfact.errors import command
from mulfact.evals.compare_arguments import CompareArguments, check_arguments
from mulfact.layout import READINESS, output_of
from mulfact.provenance import stage_output, write_json
from mulfact.settings import parse


@command
def main() -> None:
    arguments = parse(CompareArguments)
    check_arguments(arguments)
    # pandas, scipy and matplotlib take seconds, which --help and a mistake in the settings do not wait for.
    from mulfact.evals.comparison.learning import curve_folders, halves_folders
    from mulfact.evals.comparison.results import build_results, check_all, earlier_looks
    from mulfact.evals.comparison.runs import load_runs
    from mulfact.evals.report.write import write_report

    runs = load_runs(Path(arguments.shared_dir), [*arguments.conditions, *arguments.controls], arguments.seeds)
    check_all(arguments, runs)
    looks = earlier_looks(Path(arguments.output_dir) / "results.json")
    inputs = [output_of(run.folder, stage) for run in runs.values() for stage in ("eval", "ledger", READINESS)]
    inputs += [*curve_folders(runs), *halves_folders(Path(arguments.shared_dir))]
    inputs += [Path(page) for page in (arguments.protocol, arguments.plan) if page]
    with stage_output(arguments.output_dir, arguments, inputs) as folder:
        results = build_results(arguments, runs, looks)
        write_json(folder / "results.json", results)
        write_report(results, folder)
    print(f"{arguments.output_dir}: report.html, results.md, results.json (make show prints the answer)")


if __name__ == "__main__":
    main()
