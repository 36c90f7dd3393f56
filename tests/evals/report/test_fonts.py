"""Arms may have names in any script: the fonts that are installed write them, and nothing warns where none can."""

import warnings
from pathlib import Path

import pytest
from fabricated_results import fabricate
from matplotlib import font_manager

from mulfact.evals.report import fonts
from mulfact.evals.report.figures import draw_figures


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Fonts that are installed instead of this machine's: family to characters. DejaVu Sans has some of Latin."""
    have: dict[str, set[str]] = {}

    def entries() -> list[font_manager.FontEntry]:
        return [font_manager.FontEntry(fname=name, name=name, style="normal", weight=400) for name in have]

    def characters(path: str) -> frozenset[int]:
        name = "DejaVu Sans" if path.endswith("DejaVuSans.ttf") else path
        return frozenset(map(ord, "abcdefgé" if name == "DejaVu Sans" else have[name]))

    monkeypatch.setattr(fonts, "upright_fonts", entries)
    monkeypatch.setattr(fonts, "characters", characters)
    return have


def test_latin_names_need_no_further_font(installed: dict[str, set[str]]) -> None:
    installed["Noto Sans CJK JP"] = set("乘法")
    assert fonts.families(["abc", "g é\n"]) == ["DejaVu Sans"]


def test_as_few_fonts_as_will_do_sans_serif_first(installed: dict[str, set[str]]) -> None:
    installed.update(
        {"A Serif": set("乘法表"), "Noto Sans CJK": set("乘法表"), "Part Sans": set("乘"), "Arabic": set("ض")}
    )
    assert fonts.families(["ab 乘法", "表"]) == ["DejaVu Sans", "Noto Sans CJK"]
    assert fonts.families(["乘ض法"]) == ["DejaVu Sans", "Noto Sans CJK", "Arabic"]
    assert fonts.families(["乘☃"]) == ["DejaVu Sans", "Noto Sans CJK"]


def test_the_fonts_of_this_machine_have_what_they_are_chosen_for() -> None:
    names = fonts.families(["基线", "乘法表", "الضرب", "קו", "गुणा", "곱셈", "かけ算", "\U0001fa00"])
    assert names[0] == "DejaVu Sans"
    assert len(set(names)) == len(names)
    assert not [name for name in names if name.startswith("Last Resort")]  # it has a box for every character
    for name in names:
        assert Path(
            font_manager.findfont(font_manager.FontProperties(family=[name]), fallback_to_default=False)
        ).is_file()


@pytest.mark.parametrize("arms", [["基线", "乘法"], ["baseline", "乘☃\U0001fa00\U0010ffff"]])
def test_no_name_makes_a_figure_warn(tmp_path: Path, arms: list[str], caplog: pytest.LogCaptureFixture) -> None:
    results = fabricate(arms, [0])
    results["accuracy"] = [row for row in results["accuracy"] if row["family"] == "gsm8k"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paths = draw_figures(results, tmp_path)
    assert paths
    assert not caplog.records
