"""The figures, drawn from fabricated results: which ones there are, and what is in them."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from fabricated_results import fabricate

from mulfact.evals.report.figure_style import looks
from mulfact.evals.report.figures import (
    GRPO_MEASURES,
    SHARES,
    accuracy_figure,
    answer_figure,
    curve_table,
    draw_figures,
    figures,
    forest_figure,
    grpo_figure,
    moving_mean,
)
from mulfact.evals.report.item_figures import error_figure

NAMES = [
    "answer", "pretrain", "learning_products", "not_known_yet", "known_products",
    "accuracy_gsm8k", "accuracy_arithmetic", "accuracy_word_problem", "forest_gsm8k", "forest_arithmetic",
    "forest_word_problem", "heatmap_accuracy", "heatmap_usage", "embeddings", "errors_gsm8k", "errors_arithmetic",
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
    results["learning"], results["embeddings"] = None, []
    results["usage"] = {"baseline": {"sft": np.zeros((9, 9)).tolist()}}
    results["error_classes"] = []
    for row in results["accuracy"]:
        row["fact_tokens"] = 0.0
    absent = {
        *NAMES[1:5],
        "embeddings",
        "grpo",
        "heatmap_usage",
        "fact_tokens",
        *[name for name in NAMES if "errors" in name],
    }
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


def test_many_arms_are_all_distinct_in_dots_and_in_lines() -> None:
    drawn = looks(fabricate([f"arm {number}" for number in range(37)], [0]))
    reference, *others = drawn.values()
    for one, other in (("colour", "marker"), ("colour", "line")):
        assert len({(getattr(look, one), str(getattr(look, other))) for look in drawn.values()}) == 37
    for part in ("colour", "marker", "line"):  # whatever a figure shows, the reference looks like no other
        assert getattr(reference, part) not in [getattr(look, part) for look in others]


def test_the_answer_shows_the_primary_outcome_and_beside_it_what_it_is_a_part_of() -> None:
    results = fabricate(["baseline", "mulfact"], [0, 1, 2])
    whole = results["benchmarks"]["gsm8k_cot"]
    for part in ("facts", "no_facts", "add"):
        task = f"gsm8k_cot_{part}"
        results["benchmarks"][task] = whole | {"stratum_of": "gsm8k_cot"}
        for kind in ("accuracy", "differences"):
            results[kind] += [row | {"task": task} for row in results[kind] if row["task"] == "gsm8k_cot"]
    for row in results["differences"]:
        row["primary"] = row["primary"] and row["task"] == "gsm8k_cot_facts"
    (axes,) = answer_figure(results).axes
    shown = {label.get_text(): label.get_fontweight() for label in axes.get_yticklabels()}
    assert shown == {
        "gsm8k_cot_facts": "bold", "gsm8k_cot_no_facts": "normal", "gsm8k_cot": "normal", "gsm8k_direct": "normal",
    }  # fmt: skip
    assert axes.get_xlim() == (0, 100)
    assert axes.get_title() == "grpo"


def test_the_forest_is_centred_on_zero_and_holds_each_difference() -> None:
    results = fabricate(["baseline", "mulfact", "placebo"], [0, 1, 2])
    figure = forest_figure(results, "gsm8k")
    assert figure is not None
    rows = [row for row in results["differences"] if row["family"] == "gsm8k" and row["stage"] == "grpo"]
    axes = figure.axes[2]
    assert axes.get_xlim()[0] == pytest.approx(-axes.get_xlim()[1])
    drawn = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    assert sorted(drawn) == pytest.approx(sorted(100 * row["difference"] for row in rows))


@pytest.mark.parametrize("arms", [1, 2, 5, 7])
def test_the_dots_of_an_arms_seeds_are_nearer_to_its_interval_than_to_any_other(arms: int) -> None:
    results = fabricate([f"arm {number}" for number in range(max(arms, 2))], [0, 1, 2])
    figure = (forest_figure if arms == 1 else accuracy_figure)(results, "gsm8k")
    assert figure is not None
    lines = figure.axes[0].lines
    dots = [line for line in lines if line.get_marker() == "."]
    level = [line for line in lines if line not in dots and len({*line.get_ydata()}) == 1]
    intervals = {line.get_ydata()[0]: line.get_color() for line in level}
    assert len(dots) == 2 * arms  # the family has two tasks
    for line in dots:
        nearest = min(intervals, key=lambda height: abs(height - line.get_ydata()[0]))
        assert intervals[nearest] == line.get_color()
        assert nearest < line.get_ydata()[0]


def test_shares_are_drawn_from_zero_and_not_on_the_scale_of_nothing() -> None:
    results = fabricate(["baseline", "mulfact"], [0])
    for curve in results["curves"]["grpo"]:
        for point in curve["points"]:
            point["truncated_share"] = 0.0
    figure = grpo_figure(results)
    assert figure is not None
    limits = {axes.get_title(): axes.get_ylim() for axes in figure.axes}
    assert limits[GRPO_MEASURES["truncated_share"]] == (0, 0.1)
    assert limits[GRPO_MEASURES["solved_share"]][1] >= 0.8
    assert {limits[GRPO_MEASURES[name]][0] for name in SHARES} == {0}


def test_synthetic_problems_are_marked_in_the_figures_too() -> None:
    results = fabricate(["baseline", "mulfact"], [0])
    results["benchmarks"]["gsm8k_cot"]["source"] = "synthetic"
    forest, errors = forest_figure(results, "gsm8k"), error_figure(results, "gsm8k")
    assert forest is not None
    assert errors is not None
    named = {label.get_text(): label.get_fontweight() for label in forest.axes[0].get_yticklabels()}
    assert named == {"gsm8k_cot\n(synthetic)": "bold", "gsm8k_direct": "normal"}
    lines = [label.get_text() for label in errors.axes[0].get_yticklabels()]
    assert lines == ["gsm8k_cot (synthetic)", "baseline", "mulfact", "gsm8k_direct", "baseline", "mulfact"]


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
