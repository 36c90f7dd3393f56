"""Compare arms that had the same compute: statistics, figures, report.

    python evals/compare.py --config outputs/smoke/recipes/compare.yaml

Refuses runs whose ledgers, recipes or items differ. Where the gate stopped GRPO in any run, all are compared after
pretraining and SFT (docs/protocol.md). Writes results.json (docs/results_schema.md), results.md and a self-contained
report.html.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mulfact.errors import UserError, command
from mulfact.evals.compare_arguments import CompareArguments, check_arguments
from mulfact.evals.comparison.arms import describe_arms
from mulfact.evals.comparison.conclusion import conclude, fallback
from mulfact.evals.comparison.deviations import MINIMUM_SEEDS, deviations, is_preregistered
from mulfact.evals.comparison.estimates import accuracies, contrasts, differences, tasks_of
from mulfact.evals.comparison.learning import curve_folders, embeddings, halves_folders, learning, read_halves
from mulfact.evals.comparison.outcomes import (
    curves,
    error_classes,
    error_examples,
    examples,
    gold_over_budget,
    heatmaps,
    unigram_bits_per_byte,
    usage,
)
from mulfact.evals.comparison.reward_trend import reward_trends
from mulfact.evals.comparison.runs import Run, check_comparable, load_runs, stages_of
from mulfact.evals.comparison.secondary import (
    called_for,
    describe_strata,
    fact_use,
    measures,
    phrasings,
    spelling,
    with_strata,
)
from mulfact.evals.comparison.significance import constant_accuracy
from mulfact.evals.comparison.use import use
from mulfact.evals.report.write import write_report
from mulfact.layout import READINESS, output_of
from mulfact.modeling.posttraining.readiness_record import decision
from mulfact.provenance import hash_file, input_hash, stage_output, write_json
from mulfact.settings import parse

SCHEMA_VERSION = 1
Runs = dict[tuple[str, int], Run]


@command
def main() -> None:
    arguments = parse(CompareArguments)
    check_arguments(arguments)
    runs = load_runs(Path(arguments.shared_dir), arguments.conditions, arguments.seeds)
    check_comparable(runs, arguments.reference)
    inputs = [output_of(run.folder, stage) for run in runs.values() for stage in ("eval", "ledger", READINESS)]
    inputs += [*curve_folders(runs), *halves_folders(Path(arguments.shared_dir))]
    with stage_output(arguments.output_dir, arguments, [*inputs, arguments.protocol]) as folder:
        results = build_results(arguments, runs)
        write_json(folder / "results.json", results)
        write_report(results, folder)
    print(f"{arguments.output_dir}: report.html, results.md, results.json (make show prints the answer)")


def build_results(planned: CompareArguments, runs: Runs) -> dict[str, Any]:
    """Return the content of results.json (docs/results_schema.md).

    Where the gate took the planned primary stage away, the last stage that all runs have stands in for it.
    """
    stages, task = stages_of(runs), planned.primary_task
    stage = planned.primary_stage if planned.primary_stage in stages else stages[-1]
    arguments = replace(planned, primary_stage=stage)
    benchmarks = read_benchmarks(arguments, runs)
    facts = called_for(Path(arguments.benchmarks), benchmarks)
    extended = with_strata(runs, facts, benchmarks[task]["family"])
    described = describe_strata(benchmarks, extended)
    preregistered = is_preregistered(arguments, runs)
    training = curves(runs)
    companions = measures(arguments, extended, training["pretrain"])
    results: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "scale": Path(arguments.shared_dir).name,
        "conditions": arguments.conditions,
        "arms": describe_arms(runs),
        "reference": arguments.reference,
        "seeds": arguments.seeds,
        "stages": stages,
        "readiness": readiness(runs),
        "protocol": {
            "sha256": hash_file(Path(arguments.protocol)),
            "preregistered": preregistered,
            "minimum_seeds": MINIMUM_SEEDS,
            "fallback": fallback(runs, stage),
            "deviations": deviations(planned, runs, benchmarks),
        },
        "confidence_level": arguments.confidence_level,
        "bootstrap_samples": arguments.bootstrap_samples,
        "exploratory": len(arguments.seeds) < MINIMUM_SEEDS or not preregistered,
        "benchmarks": described,
        "ledger": ledger(runs, arguments.reference),
        "accuracy": accuracies(arguments, extended),
        "differences": differences(arguments, extended),
        "contrasts": contrasts(arguments, runs),
        "measures": companions,
        "spelling": spelling(arguments, companions),
        "heatmaps": heatmaps(runs),
        "usage": usage(runs),
        "phrasings": phrasings(runs),
        "use": use(arguments, runs, extended),
        "fact_use": fact_use(runs, partial(called_for, Path(arguments.benchmarks), benchmarks)),
        "gold_over_budget": gold_over_budget(runs),
        "error_classes": error_classes(extended),
        "error_examples": error_examples(runs, task, stage),
        "curves": training,
        "learning": learning(runs),
        "embeddings": embeddings(runs),
        "halves": [read_halves(folder) for folder in halves_folders(Path(arguments.shared_dir))],
        "reward_trends": reward_trends(training["grpo"]),
        "unigram_bits_per_byte": unigram_bits_per_byte(runs),
        "examples": examples(runs, arguments.reference, task, stage),
        "trivial_baselines": trivial_baselines(arguments, extended, described),
        "provenance": provenance(runs),
    }
    results["conclusion"] = conclude(results)
    return results


def read_benchmarks(arguments: CompareArguments, runs: Runs) -> dict[str, Any]:
    """Return the manifest's entries of the evaluated tasks. Raises UserError when one, or the primary, is missing."""
    path = Path(arguments.benchmarks) / "manifest.json"
    try:
        described = json.loads(path.read_text())["benchmarks"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read ({error!r}): run make benchmarks") from error
    current = input_hash(arguments.benchmarks)
    for run in runs.values():
        record = run.provenance["eval"]
        if record["inputs"].get(record["recipe"]["benchmarks"]) != current:
            raise UserError(
                f"{run.name} was evaluated on other benchmarks than {arguments.benchmarks} holds now; run make eval "
                f"SCALE={Path(arguments.shared_dir).name} CONDITION={run.condition} SEED={run.seed}"
            )
    evaluated = tasks_of(runs, arguments.primary_stage)
    for task in (*evaluated, arguments.primary_task):
        if task not in described or task not in evaluated:
            raise UserError(
                f"{task}: evaluated are {', '.join(evaluated)}, and {path} describes {', '.join(described)}; "
                "set compare.primary_task to one of them, or run make eval on these benchmarks"
            )
    return {task: described[task] for task in evaluated}


def readiness(runs: Runs) -> dict[str, Any]:
    """Return what the gate before GRPO asked of every run, what it found, and whether GRPO was started."""
    first = next(iter(runs.values())).readiness
    return {
        **{key: first[key] for key in ("prompts", "samples", "threshold")},
        "runs": [
            {
                "condition": condition,
                "seed": seed,
                **{key: run.readiness[key] for key in ("pass_at_1", "pass_at_k", "mixed_groups")},
                "decision": decision(run.readiness),
            }
            for (condition, seed), run in runs.items()
        ],
    }


def ledger(runs: Runs, reference: str) -> dict[str, Any]:
    """Return the matched fields, once, and the reported ones by arm and seed."""
    first = next(run for run in runs.values() if run.condition == reference)
    reported: dict[str, Any] = {}
    for (condition, seed), run in runs.items():
        for stage, entry in run.ledger["stages"].items():
            for key, value in entry["reported"].items():
                if isinstance(value, int | float):
                    reported.setdefault(stage, {}).setdefault(key, {}).setdefault(condition, {})[str(seed)] = value
    return {
        "matched": {stage: entry["matched"] for stage, entry in first.ledger["stages"].items()},
        "reported": reported,
    }


def trivial_baselines(
    arguments: CompareArguments, runs: Runs, benchmarks: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """Return what always giving the most frequent training answer would score on each task.

    The answer is that of GSM8K's training set, for synthetic benchmarks that of the synthetic problems. Empty where the
    post-training rows were made before their manifest told it.
    """
    manifest = json.loads((Path(arguments.posttrain) / "manifest.json").read_text())
    answers = manifest.get("most_frequent_answers", {})
    if not answers:
        return {}
    table = next(iter(runs.values())).predictions[stages_of(runs)[-1]]
    baselines = {}
    for task, group in table.groupby("task", sort=False):
        own = "synthetic" if benchmarks[task]["source"] == "synthetic" else "gsm8k"
        answer = answers.get(own, next(iter(answers.values())))
        baselines[task] = {"always_training_mode": constant_accuracy(group["gold"].tolist(), answer)}
    return baselines


def provenance(runs: Runs) -> list[dict[str, Any]]:
    """Return where each checkpoint came from."""
    return [
        {
            "condition": condition,
            "seed": seed,
            "stage": stage,
            "commit": record["git"]["commit"],
            "dirty": record["git"]["dirty"],
            "seconds": record["seconds"],
            "hardware": record["hardware"],
            "packages": record["packages"],
        }
        for (condition, seed), run in runs.items()
        for stage, record in run.provenance.items()
    ]


if __name__ == "__main__":
    main()
