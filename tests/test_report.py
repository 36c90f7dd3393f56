"""The report: the page stands alone, says what the results say and escapes what models wrote; numbers as text."""

import io
import re
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fabricated_results import fabricate
from rich.console import Console

from mulfact.evals import report
from mulfact.evals.report import mark_facts, summary_table, write_report

ARMS = ["baseline", "mulfact", "mulfact_strict", "placebo", "fifth_arm"]
VOID = {"meta", "img", "br", "link", "hr"}


class Page(HTMLParser):
    """Collects what a page refers to and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.anchors: set[str] = set()
        self.tags: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href"):
                self.references.append(value or "")
            if name == "id":
                self.anchors.add(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


Written = tuple[Path, dict[str, Any], str]
Write = Callable[[int, int], Written]


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Return a function of arms and seeds that gives folder, results and page of their report, drawn once."""

    @cache
    def written(arms: int, seeds: int) -> Written:
        folder = tmp_path_factory.mktemp("report")
        results = fabricate(ARMS[:arms], list(range(seeds)))
        write_report(results, folder)
        return folder, results, (folder / "report.html").read_text()

    return written


@pytest.fixture(scope="module")
def two_by_one(write: Write) -> Written:
    return write(2, 1)


@pytest.mark.parametrize(("arms", "seeds"), [(2, 1), (4, 3), (5, 10)])
def test_the_page_stands_alone_and_is_well_formed(write: Write, arms: int, seeds: int) -> None:
    _, _, html = write(arms, seeds)
    page = Page(html)
    assert not page.open
    inside = [reference for reference in page.references if reference.startswith("#")]
    assert {reference[1:] for reference in inside} <= page.anchors
    assert all(reference.startswith(("#", "data:image/png;base64,")) for reference in page.references)
    assert not re.search(r"url\(|@import|<script|https?://", html)


def test_every_figure_is_in_the_page_and_in_the_folder(two_by_one: Written) -> None:
    folder, _, html = two_by_one
    assert Page(html).tags.count("img") == len(list((folder / "figures").glob("*.png"))) > 10


def test_the_conclusion_comes_first_and_is_escaped(two_by_one: Written) -> None:
    _, _, html = two_by_one
    headline = "mulfact scored +1.0 points against baseline &lt;on&gt; GSM8K (95% interval −2.0 to +4.0)."
    assert f"<h1>{headline}</h1>" in html
    assert html.index("<h1>") < html.index("<table>")


@pytest.mark.parametrize(
    "part",
    [
        "What may be concluded", "What may not be concluded", "Matched: grpo", "raw bytes", "Pretraining loss",
        "unigram entropy", "All accuracies", "Trivial baselines", "Paired differences to baseline",
        "item by item (McNemar)", "all McNemar tables", "Accuracy on each fact", "How often each fact was generated",
        "right fact", "Why answers were wrong", "Examples of each class", "The log of GRPO", "Generation lengths",
        "Mean number of fact tokens", "Other measures", "Completions side by side", "Deviations of this experiment",
        "Runs: commit, time, hardware", "Packages (",
    ],
)  # fmt: skip
def test_every_part_is_there(two_by_one: Written, part: str) -> None:
    assert part in two_by_one[2]


def test_what_a_model_wrote_is_escaped_and_its_fact_tokens_are_marked(
    two_by_one: Written,
) -> None:
    _, _, html = two_by_one
    assert "<b>hens" not in html
    assert "has <mark>6*9</mark>=&lt;&lt;<mark>6*9</mark>=54&gt;&gt;54 eggs &amp; 16*9 &lt;b&gt;hens" in html
    assert "has 6*9=&lt;&lt;6*9=54&gt;&gt;54" in html  # the arm without fact tokens wrote the same text


def test_one_seed_is_called_exploratory_and_has_no_deviation_over_seeds(write: Write) -> None:
    _, _, one = write(2, 1)
    _, _, three = write(4, 3)
    assert '<span class="badge">exploratory</span>' in one
    assert '<span class="badge">exploratory</span>' not in three
    assert "±" not in one
    assert "±" in three


def test_the_primary_outcome_is_shown_with_its_numbers(two_by_one: Written) -> None:
    folder, results, html = two_by_one
    (entry,) = [row for row in results["differences"] if row["primary"]]
    difference = report.points(entry["difference"])
    interval = report.interval_points(entry["interval"])
    assert f"{difference} [{interval}]" in html[html.index('<tr class="primary">') :]
    row = next(line for line in (folder / "results.md").read_text().splitlines() if "**gsm8k_cot**" in line)
    assert row.startswith("| grpo | **gsm8k_cot** | 200 | **")
    assert f"({difference} [{interval}])**" in row


@pytest.mark.parametrize(("arms", "seeds"), [(2, 1), (5, 10)])
def test_the_short_table_has_a_row_an_outcome_and_a_column_an_arm(write: Write, arms: int, seeds: int) -> None:
    folder, results, _ = write(arms, seeds)
    table = (folder / "results.md").read_text().partition("## What may be concluded")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(results["accuracy"]) // arms
    assert {line.count("|") for line in lines} == {3 + arms + 1}


def test_the_short_report_says_what_may_and_may_not_be_concluded(tmp_path: Path) -> None:
    results = fabricate(ARMS[:2], [0])
    results["protocol"]["deviations"] = ["1 seed; the protocol asks for at least 3."]
    results["conclusion"]["may_conclude"] = []
    write_report(results, tmp_path)
    text = (tmp_path / "results.md").read_text()
    assert "## What may be concluded\n\n- Nothing.\n" in text
    assert "## What may not be concluded\n\n- That the arms are equal.\n" in text
    assert "Deviations:\n\n- 1 seed; the protocol asks for at least 3.\n" in text
    assert "1 seed; the protocol asks for at least 3." in (tmp_path / "report.html").read_text()


def test_where_the_gate_stopped_grpo_the_report_opens_with_it(tmp_path: Path) -> None:
    write_report(fabricate(ARMS[:2], [0, 1], gated=True), tmp_path)
    html = (tmp_path / "report.html").read_text()
    page = Page(html)
    assert not page.open
    assert {reference[1:] for reference in page.references if reference.startswith("#")} <= page.anchors
    told = html.index("<b>Pre-registered fallback.</b> GRPO is not compared: its gate stopped runs.")
    assert html.index("<h1>") < told < html.index("What may be concluded")
    gate = html[told : html.index("What may be concluded")]
    assert gate.count("14.1 ✓") == gate.count("6.3 ✗") == 2
    assert "GRPO starts where pass@8 reaches 10%" in gate
    assert "its rule for runs that the gate stops, not a deviation" in html
    assert "Not compared: the gate before GRPO stopped at least one run" in html
    assert "There is no log of GRPO" not in html
    assert not (tmp_path / "figures/grpo.png").exists()
    short = (tmp_path / "results.md").read_text()
    assert short.index("Pre-registered fallback: GRPO is not compared") < short.index("| stage | task |")
    assert "| mulfact | 2.1 / 6.3, stopped | 2.1 / 6.3, stopped |" in short


def test_what_the_gate_found_is_shown_where_all_passed_too(two_by_one: Written) -> None:
    folder, _, html = two_by_one
    assert html.count("14.1 ✓") == 2
    assert html.index("Before GRPO: what there was to reinforce") < html.index("14.1 ✓") < html.index("The log of GRPO")
    assert "fallback" not in html
    assert "| mulfact | 2.1 / 14.1, passed |" in (folder / "results.md").read_text()


def test_a_forced_run_is_marked(tmp_path: Path) -> None:
    results = fabricate(ARMS[:2], [0])
    results["readiness"]["runs"][1].update(pass_at_k=0.05, decision="forced")
    write_report(results, tmp_path)
    html = (tmp_path / "report.html").read_text()
    assert "5.0 !" in html
    assert "! below it, but started by" in html
    assert "2.1 / 5.0, forced" in (tmp_path / "results.md").read_text()


def terminal(results: dict[str, Any]) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(summary_table(results))
    return console.export_text()


def test_the_terminal_stars_only_what_is_decided() -> None:
    results = fabricate(ARMS[:2], [0, 1, 2])
    (primary,) = [row for row in results["differences"] if row["primary"]]
    assert "*)" not in terminal(results)  # its interval holds zero
    primary["interval"] = [0.001, 0.08]
    starred = [line for line in terminal(results).splitlines() if "*)" in line]
    assert len(starred) == 1
    assert "gsm8k_cot" in starred[0]


def test_an_exploratory_report_marks_no_difference() -> None:
    results = fabricate(ARMS[:2], [0])
    for row in results["differences"]:
        row.update(interval=[0.01, 0.09], p_value=1e-6, p_holm=1e-6)
    assert "*" not in terminal(results)
    assert "Exploratory." in terminal(results)


def test_a_report_whose_protocol_changed_does_not_blame_its_seeds(tmp_path: Path) -> None:
    results = fabricate(ARMS[:2], [0, 1, 2])
    results["exploratory"], results["protocol"]["preregistered"] = True, False
    write_report(results, tmp_path)
    text = (tmp_path / "results.md").read_text()
    assert "\nExploratory: not every stage is known to have run under the protocol's text as it is now.\n" in text
    assert "the protocol asks for" not in text


def test_every_field_is_documented(repository: Path) -> None:
    documented = set(re.findall(r"`([a-z0-9_.]+)`", (repository / "docs/results_schema.md").read_text()))
    results = fabricate(ARMS[:3], [0, 1, 2])
    fields = set(results) - {"curves"}
    for value in results.values():
        if isinstance(value, list) and isinstance(value[0], dict):
            fields |= set(value[0])
    fields |= {field for curves in results["curves"].values() for field in curves[0]["points"][0]}
    fields |= set(results["differences"][0]["mcnemar"]["0"]) | set(results["examples"][0]["completions"]["baseline"])
    fields |= set(results["readiness"]) | set(results["readiness"]["runs"][0])
    fields |= set(results["protocol"]) | set(results["conclusion"])
    assert fields - documented == set()


@pytest.mark.parametrize(
    ("text", "facts", "segments"),
    [
        ("6*9=54", ["6*9"], [("6*9", True), ("=54", False)]),
        ("16*9, 6*9", ["6*9"], [("16*9, ", False), ("6*9", True)]),
        ("6*9 6*9", ["6*9", "6*9"], [("6*9", True), (" ", False), ("6*9", True)]),
        ("6*9 then 2*3", ["6*9", "2*3"], [("6*9", True), (" then ", False), ("2*3", True)]),
        ("6*95", ["6*9"], [("6*9", True), ("5", False)]),  # the model went on with a digit
        ("nothing", ["6*9"], [("nothing", False)]),
        ("", [], []),
    ],
)
def test_facts_are_marked_where_they_were_generated(
    text: str, facts: list[str], segments: list[tuple[str, bool]]
) -> None:
    assert mark_facts(text, facts) == segments


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (report.percent, 0.12345, "12.3"), (report.percent, None, "–"),
        (report.points, 0.012, "+1.2"), (report.points, -0.012, "−1.2"), (report.points, -0.0001, "0.0"),
        (report.p_value, 0.0004, "<0.001"), (report.p_value, 0.031, "0.031"), (report.p_value, 0.46, "0.46"),
        (report.number, 1_186_560, "1,186,560"), (report.number, 1.2e13, "1.200 × 10¹³"),
        (report.number, 0.25, "0.250"),
        (report.number, 12345.6, "12,346"), (report.number, None, "–"), (report.number, 0, "0"),
        (report.signed, -0.0123, "−0.0123"), (report.duration, 91, "91 s"), (report.duration, 600, "10 min"),
        (report.duration, 9000, "2.5 h"), (report.describe, {"name": "adamw", "fused": True}, "name adamw, fused yes"),
    ],
)  # fmt: skip
def test_numbers_as_text(function: Any, value: Any, text: str) -> None:
    assert function(value) == text


def test_a_relative_difference_needs_a_reference() -> None:
    assert report.relative(106, 100) == "+6.0%"
    assert report.relative(1, 0) == report.relative(None, 3) == ""
