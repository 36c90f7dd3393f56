"""The figures, drawn from fabricated results: which ones there are, and what is in them."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from fabricated_results import fabricate

from mulfact.evals.figure_style import looks
from mulfact.evals.figures import curve_table, draw_figures, figures, forest_figure, moving_mean
from mulfact.evals.item_figures import error_figure

NAMES = [
    "pretrain", "accuracy_gsm8k", "accuracy_arithmetic", "accuracy_word_problem", "forest_gsm8k", "forest_arithmetic",
    "forest_word_problem", "heatmap_accuracy", "heatmap_usage", "errors_gsm8k", "errors_arithmetic",
    "errors_word_problem", "grpo", "generated_tokens", "fact_tokens",
]  # fmt: skip


def test_every_figure_is_drawn(tmp_path: Path) -> None:
    paths = draw_figures(fabricate(["baseline", "mulfact"], [0]), tmp_path / "figures")
    assert list(paths) == NAMES
    for path in paths.values():
        picture = matplotlib.image.imread(path)
        assert picture.shape[1] > 900
        assert picture[..., :3].min() < 0.1


@pytest.mark.parametrize(("arms", "seeds"), [(4, 3), (5, 10)])
def test_any_number_of_arms_and_seeds(arms: int, seeds: int) -> None:
    results = fabricate([f"arm {number}" for number in range(arms)], list(range(seeds)))
    assert [name for name, _ in figures(results)] == NAMES


def test_figures_without_data_are_left_out() -> None:
    results = fabricate(["baseline", "mulfact"], [0])
    results["curves"] = {"pretrain": [], "grpo": []}
    results["usage"] = {"baseline": {"sft": np.zeros((9, 9)).tolist()}}
    results["error_classes"] = []
    for row in results["accuracy"]:
        row["fact_tokens"] = 0.0
    absent = {"pretrain", "grpo", "heatmap_usage", "fact_tokens", *[name for name in NAMES if "errors" in name]}
    assert {name for name, _ in figures(results)} == set(NAMES) - absent


def test_drawing_twice_gives_the_same_files(tmp_path: Path) -> None:
    results = fabricate(["baseline", "mulfact"], [0])
    results["accuracy"] = [row for row in results["accuracy"] if row["family"] == "gsm8k"]  # the fewest of each figure
    first, second = draw_figures(results, tmp_path / "a"), draw_figures(results, tmp_path / "b")
    assert all(first[name].read_bytes() == second[name].read_bytes() for name in first)


def test_an_arm_looks_the_same_whatever_the_order_and_unlike_any_other() -> None:
    results = fabricate(["control", "one", "two", "three", "four"], [0])
    drawn = looks(results)
    assert drawn["control"].colour == "#000000"
    assert len({look.colour for look in drawn.values()}) == len({look.marker for look in drawn.values()}) == 5
    results["reference"] = "two"
    assert looks(results)["two"].colour == "#000000"


def test_the_forest_is_centred_on_zero_and_holds_each_difference() -> None:
    results = fabricate(["baseline", "mulfact", "placebo"], [0, 1, 2])
    figure = forest_figure(results, "gsm8k")
    assert figure is not None
    rows = [row for row in results["differences"] if row["family"] == "gsm8k" and row["stage"] == "grpo"]
    axes = figure.axes[2]
    assert axes.get_xlim()[0] == pytest.approx(-axes.get_xlim()[1])
    drawn = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    assert sorted(drawn) == pytest.approx(sorted(100 * row["difference"] for row in rows))


def test_error_bars_have_the_width_of_the_shares() -> None:
    results = fabricate(["baseline", "mulfact"], [0])
    figure = error_figure(results, "gsm8k")
    assert figure is not None
    row = next(row for row in results["error_classes"] if row["stage"] == "pretrain")
    widths = [patch.get_width() for patch in figure.axes[0].patches[:4]]
    assert widths == pytest.approx([100 * count / row["items"] for count in row["counts"].values()])


def test_the_panels_of_all_stages_have_one_scale() -> None:
    results = fabricate(["baseline", "mulfact"], [0, 1])
    for name, figure in figures(results):
        if name.startswith(("accuracy", "forest")):
            assert len({axes.get_xlim() for axes in figure.axes}) == 1, name


def test_points_without_a_value_are_left_out() -> None:
    points = [{"step": 1, "reward": None}, {"step": 2, "reward": 0.5}]
    assert curve_table({"points": points}, "step", "reward").tolist() == [[2, 2, 0.5]]


def test_a_moving_mean_keeps_a_short_curve_and_a_constant_one() -> None:
    short = np.array([1.0, 5.0, 2.0])
    assert moving_mean(short).tolist() == short.tolist()
    assert moving_mean(np.full(100, 3.0)).tolist() == [3.0] * 100
