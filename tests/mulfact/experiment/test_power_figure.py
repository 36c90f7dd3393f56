"""The figure of what a plan can see: drawn where it is asked for, and nowhere else."""

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mulfact.experiment import plan, power
from mulfact.experiment.power_figure import draw_power

PNG = b"\x89PNG"


def test_a_panel_an_accuracy_and_one_of_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mulfact.experiment.power_figure.SEEDS", (3, 16))
    monkeypatch.setattr("mulfact.experiment.power_figure.DPI", 40)
    drawn = []
    for measured in (None, (0.62, 0.047)):
        draw_power(150, 5, measured, tmp_path / "plan.svg")
        drawn.append(ElementTree.parse(tmp_path / "plan.svg").getroot())
    panels = [sum(group.get("id", "").startswith("axes_") for group in root.iter()) for root in drawn]
    assert panels == [3, 4]
    draw_power(150, 1, None, tmp_path / "plan.png")
    assert (tmp_path / "plan.png").read_bytes().startswith(PNG)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.png", "plan.svg"]


def test_the_same_plan_gives_the_same_effects_as_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("mulfact.experiment.power_figure.planned_effect", lambda *design: asked.append(design) or 0.01)
    draw_power(150, 7, (0.62, 0.047), tmp_path / "plan.png")
    for accuracy in power.ACCURACIES:
        for sd in power.SEED_SDS:
            assert {(accuracy, 150, seeds, sd) for seeds in (*power.SEEDS, 7)} <= set(asked)
    assert (0.62, 150, 7, 0.047) in asked


def run(monkeypatch: pytest.MonkeyPatch, repository: Path, *words: str) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setattr(sys, "argv", ["plan.py", "--scale", "smoke", *words])
    plan.main()


def test_a_plan_draws_what_it_is_told_to_and_prints_where(
    monkeypatch: pytest.MonkeyPatch, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mulfact.experiment.power_figure.SEEDS", (3, 16))
    path = tmp_path / "what is seen.svg"
    run(monkeypatch, repository, "--outputs", str(tmp_path / "none"), "--seeds", "0", "1", "2", "--figure", str(path))
    assert capsys.readouterr().out.splitlines()[-1] == str(path)
    assert [found.name for found in tmp_path.iterdir()] == ["what is seen.svg"]


@pytest.mark.parametrize("name", ["", "plan.pdf", "nowhere/plan.svg", "folder.svg"])
def test_another_kind_of_file_is_refused_before_anything_is_computed(
    monkeypatch: pytest.MonkeyPatch, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(SystemExit, match="FIGURE: found .* expected a file name that ends in .svg or .png"):
        run(monkeypatch, repository, "--figure", str(tmp_path / name) if name else "")
    assert capsys.readouterr().out == ""
