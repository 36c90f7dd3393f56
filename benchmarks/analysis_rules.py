"""Which rule says best whether two arms differ: coverage and power of a dozen rules in simulated experiments.

    python benchmarks/analysis_rules.py --experiments 100                     # half a minute on one core
    python benchmarks/analysis_rules.py --json analysis_rules.json            # the tables of docs/protocol.md

An experiment has arms, seeds and right-or-wrong items. An arm's true accuracy varies from seed to seed; an item is
harder or easier in every arm (so items are always paired), and somewhat more so in one arm than in another. The
treatment is better than the reference by three true standard errors, which a test that knew them would see in 85% of
the experiments. A rule is told the seeds' accuracies and the items' variances, and gives an interval: it is held
against the true difference (coverage) and against zero (power).
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import stats

from mulfact.provenance import write_json

Array = NDArray[np.float64]
ITEMS = 500
ITEM_SD, INTERACTION_SD = 1.0, 0.3  # of the items' difficulty, and of its part that one arm has alone, in probits
EFFECT = 3.0  # true standard errors
LEVEL = 0.95
CHUNK = 6_000_000  # outcomes that are drawn at a time
COVERS = (0.93, 0.97)


@dataclass(frozen=True)
class Design:
    """One kind of experiment. `noise_ratio`: seeds' SD in units of one seed's item noise, the mean of the two arms'.

    `sd_ratio`: the SD of the treatment and of each second arm after it, in units of the others'. `kind` of the seeds:
    normal (a beta distribution), skewed (one seed in five lies four times as far below the mean as the others above),
    or two (each seed is of a good or of a bad kind).
    """

    seeds: int
    arms: int
    correlation: float = 0.0
    sd_ratio: float = 1.0
    accuracy: float = 0.25
    noise_ratio: float = 1.0
    kind: str = "normal"

    @property
    def sds(self) -> Array:
        noise = np.sqrt(self.accuracy * (1 - self.accuracy) / ITEMS)
        low = self.noise_ratio * noise / np.sqrt((1 + self.sd_ratio**2) / 2)
        return np.array([low * (self.sd_ratio if arm % 2 == 1 else 1.0) for arm in range(self.arms)])


@dataclass(frozen=True)
class Summary:
    """What a rule is told of many experiments: arrays (experiments, arms, ...)."""

    by_seed: Array  # (experiments, arms, seeds): accuracies
    residual: Array  # (experiments, arms): variance of one seed's accuracy that items alone make
    interaction: dict[tuple[int, int], Array]  # (experiments,): variance of a difference that items make in any seed


# ---------------------------------------------------------------- simulation


def seed_accuracies(design: Design, effect: float, count: int, generator: np.random.Generator) -> Array:
    """Return true accuracies (count, arms, seeds), of which arm 1 has the mean accuracy + effect."""
    shape = (count, design.arms, design.seeds)
    shared = np.sqrt(design.correlation) * generator.standard_normal((count, 1, design.seeds))
    normal = shared + np.sqrt(1 - design.correlation) * generator.standard_normal(shape)
    values = np.empty(shape)
    for arm, sd in enumerate(design.sds):
        mean = design.accuracy + (effect if arm == 1 else 0.0)
        if sd == 0:
            values[:, arm] = mean
        elif design.kind == "normal":
            size = mean * (1 - mean) / sd**2 - 1
            grid = np.linspace(-5, 5, 2001)
            quantiles = stats.beta.ppf(stats.norm.cdf(grid), mean * size, (1 - mean) * size)
            values[:, arm] = np.interp(normal[:, arm], grid, quantiles)
        elif design.kind == "skewed":
            values[:, arm] = mean + sd * np.where(generator.random(shape[::2]) < 0.2, -2.0, 0.5)
        else:
            kinds = np.where(generator.random(shape[::2]) < 0.5, -1.0, 1.0)
            values[:, arm] = mean + sd * (0.95 * kinds + np.sqrt(1 - 0.95**2) * normal[:, arm])
    return np.clip(values, 0.001, 0.999)


def true_error(design: Design) -> float:
    """Return the standard error of the difference between arm 1 and arm 0, by one large draw of items' variances."""
    first, second = design.sds[0], design.sds[1]
    seeds = (first**2 + second**2 - 2 * design.correlation * first * second) / design.seeds
    total = np.sqrt(1 + ITEM_SD**2 + INTERACTION_SD**2)
    threshold = stats.norm.ppf(design.accuracy) * total
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    difficulty, own = np.meshgrid(ITEM_SD * nodes, INTERACTION_SD * nodes, indexing="ij")
    weight = np.outer(weights, weights)
    right = stats.norm.cdf(threshold + difficulty + own)
    residual = float(np.sum(weight * right * (1 - right)))
    of_item = right @ weights
    interaction = float(np.sum(weight * right**2) - np.sum(weights * of_item**2))
    return float(np.sqrt(seeds + 2 * (residual / design.seeds + interaction) / ITEMS))


def simulate(design: Design, effect: float, experiments: int, generator: np.random.Generator) -> Iterator[Summary]:
    """Yield the summaries of experiments, a chunk at a time."""
    total = np.sqrt(1 + ITEM_SD**2 + INTERACTION_SD**2)
    size = max(1, min(experiments, CHUNK // (design.arms * design.seeds * ITEMS)))
    for start in range(0, experiments, size):
        count = min(size, experiments - start)
        accuracy = seed_accuracies(design, effect, count, generator)
        shape = (*accuracy.shape, ITEMS)
        latent = generator.standard_normal(shape, dtype=np.float32)
        latent += (stats.norm.ppf(accuracy) * total).astype(np.float32)[..., None]
        own = generator.normal(0, INTERACTION_SD, (count, design.arms, 1, ITEMS))
        latent += (own + generator.normal(0, ITEM_SD, (count, 1, 1, ITEMS))).astype(np.float32)
        yield summarise(latent > 0)


def summarise(right: NDArray[np.bool_]) -> Summary:
    """Return what the rules are told of outcomes (experiments, arms, seeds, items)."""
    seeds, items = right.shape[2:]
    by_seed, by_item = right.mean(axis=3), right.mean(axis=2)
    mean = by_seed.mean(axis=2)
    squares = seeds * items * mean  # the square of a right item is itself
    squares = squares - items * np.sum(by_seed**2, axis=2) - seeds * np.sum(by_item**2, axis=2)
    residual = np.maximum(squares + seeds * items * mean**2, 0) / ((seeds - 1) * (items - 1)) / items
    interaction = {}
    for first, second in contrasts(right.shape[1]):
        by_items = np.var(by_item[:, second] - by_item[:, first], axis=1, ddof=1) / items
        noise = (residual[:, first] + residual[:, second]) / seeds
        interaction[first, second] = np.maximum(by_items - noise, 0.0)
    return Summary(by_seed, residual, interaction)


def contrasts(arms: int) -> list[tuple[int, int]]:
    """Return the pairs that are tested: treatment and reference, two arms of a small SD, two of a large one."""
    return [(0, 1), *([(0, 2), (1, 3)] if arms > 2 else [])]


# ---------------------------------------------------------------- the rules: (variance of the difference, freedom)

Answer = tuple[Array, Array]
Rule = Callable[[Summary, int, int], Answer]


def satterthwaite(parts: list[Array], freedom: float) -> Array:
    """Return the degrees of freedom of a sum of variances that each have `freedom`, by the share of its own total."""
    total = sum(parts)
    squares = sum(part**2 for part in parts)
    return freedom * np.divide(total**2, squares, out=np.full_like(squares, 1e6), where=squares > 0)


def with_items(seeds_part: Array, freedom: Array, interaction: Array) -> Answer:
    """Return the whole variance, with the items' part, of which there are enough to be known."""
    total = seeds_part + interaction
    share = np.divide(total, seeds_part, out=np.full_like(total, 1e3), where=seeds_part > 0)
    return total, np.minimum(freedom * share**2, 1e6)


def paired(summary: Summary, first: int, second: int) -> Answer:
    """Seeds paired: Student's t on the seeds' differences."""
    seeds = summary.by_seed.shape[2]
    part = np.var(summary.by_seed[:, second] - summary.by_seed[:, first], axis=1, ddof=1) / seeds
    return with_items(part, np.full_like(part, seeds - 1), summary.interaction[first, second])


def paired_cleaned(summary: Summary, first: int, second: int) -> Answer:
    """Today's rule: seeds paired, their variance with the items' noise taken out, never below zero; two corrections."""
    seeds = summary.by_seed.shape[2]
    square = np.var(summary.by_seed[:, second] - summary.by_seed[:, first], axis=1, ddof=1) / seeds
    square = square * {3: 1.08}.get(seeds, 1.0)
    noise = (summary.residual[:, first] + summary.residual[:, second]) / seeds
    excess, item = np.maximum(square - noise, 0.0), noise + summary.interaction[first, second]
    total = item + excess
    freedom = seeds - 1 + 0.8 * (total**2 / (square**2 / (seeds - 1) + 1e-30) - (seeds - 1))
    return total, np.where(excess > 0, np.clip(freedom, 1.0, 1e6), 1e6)


def unpaired(summary: Summary, first: int, second: int) -> Answer:
    """Seeds unpaired: Welch's t, each arm with its own variance."""
    seeds = summary.by_seed.shape[2]
    parts = [np.var(summary.by_seed[:, arm], axis=1, ddof=1) / seeds for arm in (first, second)]
    return with_items(sum(parts), satterthwaite(parts, seeds - 1), summary.interaction[first, second])


def unpaired_floor(summary: Summary, first: int, second: int) -> Answer:
    """The same; an arm's seeds vary by no less than its items' noise makes them."""
    seeds = summary.by_seed.shape[2]
    parts = [
        np.maximum(np.var(summary.by_seed[:, arm], axis=1, ddof=1), summary.residual[:, arm]) / seeds
        for arm in (first, second)
    ]
    return with_items(sum(parts), satterthwaite(parts, seeds - 1), summary.interaction[first, second])


def unpaired_cleaned(summary: Summary, first: int, second: int) -> Answer:
    """The same, and where an arm's seeds vary by no more than that, its variance counts as known."""
    seeds = summary.by_seed.shape[2]
    parts, uncertain = [], []
    for arm in (first, second):
        observed = np.var(summary.by_seed[:, arm], axis=1, ddof=1)
        parts.append(np.maximum(observed, summary.residual[:, arm]) / seeds)
        uncertain.append(np.where(observed > summary.residual[:, arm], observed, 0.0) / seeds)
    total = sum(parts) + summary.interaction[first, second]
    squares = sum(part**2 for part in uncertain) / (seeds - 1)
    freedom = np.divide(total**2, squares, out=np.full_like(total, 1e6), where=squares > 0)
    return total, np.minimum(freedom, 1e6)


def pooled(summary: Summary, first: int, second: int) -> Answer:
    """Seeds unpaired, one variance for all arms."""
    _, arms, seeds = summary.by_seed.shape
    part = 2 * np.var(summary.by_seed, axis=2, ddof=1).mean(axis=1) / seeds
    return with_items(part, np.full_like(part, arms * (seeds - 1)), summary.interaction[first, second])


def moderated(summary: Summary, first: int, second: int) -> Answer:
    """Adaptive: Welch's t, each arm's variance halfway to the mean of all arms at three seeds, less so with more."""
    _, arms, seeds = summary.by_seed.shape
    variances, prior = np.var(summary.by_seed, axis=2, ddof=1), 2
    moderate = (prior * variances.mean(axis=1, keepdims=True) + (seeds - 1) * variances) / (prior + seeds - 1)
    parts = [moderate[:, arm] / seeds for arm in (first, second)]
    freedom = satterthwaite(parts, seeds - 1 + prior * (1 - 2 / arms))
    return with_items(sum(parts), freedom, summary.interaction[first, second])


def pooled_if_alike(summary: Summary, first: int, second: int) -> Answer:
    """Adaptive: pooled where Bartlett's test finds the arms' variances alike (p above 20%), else unpaired."""
    _, arms, seeds = summary.by_seed.shape
    variances = np.maximum(np.var(summary.by_seed, axis=2, ddof=1), 1e-12)
    statistic = (seeds - 1) * (arms * np.log(variances.mean(axis=1)) - np.log(variances).sum(axis=1))
    alike = stats.chi2.sf(statistic / (1 + (arms + 1) / (3 * arms * (seeds - 1))), arms - 1) > 0.2
    one, other = pooled(summary, first, second), unpaired_floor(summary, first, second)
    return np.where(alike, one[0], other[0]), np.where(alike, one[1], other[1])


def blocks(summary: Summary, first: int, second: int) -> Answer:
    """Seeds as blocks of a two-way analysis of variance: paired, one variance for all arms."""
    by_seed = summary.by_seed
    _, arms, seeds = by_seed.shape
    rest = by_seed - by_seed.mean(axis=1, keepdims=True) - by_seed.mean(axis=2, keepdims=True)
    rest = rest + by_seed.mean(axis=(1, 2), keepdims=True)
    freedom = (arms - 1) * (seeds - 1)
    part = 2 * np.sum(rest**2, axis=(1, 2)) / freedom / seeds
    return with_items(part, np.full_like(part, freedom), summary.interaction[first, second])


def less_covariance(summary: Summary, first: int, second: int) -> Answer:
    """Adaptive: Welch's variance less the mean covariance of all pairs of arms, where that is above zero."""
    by_seed = summary.by_seed
    _, arms, seeds = by_seed.shape
    centred = by_seed - by_seed.mean(axis=2, keepdims=True)
    of_sum = np.sum(centred.sum(axis=1) ** 2, axis=1) - np.sum(centred**2, axis=(1, 2))
    pairs = arms * (arms - 1) / 2
    covariance = np.maximum(of_sum / 2 / pairs / (seeds - 1), 0.0)
    variances = [np.var(by_seed[:, arm], axis=1, ddof=1) for arm in (first, second)]
    covariance = np.minimum(covariance, np.sqrt(variances[0] * variances[1]) * 0.95)
    freedom = satterthwaite(variances, seeds - 1)
    freedom = np.where(covariance > 0, freedom * (1 - 1 / (2 * pairs)), freedom)
    part = (sum(variances) - 2 * covariance) / seeds
    return with_items(part, freedom, summary.interaction[first, second])


def seeds_correlate(summary: Summary, alpha: float) -> NDArray[np.bool_]:
    """Return where a seed is significantly better or worse than others in all arms together, by an F test."""
    by_seed = summary.by_seed
    _, arms, seeds = by_seed.shape
    seed_square = arms * np.var(by_seed.mean(axis=1), axis=1, ddof=1)
    rest = np.var(by_seed, axis=2, ddof=1).sum(axis=1) - seed_square
    rest_square = np.maximum(rest / (arms - 1), 1e-12)
    return stats.f.sf(seed_square / rest_square, seeds - 1, (arms - 1) * (seeds - 1)) < alpha


def either(summary: Summary, first: int, second: int, rules: tuple[Rule, Rule], alpha: float) -> Answer:
    """Return the answer of the first rule where seeds correlate, else that of the second."""
    correlate = seeds_correlate(summary, alpha)
    one, other = (rule(summary, first, second) for rule in rules)
    return np.where(correlate, one[0], other[0]), np.where(correlate, one[1], other[1])


def paired_plain(summary: Summary, first: int, second: int) -> Answer:
    """Seeds paired, with no more degrees of freedom than seeds - 1, whatever the items' part is."""
    variance, freedom = paired(summary, first, second)
    return variance, np.full_like(freedom, summary.by_seed.shape[2] - 1)


def tested(summary: Summary, first: int, second: int) -> Answer:
    """Adaptive: paired where seeds correlate significantly (5%) over all arms, else unpaired."""
    return either(summary, first, second, (paired_plain, unpaired), 0.05)


def tested_cleaned(summary: Summary, first: int, second: int) -> Answer:
    """The same of the two rules that take the items' noise out of the seeds' variance."""
    return either(summary, first, second, (paired_cleaned, unpaired_cleaned), 0.05)


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        paired, paired_plain, paired_cleaned, unpaired, unpaired_floor, unpaired_cleaned, pooled, blocks, moderated,
        pooled_if_alike, less_covariance, tested, tested_cleaned,
    )
}  # fmt: skip


# ---------------------------------------------------------------- the designs, and what came out


def designs() -> Iterator[Design]:
    """Yield every kind of experiment: all of them with normal seeds, a part with skewed ones and with two kinds."""
    for seeds, arms, correlation, ratio, accuracy, noise in itertools.product(
        (3, 5, 8, 16), (2, 4, 6), (0.0, 0.3, 0.6), (1.0, 3.0), (0.05, 0.25, 0.6), (0.0, 1.0, 2.5)
    ):
        if noise > 0 or (correlation == 0 and ratio == 1):
            yield Design(seeds, arms, correlation, ratio, accuracy, noise)
    for kind, seeds, arms, ratio, noise in itertools.product(
        ("skewed", "two"), (3, 5, 8, 16), (2, 4, 6), (1.0, 3.0), (1.0, 2.5)
    ):
        yield Design(seeds, arms, 0.0, ratio, 0.6, noise, kind)


def measure(design: Design, experiments: int, generator: np.random.Generator) -> dict[str, dict[str, float]]:
    """Return {rule: coverage of the tested pairs, power against the effect} of one design."""
    effect = EFFECT * true_error(design)
    found: dict[str, dict[str, list[float]]] = {name: {} for name in RULES}
    for summary in simulate(design, effect, experiments, generator):
        mean = summary.by_seed.mean(axis=2)
        for name, rule in RULES.items():
            for first, second in contrasts(design.arms):
                variance, freedom = rule(summary, first, second)
                half = stats.t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(variance)
                difference = mean[:, second] - mean[:, first]
                truth = effect * ((second == 1) - (first == 1))
                covered = found[name].setdefault(f"coverage_{first}{second}", [])
                covered.extend(np.abs(difference - truth) <= half)
                if second == 1:
                    found[name].setdefault("power", []).extend(np.abs(difference) > half)
    return {name: {key: float(np.mean(values)) for key, values in of.items()} for name, of in found.items()}


Rows = list[tuple[Design, dict[str, dict[str, float]]]]
HEADER = (
    "rule", "coverage", "0 correlation", "0.3", "0.6", "two kinds", "skewed", "power: 3", "5", "8", "16 seeds",
)  # fmt: skip


def tabulate(rows: Rows) -> list[list[str]]:
    """Return a row for each rule: lowest and highest coverage, and mean power by the number of seeds, in %.

    A coverage is that of one pair by seeds, arms, correlation, SD ratio and kind, over the accuracies and noise ratios.
    """
    normal = [row for row in rows if row[0].kind == "normal"]
    chosen = [
        normal,
        *[[row for row in normal if row[0].correlation == correlation] for correlation in (0.0, 0.3, 0.6)],
        *[[row for row in rows if row[0].kind == kind] for kind in ("two", "skewed")],
    ]
    table = []
    for name in RULES:
        powers = [
            f"{100 * np.mean([of[name]['power'] for design, of in normal if design.seeds == seeds]):.0f}"
            for seeds in (3, 5, 8, 16)
        ]
        table.append([name, *(extremes(part, name) for part in chosen), *powers])
    return table


def extremes(rows: Rows, name: str) -> str:
    """Return the lowest and the highest coverage of a rule."""
    groups: dict[tuple, list[float]] = {}
    for design, of in rows:
        for pair, value in of[name].items():
            if pair.startswith("coverage"):
                place = (design.seeds, design.arms, design.correlation, design.sd_ratio, design.kind, pair)
                groups.setdefault(place, []).append(value)
    means = [100 * float(np.mean(values)) for values in groups.values()]
    return f"{min(means):.1f}–{max(means):.1f}"


def read(path: Path) -> Rows:
    """Return the designs and their numbers from a file that --json wrote."""
    rows = json.loads(path.read_text())["rows"]
    return [(Design(**{key: value for key, value in row.items() if key != "rules"}), row["rules"]) for row in rows]


def show(table: list[list[str]], markdown: bool) -> None:
    """Print the table for the terminal, or as docs/protocol.md has it."""
    if markdown:
        lines = [HEADER, ("---", *["--:"] * (len(HEADER) - 1)), *table]
        print("\n".join(f"| {' | '.join(line)} |" for line in lines))
        return
    shown = Table(title="Coverage and power of 95% intervals, in %")
    for column in HEADER:
        shown.add_column(column, justify="left" if column == "rule" else "right")
    for line in table:
        shown.add_row(*line)
    Console(width=140).print(shown)


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulate coverage and power of rules of analysis.")
    parser.add_argument("--experiments", type=int, default=1000, help="of each design")
    parser.add_argument("--json", type=Path, help="also write every design's numbers there")
    parser.add_argument("--read", type=Path, help="simulate nothing, and show the numbers of such a file")
    parser.add_argument("--markdown", action="store_true", help="print the table as docs/protocol.md has it")
    options = parser.parse_args()
    if options.read:
        show(tabulate(read(options.read)), options.markdown)
        return
    started, generator = time.time(), np.random.default_rng(0)
    rows = [
        (design, measure(design, options.experiments, generator))
        for design in track(list(designs()), "designs", disable=None)
    ]
    show(tabulate(rows), options.markdown)
    print(f"{len(rows)} designs x {options.experiments} experiments in {time.time() - started:.0f} s")
    if options.json:
        write_json(options.json, {"rows": [asdict(design) | {"rules": of} for design, of in rows]})


if __name__ == "__main__":
    main()
