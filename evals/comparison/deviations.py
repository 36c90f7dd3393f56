"""How an experiment departs from docs/protocol.md: what that fixes, and what the settings and the runs' records say."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mulfact.evals.compare_arguments import CompareArguments
from mulfact.evals.comparison.runs import Run, stages_of
from mulfact.layout import STUDY_RECORD
from mulfact.modeling.posttraining.readiness_record import decision
from mulfact.provenance import hash_file
from mulfact.text_files import read_json

# What docs/protocol.md fixes: seeds, settings of `compare`, settings of `readiness`, items of the primary outcome.
MINIMUM_SEEDS = 3
PROTOCOL = {
    "reference": "baseline",
    "primary_task": "gsm8k_cot",
    "primary_stage": "grpo",
    "treatment": "mulfact",
    "attribution": ["canonical", "sums"],
    "confidence_level": 0.95,
    "ceiling": 0.95,
}
FIRST_TUNING_SEED = 100  # settings are tuned on seeds from here on
GATE = {"prompts": 64, "samples": 8, "threshold": 0.2}
GSM8K_ITEMS = 1319

Runs = Mapping[tuple[str, int], Run]
Found = list[str]


def deviations(arguments: CompareArguments, runs: Runs, benchmarks: Mapping[str, Any]) -> Found:
    """Return how this experiment departs from the protocol, in sentences."""
    return [
        *text_of_protocol(arguments, runs),
        *settings(arguments, benchmarks),
        *gates(runs),
        *items(runs, benchmarks),
        *unequal_conditions(runs),
    ]


def exploratory_because(
    arguments: CompareArguments, runs: Runs, benchmarks: Mapping[str, Any], looks: Sequence[Mapping[str, Any]]
) -> Found:
    """Return why an analysis was not fixed beforehand, in clauses; empty where it was.

    `looks` are the earlier comparisons of this experiment, each with its seeds. A study's plan stands in for the
    protocol: what it fixed before its runs, a synthetic outcome too, was fixed.
    """
    found = []
    seeds, tuning = arguments.seeds, [seed for seed in arguments.seeds if seed >= FIRST_TUNING_SEED]
    if len(seeds) < MINIMUM_SEEDS:
        say = "seed says" if len(seeds) == 1 else "seeds say"
        found.append(
            f"{len(seeds)} {say} too little about how much results vary from seed to seed (the protocol asks for "
            f"{MINIMUM_SEEDS})"
        )
    if arguments.plan is not None:
        made_under = {run.name: study_record(run) for run in runs.values()}
        text = hash_file(Path(arguments.plan))
        other = [name for name, record in made_under.items() if record.get("plan_sha256") != text]
        if other:
            found.append(f"these ran under another text of the plan, or under none: {in_row(other)}")
        left_out = sorted({seed for record in made_under.values() for seed in record.get("seeds", [])} - set(seeds))
        if left_out:
            found.append(f"the study was closed before its end: it was to have the seeds {in_row(left_out)} too")
    elif text_of_protocol(arguments, runs):
        found.append("not every stage is known to have run under the protocol's text as it is now")
    if arguments.plan is None and benchmarks[arguments.primary_task]["source"] == "synthetic":
        found.append(f"{arguments.primary_task} holds synthetic problems, and the protocol's outcome is GSM8K")
    if tuning:
        found.append(f"seeds from {FIRST_TUNING_SEED} on are those on which settings were tuned ({in_row(tuning)})")
    if arguments.tested != arguments.treatment:
        found.append(f"{arguments.treatment}, the arm that the protocol tests, was not run")
    early = [look["seeds"] for look in looks if set(look["seeds"]) < set(seeds)]
    if early:
        found.append(f"there was a look before the end: results of seeds {in_row(early[0])} alone were compared before")
    return found


def study_record(run: Run) -> dict[str, Any]:
    """Return under which plan a run was recorded, and among which seeds; empty where it belongs to no study."""
    path = run.folder / STUDY_RECORD
    record: dict[str, Any] = read_json(path) if path.is_file() else {}
    return record


def in_row(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))


def text_of_protocol(arguments: CompareArguments, runs: Runs) -> Found:
    """Return which stages ran under another text of the protocol than that of now, or under one that is not known."""
    now = hash_file(Path(arguments.protocol))
    texts = {key: record.get("protocol_sha256") for key, record in records(runs).items()}
    other = [key for key, text in texts.items() if text not in (now, None)]
    unknown = [key for key, text in texts.items() if text is None]
    found = []
    if other:
        found.append(f"The protocol's text has changed since these ran: {in_words(other, runs)}.")
    if unknown:
        found.append(f"Under which text of the protocol these ran is not recorded: {in_words(unknown, runs)}.")
    return found


def settings(arguments: CompareArguments, benchmarks: Mapping[str, Any]) -> Found:
    """Return how the settings of the comparison depart."""
    found = [
        f"{arm}, against which the protocol tests {arguments.tested}, was not run."
        for arm in arguments.attribution
        if arm not in arguments.treatments
    ]
    if len(arguments.seeds) < MINIMUM_SEEDS:
        found.append(f"{len(arguments.seeds)} seed(s); the protocol asks for at least {MINIMUM_SEEDS}.")
    primary = benchmarks[arguments.primary_task]
    if primary["source"] == "synthetic":
        found.append(f"{arguments.primary_task} holds {primary['description']}; the primary outcome is GSM8K itself.")
    for name, fixed in PROTOCOL.items():
        value = getattr(arguments, name)
        value = list(value) if isinstance(value, dict) else value  # of attribution, the order counts
        if value != fixed:
            found.append(f"compare.{name} is {value}; the protocol fixes {fixed}.")
    return found


def gates(runs: Runs) -> Found:
    """Return how the gate before GRPO departs, and which runs were forced through it."""
    gate = next(iter(runs.values())).readiness
    found = [
        f"readiness.{name} is {gate[name]}; the protocol fixes {fixed}."
        for name, fixed in GATE.items()
        if gate[name] != fixed
    ]
    early = [run.name for run in runs.values() if decision(run.readiness) == "forced"]
    if early and "grpo" in stages_of(runs):
        found.append(f"GRPO was forced where too few groups were mixed (readiness.threshold): {', '.join(early)}.")
    return found


def items(runs: Runs, benchmarks: Mapping[str, Any]) -> Found:
    """Return which items were not evaluated, or not with their whole prompt, and what is not the whole of GSM8K."""
    recipes = [run.provenance["eval"]["recipe"] for run in runs.values()]
    found = []
    limits = {recipe.get("max_samples") for recipe in recipes} - {None}
    if limits:
        found.append(f"eval.max_samples is {min(limits)}; the protocol has every item evaluated.")
    cut = max(recipe.get("max_cut_prompts", 0.0) for recipe in recipes)
    if cut > 0:
        found.append(f"eval.max_cut_prompts is {cut}: so many prompts of a task may be cut, the protocol has none cut.")
    evaluated = next(iter(runs.values())).predictions[stages_of(runs)[-1]]["task"].value_counts()
    partly = [
        f"{evaluated[task]:,} of {benchmark['items']:,} of {task}"
        for task, benchmark in benchmarks.items()
        if evaluated[task] < benchmark["items"]
    ]
    if partly:
        found.append(f"Not every item of the benchmarks was evaluated: {', '.join(partly)}.")
    for task, benchmark in benchmarks.items():
        real = benchmark["family"] == "gsm8k" and benchmark["source"] != "synthetic"
        if real and benchmark["items"] != GSM8K_ITEMS:
            found.append(f"{task} has {benchmark['items']:,} items; GSM8K's test set has {GSM8K_ITEMS:,}.")
    return found


def unequal_conditions(runs: Runs) -> Found:
    """Return where code, packages or hardware were not the same for all runs, or the code was not committed."""
    made = records(runs)
    found = []
    dirty = sorted({name for (name, _), record in made.items() if record["git"]["dirty"]})
    if dirty:
        found.append(f"Uncommitted changes in the code that made {', '.join(dirty)}.")
    for what, read in (
        ("commit", lambda record: record["git"]["commit"]),
        ("package versions", lambda record: sorted(record["packages"].items())),
        ("hardware", lambda record: (record["hardware"]["processor"], record["hardware"]["gpus"])),
    ):
        for stage in dict.fromkeys(stage for _, stage in made):
            if len({str(read(record)) for (_, name), record in made.items() if name == stage}) > 1:
                found.append(f"Not all runs made {stage} with the same {what}; the provenance table says which.")
    return found


def records(runs: Runs) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the provenance of every run and stage, {(run, stage): record}."""
    return {(run.name, stage): record for run in runs.values() for stage, record in run.provenance.items()}


def in_words(found: Iterable[tuple[str, str]], runs: Runs) -> str:
    """Return pairs of run and stage in words; stages of the same runs stand together."""
    by_stage: dict[str, list[str]] = {}
    for name, stage in found:
        by_stage.setdefault(stage, []).append(name)
    by_runs: dict[tuple[str, ...], list[str]] = {}
    for stage, names in by_stage.items():
        by_runs.setdefault(tuple(names), []).append(stage)
    return "; ".join(
        f"{', '.join(stages)} of {'every run' if len(names) == len(runs) else ', '.join(names)}"
        for names, stages in by_runs.items()
    )
