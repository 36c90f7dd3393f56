"""What may be concluded from the results and what may not, by fixed rules: no conclusion is worded after the fact."""

from collections.abc import Mapping
from typing import Any

from mulfact.data_builders.lengths import NOTABLE
from mulfact.evals.comparison.decisions import decided, excludes_zero, points
from mulfact.evals.comparison.runs import Run, stages_of
from mulfact.modeling.posttraining.readiness_record import decision

TOLERATED_COST = 0.01  # of GRPO's FLOPs: an arm that spends more than this above the reference is told apart

Results = Mapping[str, Any]


def conclude(results: Results) -> dict[str, Any]:
    """Return {"headline", "may_conclude", "may_not_conclude"} from the other parts of results.json."""
    primary = [entry for entry in results["differences"] if entry["primary"]]
    may: list[str] = []
    may_not: list[str] = []
    for entry in primary:
        text = describe(entry, results)
        if results["exploratory"] and excludes_zero(entry):
            may.append(f"For these runs alone: {text}.")
        elif decided(entry, results):
            may.append(f"{text}.")
        elif excludes_zero(entry):
            may_not.append(f"That {text}: after correction for {len(primary)} arms p is {entry['p_holm']:.2g}.")
        else:
            may_not.append(
                f"That {entry['condition']} and {entry['reference']} are equal on {entry['task']}: a true difference "
                f"of {100 * entry['minimum_detectable_effect']:.1f} points would have been missed once in five times, "
                "a smaller one more often."
            )
    for conclude_part in (secondary, attribution, other_arms, compute, room, reach):
        allowed, forbidden = conclude_part(results, primary)
        may += allowed
        may_not += forbidden
    return {"headline": headline(primary, results), "may_conclude": may, "may_not_conclude": may_not}


def secondary(results: Results, primary: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the secondary outcomes that are decided, in a sentence for each arm."""
    sentences = []
    for condition in dict.fromkeys(entry["condition"] for entry in results["differences"]):
        found = [
            f"{points(entry['difference'])} points on {entry['task']} ({interval(entry)})"
            for entry in results["differences"]
            if (entry["condition"], entry["role"]) == (condition, "secondary") and decided(entry, results)
        ]
        if found:
            sentences.append(
                f"As secondary outcomes, {condition} scored against {results['reference']}: {', '.join(found)}."
            )
    return sentences, []


def attribution(results: Results, primary: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return whether a decided difference of the first treatment is due to its own tokens.

    It is only where the treatment differs, in the same direction, from every arm whose tokens stand for no fact.
    """
    if not any(decided(entry, results) for entry in primary[:1]):
        return [], []
    open_question = "That the difference comes from what the tokens stand for: "
    controls = [entry for entry in results["contrasts"] if entry["control"]]
    may: list[str] = []
    may_not: list[str] = []
    for entry in results["contrasts"]:
        text = describe(entry, results)
        (may if decided(entry, results) else may_not).append(f"{text}." if decided(entry, results) else f"That {text}.")
    other = [
        entry["reference"]
        for entry in controls
        if not (decided(entry, results) and entry["difference"] * primary[0]["difference"] > 0)
    ]
    if not controls:
        may_not.append(open_question + "no arm with as many other tokens was compared.")
    elif other:
        may_not.append(f"{open_question}it is not shown against {' and '.join(other)}.")
    return may, may_not


def other_arms(results: Results, primary: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return what the decided differences of the arms after the first treatment say of their reason.

    The protocol compares the first treatment alone with the arms whose tokens stand for no fact.
    """
    controls = [entry["reference"] for entry in results["contrasts"] if entry["control"]]
    found = [entry["condition"] for entry in primary[1:] if decided(entry, results)]
    with_facts = " and ".join(arm for arm in found if arm not in controls)
    without = " and ".join(arm for arm in found if arm in controls)
    others = "an arm whose tokens stand for no fact" if controls else "the other arms"
    may = [
        f"Extra tokens alone can make a difference: those of {without} stand for no fact, and the score is not that of "
        f"{results['reference']}."
    ]
    may_not = [
        f"Why {with_facts} scored differently from {results['reference']}: only {primary[0]['condition']} was compared "
        f"with {others}."
    ]
    return may if without else [], may_not if with_facts else []


def compute(results: Results, primary: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
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


def room(results: Results, primary: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return whether the length limit of a completion, which counts tokens, cut the arms' gold completions."""
    task = primary[0]["task"] if primary else ""
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


def reach(results: Results, primary: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return what the experiment does not reach: other seeds, GSM8K itself, other models."""
    may_not = []
    seeds, minimum = len(results["seeds"]), results["protocol"]["minimum_seeds"]
    if seeds < minimum:
        may_not.append(
            f"Anything about training in general: {seeds} seed{'s say' if seeds > 1 else ' says'} too little about "
            f"how much results vary from seed to seed (the protocol asks for {minimum}). This report is exploratory."
        )
    if not results["protocol"]["preregistered"]:
        may_not.append(
            "Anything as a test that was fixed beforehand: not every stage is known to have run under the protocol's "
            "text as it is now. This report is exploratory."
        )
    synthetic = sorted(name for name, b in results["benchmarks"].items() if b["source"] == "synthetic")
    if synthetic:
        may_not.append(
            f"Anything about GSM8K: {', '.join(synthetic)} hold synthetic problems in its form, not its items."
        )
    if results["protocol"]["fallback"]:
        may_not.append("Anything about GRPO: its gate stopped at least one run, so it is not compared in any.")
    parameters = results["ledger"]["matched"].get("pretrain", {}).get("parameters")
    if parameters:
        may_not.append(f"Anything about models of another size than {parameters / 1e6:.3g}M parameters, or other data.")
    return [], may_not


def headline(primary: list[dict[str, Any]], results: Results) -> str:
    """Return one sentence with the difference and its interval for each arm against the reference."""
    verdicts = []
    for entry in primary:
        if not excludes_zero(entry):
            verdicts.append("; no difference is shown")
        elif results["exploratory"] or decided(entry, results):
            verdicts.append("")
        else:
            verdicts.append(f"; not significant among {len(primary)} arms")
    if len(primary) == 1:
        text = f"{describe(primary[0], results)}{verdicts[0]}."
    else:
        scores = [
            f"{entry['condition']} {points(entry['difference'])} points ({interval(entry)}{verdict})"
            for entry, verdict in zip(primary, verdicts, strict=True)
        ]
        level = f"{results['confidence_level']:.0%} intervals"
        text = f"Against {results['reference']} on {where(primary[0], results)}, {level}: {', '.join(scores)}."
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
    seeds = len(results["seeds"])
    return f"{entry['items']:,} items, {seeds} seed{'s' if seeds > 1 else ''}"


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
