"""The command that compares pairs of halves: its page and numbers, and what it refuses."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from fabricated_curves import UNITS, draw, write_curve, write_pair

from mulfact.evals import halves
from mulfact.layout import run_folder

pytestmark = pytest.mark.usefixtures("undrawn")


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> dict[str, Any]:
    recipe = {"output_dir": str(tmp_path / "out"), "shared_dir": str(tmp_path / "smoke"), "arm": "facts", "pairs": 2,
              "permutations": 1000, "seed": 0, "confidence_level": 0.95} | settings  # fmt: skip
    (tmp_path / "halves.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.setattr(sys, "argv", ["halves.py", "--config", str(tmp_path / "halves.yaml")])
    halves.main()
    return json.loads((tmp_path / "out" / "halves.json").read_text())


def form_of(results: dict[str, Any], task: str, form: str = "plain") -> dict[str, Any]:
    (found,) = [f for t in results["tasks"] if t["task"] == task for f in t["forms"] if f["form"] == form]
    return found


def test_an_effect_that_comes_late_and_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for pair in range(2):
        write_pair(tmp_path / "smoke", pair, lambda unit, step: {10: 0.5, 30: 0.0, 90: -0.5, 270: -1.0}[step])
    results = run(tmp_path, monkeypatch)
    products = form_of(results, "products")
    for point, effect in zip(products["bits"]["points"], (0.5, 0.0, -0.5, -1.0), strict=True):
        assert point["effect"] == pytest.approx(effect, abs=0.12)
        assert point["effect"] == pytest.approx(point["with"] - point["without"], abs=0.05)
    assert [point["p_adjusted"] < 0.05 for point in products["bits"]["points"]] == [True, False, True, True]
    end = products["bits"]["end"]
    assert end["effect"] == pytest.approx(-1.0, abs=0.12)
    assert end["interval_over_pairs"][0] < -1.0 < end["interval_over_pairs"][1]
    assert len(products["units"]) == 45
    assert {tuple(unit["unit"]) for unit in products["units"]} == set(UNITS)
    assert next(unit["count"] for unit in products["units"] if unit["unit"] == [2, 3]) == 1200  # 2*3 and 3*2
    sums = form_of(results, "sums")
    assert sums["bits"]["whole_curve"]["p_value"] > 0.05
    assert sums["dose"] is None
    page = (tmp_path / "out" / "halves.html").read_text()
    assert page.count("data:image/png") == 4
    told = (tmp_path / "out" / "halves.md").read_text()
    assert "(control)" in told
    assert (
        f"products, plain: with its token a fact is known after × {2 ** products['known']['effect']:.2f} the tokens"
        in told
    )


def test_tokens_permuted_across_facts_show_no_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokens of each half help another half, drawn without looking."""
    for pair in range(4):
        other = draw(100 + pair)
        helps = {frozenset(draw(pair)): other, frozenset(set(UNITS) - draw(pair)): set(UNITS) - other}
        write_pair(tmp_path / "smoke", pair, lambda unit, step: -1.0, lambda half, h=helps: h[frozenset(half)])
    results = run(tmp_path, monkeypatch, pairs=4)
    for form in ("plain", "question"):
        bits = form_of(results, "products", form)["bits"]
        assert min(point["p_adjusted"] for point in bits["points"]) > 0.05
        assert bits["whole_curve"]["p_value"] > 0.05


def test_what_is_missing_or_no_pair_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="make curve SCALE=smoke CONDITION=facts_half0a SEED=0 writes it"):
        run(tmp_path, monkeypatch)
    for pair in range(2):
        write_pair(tmp_path / "smoke", pair, lambda unit, step: 0.0)
    write_curve(run_folder(tmp_path / "smoke", "facts_half1b", 1), 1, draw(1), set(), lambda unit, step: 0.0)
    with pytest.raises(SystemExit, match="facts_half1a and facts_half1b both have tokens"):
        run(tmp_path, monkeypatch)
    with pytest.raises(SystemExit, match="expected 1,000 or more"):
        run(tmp_path, monkeypatch, permutations=10)
