"""The map of fact tokens: where a model's embeddings put them, and which values a regression on them predicts."""

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mulfact.evals.report.figure_style import WIDTH, Results, labels


def embedding_figure(results: Results) -> Figure | None:
    """Draw, for each arm with fact tokens, the map coloured by value and by first operand, and predicted over true.

    The checkpoint is the last stage of the first seed.
    """
    rows = [row for row in results["embeddings"] if row["facts"]]
    last = [[row for row in rows if row["condition"] == arm][-1] for arm in labels(rows, "condition")]
    if not last:
        return None
    figure = Figure(figsize=(WIDTH, 2.9 * len(last) + 0.1), layout="constrained")
    for axes, row in zip(figure.subplots(len(last), 3, squeeze=False), last, strict=True):
        values = np.array([fact["value"] for fact in row["facts"]])
        draw_map(axes[0], row, values, "value", "viridis")
        draw_map(axes[1], row, np.array([fact["operands"][0] for fact in row["facts"]]), "first operand", "plasma")
        predicted = [fact["predicted"] for fact in row["facts"]]
        ends = [min(values.min(), *predicted), max(values.max(), *predicted)]
        axes[2].plot(ends, ends, color="#AAAAAA", linewidth=0.9)
        axes[2].scatter(values, predicted, s=10, color="#0072B2", linewidth=0)
        axes[2].set_title(f"left out: R² {row['ridge']['r2']:.2f}", fontsize=9)
        axes[2].set_xlabel("true value")
        axes[2].set_ylabel("predicted")
    return figure


def draw_map(axes: Axes, row: Results, colours: np.ndarray, name: str, palette: str) -> None:
    """Draw the facts of a checkpoint where their principal components put them."""
    points = np.array([[fact["x"], fact["y"]] for fact in row["facts"]])
    image = axes.scatter(points[:, 0], points[:, 1], c=colours, cmap=matplotlib.colormaps[palette], s=16, linewidth=0)
    for fact in row["facts"]:
        if abs(fact["x"]) > np.quantile(abs(points[:, 0]), 0.9) or abs(fact["y"]) > np.quantile(abs(points[:, 1]), 0.9):
            axes.annotate(fact["text"], (fact["x"], fact["y"]), fontsize=5.5, xytext=(2, 2), textcoords="offset points")
    axes.set_title(f"{row['condition']}, {row['stage']}: {name}", fontsize=9)
    axes.set_xlabel(f"component 1 ({row['explained_variance'][0]:.0%})")
    axes.set_ylabel(f"component 2 ({row['explained_variance'][1]:.0%})")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.figure.colorbar(image, ax=axes, shrink=0.8)
