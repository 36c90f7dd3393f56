"""The content of results.json (docs/results_schema.md): everything that the runs of an experiment say.

runs = load_runs(...)
check_all(arguments, runs)
results = build_results(arguments, runs, earlier_looks(...))
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mulfact.errors import UserError
from mulfact.evals.compare_arguments import CompareArguments
from mulfact.evals.comparison.arms import describe_arms
from mulfact.evals.comparison.conclusion import conclude, fallback
from mulfact.evals.comparison.controls import check_controls, describe_controls, fill_equivalents
from mulfact.evals.comparison.deviations import deviations, exploratory_because
from mulfact.evals.comparison.estimates import accuracies, adjust, contrasts, differences, limits_of, tasks_of
from mulfact.evals.comparison.interaction import interactions
from mulfact.evals.comparison.learning import embeddings, halves_folders, learning, read_halves
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
from mulfact.evals.comparison.runs import Run, check_comparable, stages_of
from mulfact.evals.comparison.secondary import fact_use, measures, spelling
from mulfact.evals.comparison.significance import constant_accuracy
from mulfact.evals.comparison.strata import describe_strata, primary_of, secondary_tasks, with_strata
from mulfact.evals.comparison.use import use
from mulfact.layout import scale_of
from mulfact.modeling.posttraining.readiness_record import decision
from mulfact.provenance import hash_file, input_hash

SCHEMA_VERSION = 3
Runs = dict[tuple[str, int], Run]


def split(arguments: CompareArguments, runs: Runs) -> tuple[Runs, Runs]:
    """Return the runs of the arms, and those of the declared controls."""
    arms = {key: run for key, run in runs.items() if key[0] in arguments.conditions}
    return arms, {key: run for key, run in runs.items() if key not in arms}


def check_all(arguments: CompareArguments, runs: Runs) -> None:
    """Raise UserError unless arms differ in their tokenizer alone, and controls from their arm as they declare."""
    arms, controls = split(arguments, runs)
    check_comparable(arms, arguments.reference)
    check_controls(arguments, arms, controls)


def build_results(planned: CompareArguments, loaded: Runs, looks: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Return the content of results.json (docs/results_schema.md); `looks` are the comparisons before this one.
    `loaded` are the runs of the arms and of the declared controls.

    Where the gate took the planned primary stage away, the last stage that all runs have stands in for it, and of
    synthetic problems the primary task is their fact-bearing part.
    """
    runs, controls = split(planned, loaded)
    stages = stages_of(runs)
    stage = planned.primary_stage if planned.primary_stage in stages else stages[-1]
    benchmarks = read_benchmarks(replace(planned, primary_stage=stage), runs)
    extended = with_strata(runs, stage)
    described = describe_strata(benchmarks, extended, stage)
    task = primary_of(planned.primary_task, described)
    arguments = replace(planned, primary_stage=stage, primary_task=task)
    exploratory = exploratory_because(arguments, runs, described, looks)
    measured, constants = accuracies(arguments, extended), trivial_baselines(arguments, extended, described)
    limits = limits_of(measured, constants, arguments.ceiling)
    against_reference = differences(arguments, extended, limits, secondary_tasks(described))
    against_others = contrasts(arguments, extended, limits)
    adjust(against_reference, against_others)
    control_runs = with_strata(controls, stage) if controls else {}
    fill_equivalents(against_reference, arguments, extended, control_runs)
    training = curves(runs)
    companions = measures(arguments, extended, training["pretrain"])
    results: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "scale": scale_of(Path(arguments.shared_dir)),
        "conditions": arguments.conditions,
        "arms": describe_arms(runs),
        "reference": arguments.reference,
        "seeds": arguments.seeds,
        "stages": stages,
        "readiness": readiness(runs),
        "protocol": {
            "sha256": hash_file(Path(arguments.protocol)),
            "plan": arguments.plan and {"path": arguments.plan, "sha256": hash_file(Path(arguments.plan))},
            "exploratory_because": exploratory,
            "looks": [*looks, {"seeds": arguments.seeds, "conditions": arguments.conditions, "date": today()}],
            "fallback": fallback(runs, stage),
            "deviations": deviations(planned, runs, benchmarks),
        },
        "confidence_level": arguments.confidence_level,
        "ceiling": arguments.ceiling,
        "tested": arguments.tested,
        "attribution": arguments.attribution,
        "exploratory": bool(exploratory),
        "benchmarks": described,
        "ledger": ledger(runs, arguments.reference),
        "accuracy": measured,
        "differences": against_reference,
        "contrasts": against_others,
        "interactions": interactions(arguments, runs, limits),
        "controls": describe_controls(arguments, extended, control_runs, list(dict.fromkeys([task, *benchmarks]))),
        "measures": companions,
        "spelling": spelling(arguments, companions),
        "heatmaps": heatmaps(runs),
        "usage": usage(runs),
        "use": use(arguments, runs, extended),
        "fact_use": fact_use(runs),
        "gold_over_budget": gold_over_budget(runs),
        "error_classes": error_classes(extended),
        "error_examples": error_examples(extended, task, stage),
        "curves": training,
        "learning": learning(runs),
        "embeddings": embeddings(runs),
        "halves": [read_halves(folder) for folder in halves_folders(Path(arguments.shared_dir))],
        "reward_trends": reward_trends(training["grpo"]),
        "unigram_bits_per_byte": unigram_bits_per_byte(runs),
        "examples": examples(extended, arguments.reference, task, stage),
        "trivial_baselines": constants,
        "provenance": provenance(runs),
    }
    results["conclusion"] = conclude(results)
    return results


def earlier_looks(path: Path) -> list[dict[str, Any]]:
    """Return the comparisons that the report in the same folder tells of, itself included; none where there is none."""
    try:
        return list(json.loads(path.read_text())["protocol"]["looks"])
    except (OSError, ValueError, LookupError, TypeError):
        return []


def today() -> str:
    return datetime.now(UTC).date().isoformat()


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
                f"SCALE={scale_of(Path(arguments.shared_dir))} CONDITION={run.condition} SEED={run.seed}"
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
    """Return what giving one answer to everything would score on each task.

    `best_constant` is the most frequent answer of the items themselves, the best that a constant can be;
    `always_training_mode` that of GSM8K's training set, for synthetic benchmarks that of the synthetic problems. It is
    left out where the post-training rows were made before their manifest told it.
    """
    manifest = json.loads((Path(arguments.posttrain) / "manifest.json").read_text())
    answers = manifest.get("most_frequent_answers", {})
    table = next(iter(runs.values())).predictions[arguments.primary_stage]
    baselines: dict[str, dict[str, float]] = {}
    for task, group in table.groupby("task", sort=False):
        golds = group["gold"].tolist()
        baselines[task] = {"best_constant": constant_accuracy(golds, Counter(golds).most_common(1)[0][0])}
        own = "synthetic" if benchmarks[task]["source"] == "synthetic" else "gsm8k"
        if answer := answers.get(own, next(iter(answers.values()), None)):
            baselines[task]["always_training_mode"] = constant_accuracy(golds, answer)
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
            "started": record["started"],
            "seconds": record["seconds"],
            "hardware": record["hardware"],
            "packages": record["packages"],
        }
        for (condition, seed), run in runs.items()
        for stage, record in run.provenance.items()
    ]
