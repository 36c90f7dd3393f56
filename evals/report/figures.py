"""Draw the figures of a comparison from the content of results.json.

    python -c "import json; from pathlib import Path; from mulfact.evals.report.figures import draw_figures; \\
        draw_figures(json.load(open('outputs/smoke/report/results.json')), Path('outputs/smoke/report/figures'))"

Arms, tasks and stages are labels that come from the results, in their order there; figure_style.py gives an arm its
look.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mulfact.evals.comparison.strata import NO_FACTS
from mulfact.evals.report.embedding_figures import embedding_figure
from mulfact.evals.report.figure_style import Results, drawing, labels, looks, small_multiples, task_label
from mulfact.evals.report.item_figures import error_figure, heatmap_figure
from mulfact.evals.report.learning_figures import known_figure, learned, learning_figure, unknown_figure

GRPO_MEASURES = {
    "reward": "reward",
    "reward_gsm8k": "reward on GSM8K's problems",
    "reward_synthetic": "reward on synthetic problems",
    "solved_share": "prompts that some rollout solved",
    "fact_tokens": "added tokens per completion",
    "completion_length": "completion length (tokens)",
    "kl": "KL to the reference model",
    "entropy": "entropy (nats per token)",
    "zero_variance_share": "groups without variance",
    "repetition": "repetition",
    "truncated_share": "rollouts cut off at the longest completion",
}
SHARES = ("solved_share", "zero_variance_share", "repetition", "truncated_share")
LEAST_SHARE = 0.1  # an axis of shares reaches at least this high
DPI = 160
SEED_OFFSET = 0.05  # inches between an interval and the dots of its seeds


def draw_figures(results: Results, folder: Path) -> dict[str, Path]:
    """Write every figure the results have data for as <folder>/<name>.png and return the paths by name, in order.

    Names: answer, pretrain, learning_<kind of fact>, not_known_yet, known_<kind of fact>,
    accuracy_<family>, forest_<family>, heatmap_accuracy, heatmap_usage, embeddings, errors_<family>, grpo,
    generated_tokens, fact_tokens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    names = [results["reference"], *results["conditions"], *labels(results["accuracy"], "task")]
    with drawing([*names, *labels(results["accuracy"], "stage")]):
        for name, figure in figures(results):
            paths[name] = folder / f"{name}.png"
            figure.savefig(paths[name], dpi=DPI, facecolor="white", metadata={"Software": None})
    return paths


def figures(results: Results) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure, leaving out those without data."""
    families = labels(results["accuracy"], "family")
    drawers: list[tuple[str, Callable[[], Figure | None]]] = [
        ("answer", lambda: answer_figure(results)),
        ("pretrain", lambda: pretrain_figure(results)),
        *[(f"learning_{name}", lambda name=name: learning_figure(results, name)) for name in learned(results)],
        ("not_known_yet", lambda: unknown_figure(results)),
        *[(f"known_{name}", lambda name=name: known_figure(results, name)) for name in learned(results)],
        *[(f"accuracy_{name}", lambda name=name: accuracy_figure(results, name)) for name in families],
        *[(f"forest_{name}", lambda name=name: forest_figure(results, name)) for name in families],
        ("heatmap_accuracy", lambda: heatmap_figure(results, results["heatmaps"], share=True)),
        ("heatmap_usage", lambda: heatmap_figure(results, results["usage"], share=False)),
        ("embeddings", lambda: embedding_figure(results)),
        *[(f"errors_{name}", lambda name=name: error_figure(results, name)) for name in families],
        ("grpo", lambda: grpo_figure(results)),
        ("generated_tokens", lambda: count_figure(results, "generated_tokens", "tokens per completion")),
        ("fact_tokens", lambda: count_figure(results, "fact_tokens", "added tokens per completion")),
    ]
    for name, draw in drawers:
        figure = draw()
        if figure is not None:
            yield name, figure


# ---------------------------------------------------------------- curves


def pretrain_figure(results: Results) -> Figure | None:
    """Draw validation bits per byte by tokens and by raw bytes: of canonical text, of text as spelled."""
    curves = results["curves"].get("pretrain", [])
    measures = {
        "canonical_bits_per_byte": "canonical text",
        "canonical_bits_per_byte_fact_free": "canonical text without a fact of 1–9",
        "bits_per_byte": "text as spelled",
    }
    present = [name for name in measures if has_values(curves, name)]
    if not present:
        return None
    figure, grid = small_multiples(results, len(present), 2, row_height=2.7, lines=True)
    for row, measure in zip(grid, present, strict=True):
        for axes, position in zip(row, ("tokens", "bytes"), strict=True):
            draw_curves(axes, results, curves, position, measure)
            axes.set_title(f"{measures[measure]}, by {position}")
            axes.set_xlabel(f"{position} read")
            axes.set_ylabel("bits per byte")
    return figure


def grpo_figure(results: Results) -> Figure | None:
    """Draw reward, added tokens, completion length and the health of the training over GRPO steps, smoothed."""
    curves = results["curves"].get("grpo", [])
    present = [name for name in GRPO_MEASURES if has_values(curves, name)]
    if not {"reward_gsm8k", "reward_synthetic"} <= {*present}:  # the reward on the only source is the reward
        present = [name for name in present if name not in ("reward_gsm8k", "reward_synthetic")]
    if not present:
        return None
    figure, grid = small_multiples(results, -(-len(present) // 2), 2, row_height=2.2, lines=True)
    panels = grid.ravel()
    for axes, measure in zip(panels, present, strict=False):
        draw_curves(axes, results, curves, "step", measure, smooth=True)
        if measure in SHARES:
            axes.set_ylim(0, max(LEAST_SHARE, axes.get_ylim()[1]))
        axes.set_title(GRPO_MEASURES[measure])
        axes.set_xlabel("GRPO step")
    for axes in panels[len(present) :]:
        axes.set_visible(False)
    return figure


def draw_curves(
    axes: Axes, results: Results, curves: list[dict[str, Any]], position: str, measure: str, smooth: bool = False
) -> None:
    """Draw each seed as a faint line and each arm's mean over seeds, step by step, as a strong one."""
    for arm, look in looks(results).items():
        tables = [curve_table(curve, position, measure) for curve in curves if curve["condition"] == arm]
        tables = [table for table in tables if len(table)]
        if not tables:
            continue
        if len(tables) > 1 or smooth:
            for table in tables:  # the more of them, the fainter: the means, in front of all, stay visible
                axes.plot(
                    table[:, 1],
                    table[:, 2],
                    color=look.colour,
                    linewidth=0.6,
                    alpha=0.35 / len(tables) ** 0.6,
                    zorder=1,
                )
        # A mean over fewer seeds than the arm has would jump where a seed is missing.
        steps = sorted(set.intersection(*[set(table[:, 0]) for table in tables]))
        mean = np.mean([table[np.isin(table[:, 0], steps)] for table in tables], axis=0)
        values = moving_mean(mean[:, 2]) if smooth else mean[:, 2]
        marker = look.marker if len(mean) <= 12 else None
        axes.plot(
            mean[:, 1], values, color=look.colour, linestyle=look.line, linewidth=1.6, marker=marker, markersize=4,
            zorder=3, clip_on=False,  # a share of 0 lies on the axis
        )  # fmt: skip
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 5), useMathText=True)


def curve_table(curve: dict[str, Any], position: str, measure: str) -> np.ndarray:
    """Return (points, 3): step, position and value of the points that have a value."""
    points = [point for point in curve["points"] if point.get(measure) is not None]
    return np.array([[point["step"], point[position], point[measure]] for point in points], dtype=float)


def moving_mean(values: np.ndarray) -> np.ndarray:
    """Return the centred mean over a tenth of the points, over fewer of them at both ends."""
    reach = len(values) // 20
    return np.array([values[max(0, index - reach) : index + reach + 1].mean() for index in range(len(values))])


def has_values(curves: list[dict[str, Any]], measure: str) -> bool:
    return any(point.get(measure) is not None for curve in curves for point in curve["points"])


# ---------------------------------------------------------------- accuracies, differences, lengths


def accuracy_figure(results: Results, family: str) -> Figure | None:
    """Draw mean accuracy with its interval, the seeds as small dots and the best trivial baseline as a grey line."""
    rows = [row for row in results["accuracy"] if row["family"] == family]
    figure = dot_plot(results, rows, list(results["conditions"]), "mean", "accuracy (%)", scale=100)
    tasks = labels(rows, "task")
    for axes in figure.axes:
        for place, task in enumerate(tasks):
            trivial = results["trivial_baselines"].get(task)
            if trivial:
                best = 100 * max(trivial.values())
                axes.plot([best, best], [place - 0.42, place + 0.42], color="#AAAAAA", linewidth=2.2, zorder=0)
    figure.axes[0].set_xlim(left=min(0, figure.axes[0].get_xlim()[0]))
    return figure


def answer_figure(results: Results) -> Figure:
    """Draw the accuracies on the primary outcome, on the rest of its problems, and on the whole sets of its family."""
    row = next(row for row in results["differences"] if row["primary"])
    part_of = {task: entry["stratum_of"] for task, entry in results["benchmarks"].items()}
    whole = part_of[row["task"]] or row["task"]
    tasks = [row["task"], f"{whole}_{NO_FACTS}", whole, *part_of]
    chosen = [
        entry
        for task in dict.fromkeys(tasks)
        for entry in results["accuracy"]
        if (entry["task"], entry["stage"], entry["family"]) == (task, row["stage"], row["family"])
        and (task in tasks[:3] or part_of[task] is None)
    ]
    figure = dot_plot(results, chosen, list(results["conditions"]), "mean", "accuracy (%)", scale=100)
    figure.axes[0].set_xlim(0, 100)
    figure.axes[0].get_yticklabels()[0].set_fontweight("bold")
    return figure


def forest_figure(results: Results, family: str) -> Figure | None:
    """Draw the paired differences to the reference with their intervals; the tasks of primary outcomes in bold."""
    rows = [row for row in results["differences"] if row["family"] == family]
    if not rows:
        return None
    arms = [arm for arm in results["conditions"] if arm != results["reference"]]
    label = f"difference to {results['reference']} (points)"
    figure = dot_plot(results, rows, arms, "difference", label, scale=100)
    primary = {two_lines(results, row["task"]) for row in rows if row["primary"]}
    for axes in figure.axes:
        axes.axvline(0, color="#444444", linewidth=0.9, zorder=0)
    reach = max(abs(limit) for limit in figure.axes[0].get_xlim())
    figure.axes[0].set_xlim(-reach, reach)
    for text in figure.axes[0].get_yticklabels():
        text.set_fontweight("bold" if text.get_text() in primary else "normal")
    return figure


def count_figure(results: Results, field: str, label: str) -> Figure | None:
    """Draw a mean count per completion (`field` of the accuracy rows) by task, arm and stage."""
    rows = [row for row in results["accuracy"] if row.get(field) is not None]
    if not any(row[field] for row in rows):
        return None
    return dot_plot(results, rows, list(results["conditions"]), field, label, scale=1)


def dot_plot(
    results: Results, rows: list[dict[str, Any]], arms: list[str], field: str, label: str, scale: float
) -> Figure:
    """Draw a panel per stage, a band per task and, in it, a marker per arm; interval and seeds where `field` has them.

    Intervals and seeds are those of the mean or difference, so only these two fields are drawn with them.
    """
    tasks, stages, look = labels(rows, "task"), labels(rows, "stage"), looks(results)
    band = 0.16 * len(arms) + 0.22
    figure, grid = small_multiples(results, 1, len(stages), band * len(tasks) + 0.75, arms=arms, share=True)
    below = SEED_OFFSET / band  # in bands: the dots stay nearer to their own interval than to the next arm's
    offsets = dict(zip(arms, np.linspace(-0.3, 0.3, len(arms)) if len(arms) > 1 else [0.0], strict=True))
    for axes, stage in zip(grid[0], stages, strict=True):
        for place in range(len(tasks)):
            if place % 2:
                axes.axhspan(place - 0.5, place + 0.5, color="#F5F5F5", zorder=-1)
        for row in rows:
            if row["stage"] != stage or row["condition"] not in offsets:
                continue
            one, height = look[row["condition"]], tasks.index(row["task"]) + offsets[row["condition"]]
            if field in ("mean", "difference"):
                axes.plot(scale * np.array(row["interval"]), [height, height], color=one.colour, linewidth=1.3)
                seeds = list(row["seeds"].values())
                if len(seeds) > 1:
                    places = np.full(len(seeds), height + below)
                    axes.plot(scale * np.array(seeds), places, ".", color=one.colour, alpha=0.6, markersize=3.5)
            axes.plot(scale * row[field], height, one.marker, color=one.colour, markersize=4.5, markeredgewidth=0)
        axes.set_title(stage)
        axes.set_xlabel(label)
        axes.grid(axis="x")
        axes.set_ylim(len(tasks) - 0.5, -0.5)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.tick_params(axis="y", length=0)
    grid[0][0].set_yticks(range(len(tasks)), [two_lines(results, task) for task in tasks])
    return figure


def two_lines(results: Results, task: str) -> str:
    """Return a task's label with its mark, if any, on a second line."""
    return task_label(results, task).replace(" (", "\n(")
