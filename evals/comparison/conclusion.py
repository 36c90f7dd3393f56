"""What may be concluded from the results and what may not, by fixed rules: no conclusion is worded after the fact."""

from collections.abc import Mapping
from typing import Any

from mulfact.data_builders.lengths import NOTABLE
from mulfact.evals.comparison.controls import MOST_TRAINING
from mulfact.evals.comparison.decisions import decided, excludes_zero, points
from mulfact.evals.comparison.runs import Run, stages_of
from mulfact.modeling.posttraining.readiness_record import decision

TOLERATED_COST = 0.01  # of GRPO's FLOPs: an arm that spends more than this above the reference is told apart

Results = Mapping[str, Any]


def conclude(results: Results) -> dict[str, Any]:
    """Return {"headline", "may_conclude", "may_not_conclude"} from the other parts of results.json."""
    outcome = [entry for entry in results["differences"] if entry["primary"]]  # of every arm, the tested one first
    outcome.sort(key=lambda entry: entry["role"] != "primary")
    may: list[str] = []
    may_not: list[str] = []
    for part in (primary, attribution, variants, secondary, limits, compute, sight, equivalent, room, reach):
        allowed, forbidden = part(results, outcome)
        may += allowed
        may_not += forbidden
    return {"headline": headline(outcome, results), "may_conclude": may, "may_not_conclude": may_not}


def primary(results: Results, outcome: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return whether the tested arm differs from the reference."""
    return verdict(outcome[0], results)


def verdict(entry: Mapping[str, Any], results: Results) -> tuple[list[str], list[str]]:
    """Return a difference of the primary outcome as what may be concluded, or as what may not."""
    text = describe(entry, results)
    if entry["limit"]:
        return [], []  # said once, of the outcome
    if results["exploratory"] and excludes_zero(entry):
        return [f"For these runs alone: {text}."], []
    if decided(entry, results):
        return [f"{text}."], []
    if excludes_zero(entry) and entry["role"] != "primary":
        after = f"p is {entry['p_adjusted']:.2g} after correction"
        return [], [f"That {text}: it counts only behind the fixed sequence, and {after}."]
    low, high = (100 * bound for bound in entry["detectable_range"])
    return [], [
        f"That {entry['condition']} and {entry['reference']} are equal on {entry['task']}: a true difference of "
        f"{100 * entry['detectable']:.1f} points would have been missed once in five times, a smaller one more often. "
        f"By what {seeds_of(results)} can tell of the variance, that may as well be {low:.1f} or {high:.1f}."
    ]


def attribution(results: Results, outcome: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return what a decided difference to the reference may be put down to (docs/protocol.md, "Attribution").

    To the arm's own tokens only where it differs, in the same direction, from every arm of the fixed sequence.
    """
    first, steps = outcome[0], {entry["reference"]: entry for entry in results["contrasts"]}
    if not decided(first, results):
        return [], []
    may: list[str] = []
    may_not: list[str] = []
    tested, open_question, reached = first["condition"], "That the effect comes from what the tokens stand for", True
    for arm, explanation in results["attribution"].items():
        entry = steps.get(arm)
        if entry is None:
            may_not.append(f"{open_question}: {arm} was not run, so it may come from {explanation}.")
            reached = False
        elif decided(entry, results) and entry["difference"] * first["difference"] > 0:
            may.append(f"{describe(entry, results)}: the effect does not come from {explanation} alone.")
        elif decided(entry, results):
            may_not.append(
                f"{open_question}: {describe(entry, results)}, the other way round than against {first['reference']}, "
                f"so it may come from {explanation}."
            )
            reached = False
        else:
            before = "" if excludes_zero(entry) else f"no difference to {arm} is shown"
            before = before or f"the fixed sequence had ended before {arm} was tested"
            may_not.append(f"{open_question}: {before}, so it may come from {explanation}.")
            reached = False
    if reached and results["attribution"]:
        arms: list[str] = [first["reference"], *results["attribution"]]
        others, last = arms[:-1], arms[-1]
        may.append(
            f"The effect is put down to the tokens of {tested} and what they stand for: it differs in the same "
            f"direction from {', '.join(others)} and {last}."
        )
    return may, may_not


def variants(results: Results, outcome: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return what is known of the arms that are not tested first: they count behind the fixed sequence."""
    may: list[str] = []
    may_not: list[str] = []
    found = []
    for entry in outcome[1:]:
        allowed, forbidden = verdict(entry, results)
        may += allowed
        may_not += forbidden
        found += [entry["condition"]] if decided(entry, results) else []
    if found:
        may_not.append(
            f"Why {' and '.join(found)} scored differently from {outcome[0]['reference']}: the fixed sequence holds "
            f"{outcome[0]['condition']} alone against the other arms."
        )
    return may, may_not


def secondary(results: Results, outcome: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the secondary outcomes that are decided, in a sentence."""
    found = [
        f"{points(entry['difference'])} points on {entry['task']} ({interval(entry)})"
        for entry in results["differences"]
        if entry["role"] == "secondary" and decided(entry, results)
    ]
    tested = outcome[0]["condition"]
    return [
        f"As secondary outcomes, {tested} scored against {results['reference']}: {', '.join(found)}."
    ] if found else [], []


def limits(results: Results, outcome: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return which outcomes of the primary stage cannot tell arms apart."""
    stage = outcome[0]["stage"]
    tasks: dict[str, dict[str, None]] = {}
    for entry in results["differences"]:
        if entry["stage"] == stage and entry["limit"] and results["benchmarks"][entry["task"]]["stratum_of"] is None:
            tasks.setdefault(entry["limit"], {})[entry["task"]] = None
    if outcome[0]["limit"]:
        tasks.setdefault(outcome[0]["limit"], {})[outcome[0]["task"]] = None
    why = {
        "floor": "no arm is better than the best constant answer, so they cannot tell arms apart",
        "ceiling": f"every arm is above {results['ceiling']:.0%}, so they cannot tell arms apart",
    }
    return [], [f"Anything from {', '.join(of_limit)}: {why[limit]}." for limit, of_limit in tasks.items()]


def compute(results: Results, outcome: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return in what sense the arms had the same compute."""
    budget = ", and the same budget in GRPO, as many rollouts of the same greatest length"
    may = [
        f"That the arms had the same compute in pretraining and SFT{budget if 'grpo' in results['stages'] else ''}: "
        "every matched field of their ledgers is equal, and their recipes differ in the tokenizer only."
    ]
    spent = results["ledger"]["reported"].get("grpo", {}).get("flops_spent", {})
    means = {condition: sum(by_seed.values()) / len(by_seed) for condition, by_seed in spent.items()}
    reference = means.get(results["reference"])
    may_not = [
        f"That {condition} costs as little as {results['reference']} in GRPO: inside the same budget its rollouts "
        f"took {mean / reference - 1:+.1%} FLOPs."
        for condition, mean in means.items()
        if reference and mean > (1 + TOLERATED_COST) * reference
    ]
    return may, may_not


def room(results: Results, outcome: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return whether the length limit of a completion, which counts tokens, cut the arms' gold completions."""
    task = results["benchmarks"][outcome[0]["task"]]["stratum_of"] or outcome[0]["task"]
    shares = {
        arm: share for arm, tasks in results["gold_over_budget"].items() if (share := tasks.get(task)) is not None
    }
    if max(shares.values(), default=0.0) <= NOTABLE:
        return [], []
    told = ", ".join(f"{share:.1%} ({arm})" for arm, share in shares.items())
    return [], [
        f"That the length limit of {task} played no part: the gold completion takes more tokens than a completion may "
        f"have in {told} of the items, and an arm that says the same in fewer tokens has fewer of them."
    ]


def sight(results: Results, outcome: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return which declared controls and variants the intervals tell from their arm: what the primary outcome can see.

    A variant counts behind the fixed sequence, so a difference that is plain to see may be undecided.
    """
    task = outcome[0]["task"]
    if not results["controls"]["runs"] or outcome[0]["limit"]:
        return [], []
    known = [(entry["condition"], entry["reference"], entry) for entry in outcome[1:]]
    known += [
        (f"{name} ({100 * (control['training'] - 1):+.3g}% training)".replace("-", "−"), control["arm"], entry)
        for name, control in results["controls"]["runs"].items()
        if (entry := control["tasks"].get(task)) is not None
    ]
    told: dict[bool, list[str]] = {True: [], False: []}
    for name, arm, entry in known:
        told[excludes_zero(entry)].append(f"{name} from {arm}: {points(entry['difference'])} ({interval(entry)})")
    level = f"by {results['confidence_level']:.0%} intervals, uncorrected and no test"
    seen = f"What {task} can see ({level}): it tells {', '.join(told[True])}."
    unseen = f"That {task} would have shown what it does not ({level}): it does not tell {', '.join(told[False])}."
    return [seen] if told[True] else [], [unseen] if told[False] else []


def equivalent(results: Results, outcome: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return how much training the primary differences are worth, by the declared controls: of those that count."""
    if not results["controls"]["runs"]:
        return [], [
            "How much training the effect is worth: no declared control was run, an arm with more or fewer steps "
            "(make experiment CONTROLS=...)."
        ]
    counts = [entry for entry in outcome if results["exploratory"] or decided(entry, results)]
    found = [entry for entry in counts if excludes_zero(entry) and not entry["limit"]]
    may = [f"{entry['condition']}: {worth(entry)}." for entry in found if entry["equivalent_compute"] is not None]
    if found and not may:
        return [], [
            f"How much training the effect is worth: the declared controls do not show that more steps raise "
            f"{outcome[0]['task']}."
        ]
    return may, []


def worth(entry: Mapping[str, Any]) -> str:
    """Return a difference as training: "as much as 12% more training (5% to 31%)"."""
    equal = entry["equivalent_compute"]
    share, (low, high) = equal["share"], equal["interval"]
    beyond = ", beyond what the controls span" if equal["extrapolated"] else ""
    upwards = f"to {high:+.0%}" if high < MOST_TRAINING else "and more, without a bound"
    return (
        f"the difference to {entry['reference']} on {entry['task']} is as much as {abs(share):.0%} "
        f"{'more' if share > 0 else 'less'} training ({low:+.0%} {upwards}{beyond})"
    ).replace("-", "−")


def reach(results: Results, outcome: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return what the experiment does not reach: other seeds, GSM8K itself, other models."""
    may_not = []
    if reasons := results["protocol"]["exploratory_because"]:
        may_not.append(
            f"Anything as a test that was fixed beforehand; this report is exploratory: {'; '.join(reasons)}."
        )
    synthetic = [
        name for name, b in results["benchmarks"].items() if b["source"] == "synthetic" and b["stratum_of"] is None
    ]
    if synthetic:
        may_not.append(
            f"Anything about GSM8K: {', '.join(sorted(synthetic))} hold synthetic problems in its form, not its items."
        )
    if results["protocol"]["fallback"]:
        may_not.append("Anything about GRPO: its gate stopped at least one run, so it is not compared in any.")
    parameters = results["ledger"]["matched"].get("pretrain", {}).get("parameters")
    if parameters:
        may_not.append(f"Anything about models of another size than {parameters / 1e6:.3g}M parameters, or other data.")
    return [], may_not


def headline(outcome: list[dict[str, Any]], results: Results) -> str:
    """Return the difference of each arm to the reference with its interval, then what it was measured on."""
    level, against = f"{results['confidence_level']:.0%} interval ", f" against {results['reference']}"
    scores = []
    for entry in outcome:
        if entry["limit"]:
            told = f"; the outcome is at its {entry['limit']} and tells nothing"
        elif not excludes_zero(entry):
            told = "; no difference is shown"
        else:
            told = "" if results["exploratory"] or decided(entry, results) else "; not decided"
        scores.append(
            f"{entry['condition']} {points(entry['difference'])} points{against} ({level}{interval(entry)}{told})"
        )
        level = against = ""  # said once
    text = f"{', '.join(scores)}. Outcome: {where(outcome[0], results)}."
    return ("Exploratory. " if results["exploratory"] else "") + text


def describe(entry: Mapping[str, Any], results: Results) -> str:
    """Return a difference in words, with its interval, items and seeds."""
    benchmark = results["benchmarks"][entry["task"]]
    return (
        f"{entry['condition']} scored {points(entry['difference'])} points against {entry['reference']} on "
        f"{benchmark['description']}, after {name_of(entry['stage'])} "
        f"({results['confidence_level']:.0%} interval {interval(entry)}; {size(entry, results)})"
    )


def where(entry: Mapping[str, Any], results: Results) -> str:
    """Return what a difference was measured on."""
    description = results["benchmarks"][entry["task"]]["description"]
    return f"{description}, after {name_of(entry['stage'])} ({size(entry, results)})"


def size(entry: Mapping[str, Any], results: Results) -> str:
    """Return the numbers of evaluated items and of seeds in words."""
    return f"{entry['items']:,} items, {seeds_of(results)}"


def seeds_of(results: Results) -> str:
    seeds = len(results["seeds"])
    return f"{seeds} seed{'s' if seeds > 1 else ''}"


def interval(entry: Mapping[str, Any]) -> str:
    """Return the interval of a difference, in points."""
    low, high = entry["interval"]
    return f"{points(low)} to {points(high)}"


def fallback(runs: Mapping[Any, Run], stage: str) -> str | None:
    """Return the protocol's fallback in words where the gate stopped GRPO in any run; None where it did not.

    `stage` is that of the primary outcome.
    """
    stopped = [run.readiness for run in runs.values() if decision(run.readiness) == "stopped"]
    if not stopped:
        return None
    threshold = stopped[0]["threshold"]
    return (
        f"GRPO is not compared: its gate stopped {len(stopped)} of {len(runs)} runs, where fewer than {threshold:.0%} "
        "of the development prompts have both right and wrong answers. By the protocol's rule for this case every "
        f"run is compared after {' and '.join(name_of(name) for name in stages_of(runs))} alone, and the primary "
        f"outcome is that after {name_of(stage)}."
    )


def name_of(stage: str) -> str:
    """Return a stage as a sentence names it."""
    return {"pretrain": "pretraining"}.get(stage, stage.upper())
