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

from mulfact.evals.comparison.conclusion import points
from mulfact.evals.report.answer import summary_table
from mulfact.evals.report.filters import interval_points
from mulfact.evals.report.write import mark_facts, write_report

pytestmark = pytest.mark.usefixtures("undrawn")

ARMS = ["baseline", "mulfact", "mulfact_strict", "placebo", "fifth_arm"]
VOID = {"meta", "img", "br", "wbr", "link", "hr"}


class Page(HTMLParser):
    """Collects what a page refers to and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.classes: list[str] = []  # of the open elements
        self.wide: list[str] = []  # the class of what holds each table and image
        self.references: list[str] = []
        self.anchors: set[str] = set()
        self.tags: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in ("table", "img"):
            self.wide.append(self.classes[-1])
        if tag not in VOID:
            self.open.append(tag)
            self.classes.append(dict(attributes).get("class") or "")
        for name, value in attributes:
            if name in ("src", "href"):
                self.references.append(value or "")
            if name == "id":
                self.anchors.add(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.classes.pop()


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


def test_products_are_held_against_sums_with_the_limits_of_their_tasks(write: Write) -> None:
    folder, _, html = write(3, 2)
    row = (
        "| grpo | mulfact_strict | table_9, sums_9 | 87.5 | 87.5 | 25.0 | 25.0 | +33.3 [+11.1, +55.5]; sums_9: floor |"
    )
    assert row in (folder / "results.md").read_text().splitlines()
    assert html.count("<h3>Products against sums</h3>") == 1
    assert "Products against sums" not in write(2, 1)[2]


def test_writing_twice_gives_the_same_page(write: Write, tmp_path: Path) -> None:
    folder, results, html = write(2, 1)
    write_report(results, tmp_path)
    assert (tmp_path / "report.html").read_text() == html
    assert (tmp_path / "results.md").read_bytes() == (folder / "results.md").read_bytes()


def test_what_is_wider_than_a_phone_scrolls_by_itself(write: Write) -> None:
    page = Page(write(5, 10)[2])
    assert page.tags.count("table") > 10
    assert set(page.wide) == {"scroll"}
    assert "<th>gsm8k_<wbr>cot</th>" in write(5, 10)[2]  # a long name breaks, so that the numbers keep their place


def test_print_shows_what_the_screen_folds(two_by_one: Written) -> None:
    css = two_by_one[2].partition("<style>")[2].partition("</style>")[0]
    printed = css.partition("@media print")[2]
    assert "details::details-content { content-visibility: visible; }" in printed
    hidden = re.findall(r"([^{}]*)\{[^{}]*display: none", printed)
    assert [selector.strip() for selector in hidden] == ["nav"]


def test_every_figure_is_in_the_page_and_in_the_folder(two_by_one: Written) -> None:
    folder, _, html = two_by_one
    assert Page(html).tags.count("img") == len(list((folder / "figures").glob("*.png"))) > 10


def test_the_conclusion_comes_first_and_is_escaped(two_by_one: Written) -> None:
    _, _, html = two_by_one
    headline = "mulfact scored +1.0 points against baseline &lt;on&gt; GSM8K (95% interval −2.0 to +4.0)."
    assert f"<h1>{headline}</h1>" in html
    assert html.index("<h1>") < html.index("<table>")


def test_a_newcomer_reads_the_question_and_what_each_arm_is(write: Write) -> None:
    folder, _, html = write(4, 3)
    assert html.index("texts such as <code>9*9</code> are single tokens") < html.index("<h1>")
    arms = html.partition('<ul class="arms">')[2].partition("</ul>")[0]
    assert "<li><b>baseline</b> adds no tokens: it is the base vocabulary with the special tokens.</li>" in arms
    assert "It adds 81 tokens, from <code>&lt;PAIR_1&gt;</code> for <code>of the</code> to" in arms
    assert arms.count("<li>") == 4
    lines = (folder / "results.md").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("- **mulfact** has a token for the operands")]
    assert line.endswith("It adds 81 tokens, from `<MUL_1_1>` for `1*1` to `<MUL_9_9>` for `9*9`.")


def test_a_study_names_its_plan_and_an_outcome_says_where_seeds_were_paired(write: Write, tmp_path: Path) -> None:
    assert "This is a study" not in write(2, 1)[2]
    assert "a variance of its own between its seeds." in write(2, 1)[2]
    results = fabricate(ARMS[:2], [0, 1, 2])
    results["protocol"]["plan"] = {"path": "docs/studies/one/plan.md", "sha256": "cd" * 32}
    (row,) = [row for row in results["differences"] if row["primary"]]
    row["seeds_paired"] = True
    write_report(results, tmp_path)
    html, text = (tmp_path / "report.html").read_text(), (tmp_path / "results.md").read_text()
    assert f"plan <code>docs/studies/one/plan.md</code>, SHA-256 <code>{'cd' * 32}</code>" in html
    assert f"plan docs/studies/one/plan.md, SHA-256 `{'cd' * 32}`" in text
    assert "between its seeds, but on gsm8k_cot after GRPO, where seeds" in html


def test_an_arm_of_ones_own_is_described_by_its_tokens(tmp_path: Path) -> None:
    results = fabricate(["plain", "fractions"], [0])
    half = {"token": "one half", "text": "one half"}
    results["arms"]["fractions"] = {
        "mode": "custom", "description": "has tokens for <words>", "added_tokens": 1, "examples": [half],
    }  # fmt: skip
    write_report(results, tmp_path)
    html = (tmp_path / "report.html").read_text()
    assert "texts such as <code>one half</code> are" in html
    described = "has tokens for &lt;words&gt;. It adds 1 token, <code>one half</code>.</li>"
    assert f"<li><b>fractions</b> {described}" in html


def test_synthetic_problems_are_marked_wherever_their_task_is_named(write: Write, tmp_path: Path) -> None:
    assert "(synthetic)" not in write(2, 1)[2]
    results = fabricate(ARMS[:2], [0])
    results["benchmarks"]["gsm8k_cot"]["source"] = "synthetic"
    write_report(results, tmp_path)
    html = (tmp_path / "report.html").read_text()
    named = re.findall(r"<t[hd]>gsm8k_<wbr>cot</t[hd]>", html)
    marked = re.findall(r"<t[hd]>gsm8k_<wbr>cot \(synthetic\)</t[hd]>", html)
    assert (len(named), len(marked) > 10) == (0, True)
    assert "| grpo | **gsm8k_cot (synthetic)** |" in (tmp_path / "results.md").read_text()


def table_under(html: str, summary: str) -> str:
    return html.partition(f"<summary>{summary}</summary>")[2].partition("</table>")[0]


def test_secondary_outcomes_are_those_of_the_last_stage_and_the_others_stand_apart(write: Write) -> None:
    _, results, html = write(4, 3)
    secondary = table_under(html, "Secondary outcomes: all differences")
    described = table_under(html, "Described, not decided: all differences")
    tasks, treatments = len(results["benchmarks"]), len(results["conditions"]) - 1
    stages = [[table.count(f"<tr><th>{stage}</th>") for stage in results["stages"]] for table in (secondary, described)]
    others = (tasks - 1) * (treatments - 1)  # the secondary outcomes are those of the tested arm
    assert stages == [[0, 0, tasks - 1], [tasks * treatments, tasks * treatments, others]]
    assert ("p (adjusted)" in secondary, "p (adjusted)" in described) == (True, False)


def test_an_exploratory_report_corrects_no_p_value(two_by_one: Written) -> None:
    html = two_by_one[2]
    assert "p (adjusted)" not in html
    assert "This report is exploratory: nothing is decided, and p-values are shown as they are" in html


def test_tokens_that_may_stand_for_no_fact_are_called_added(two_by_one: Written) -> None:
    html = two_by_one[2]
    assert "✗ wrong, reasoning · 2 added tokens" in html
    assert "Added tokens are <mark>marked</mark>" in html
    assert "arms that add these facts alone read them as an arm" in " ".join(html.split())
    assert "alike in every arm" not in html


def test_a_commit_stays_on_its_line_and_a_machine_without_gpus_says_so(two_by_one: Written) -> None:
    html = two_by_one[2]
    assert '<code class="commit">0123456789</code>' in html
    assert ".commit { white-space: nowrap; }" in html
    assert "gpus none" in html


@pytest.mark.parametrize(
    "part",
    [
        "What may be concluded", "What may not be concluded", "Matched: grpo", "raw bytes", "Pretraining loss",
        "unigram entropy", "All accuracies", "Trivial baselines", "Differences to baseline",
        "item by item (McNemar)", "Accuracy on each fact", "How often each fact was generated",
        "right fact", "Why answers were wrong", "Examples of each class", "The log of GRPO", "Generation lengths",
        "Mean number of tokens per completion that the arm adds", "Other measures", "Completions side by side",
        "Deviations of this experiment", "Runs: commit, time, hardware", "Packages (",
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
    difference = points(entry["difference"])
    interval = interval_points(entry["interval"])
    assert f'{difference} <span class="interval">[{interval}]</span>' in html[html.index('<tr class="primary">') :]
    row = next(line for line in (folder / "results.md").read_text().splitlines() if "**gsm8k_cot**" in line)
    assert row.startswith("| grpo | **gsm8k_cot** | 200 | **")
    assert f"({difference} [{interval}])**" in row


@pytest.mark.parametrize(("arms", "seeds"), [(2, 1), (5, 10)])
def test_the_short_table_has_a_row_an_outcome_and_a_column_an_arm(write: Write, arms: int, seeds: int) -> None:
    folder, results, _ = write(arms, seeds)
    text = (folder / "results.md").read_text()
    lines = text[text.index("| stage |") :].partition("\n\n")[0].splitlines()
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


def test_gold_completions_that_no_completion_can_hold_are_shown(two_by_one: Written, tmp_path: Path) -> None:
    assert "No gold completion that is known is longer" in two_by_one[2]
    results = fabricate(ARMS[:2], [0])
    results["gold_over_budget"] |= {"baseline": {"gsm8k_cot": 0.125, "svamp": None}, "mulfact": {"gsm8k_cot": 0.0}}
    write_report(results, tmp_path)
    html = (tmp_path / "report.html").read_text()
    assert "No gold completion that is known is longer" not in html
    section = html[html.index("whose gold completion needs more tokens") :].split("</table>")[0]
    assert re.findall(r'<td class="n">(.*?)</td>', section) == ["12.5", "0.0"]


def test_where_the_gate_stopped_grpo_the_report_opens_with_it(tmp_path: Path) -> None:
    write_report(fabricate(ARMS[:2], [0, 1], gated=True), tmp_path)
    html = (tmp_path / "report.html").read_text()
    page = Page(html)
    assert not page.open
    assert {reference[1:] for reference in page.references if reference.startswith("#")} <= page.anchors
    told = html.index("<b>Pre-registered fallback.</b> GRPO is not compared: its gate stopped runs.")
    assert html.index("<h1>") < told < html.index("What may be concluded")
    gate = html[told : html.index("What may be concluded")]
    assert gate.count("27.0 ✓") == gate.count("16.0 ✗") == 2
    assert "GRPO starts where the share reaches 20%" in gate
    assert "its rule for runs that the gate stops, not a deviation" in html
    assert "Not compared: the gate before GRPO stopped at least one run" in html
    assert "There is no log of GRPO" not in html
    assert not (tmp_path / "figures/grpo.png").exists()
    short = (tmp_path / "results.md").read_text()
    assert short.index("Pre-registered fallback: GRPO is not compared") < short.index("| stage | task |")
    assert "| mulfact | 16.0 / 6.3, stopped | 16.0 / 6.3, stopped |" in short


def test_what_the_gate_found_is_shown_where_all_passed_too(two_by_one: Written) -> None:
    folder, _, html = two_by_one
    assert html.count("27.0 ✓") == 2
    assert html.index("Before GRPO: what there was to reinforce") < html.index("27.0 ✓") < html.index("The log of GRPO")
    assert "fallback" not in html
    assert "| mulfact | 27.0 / 14.1, passed |" in (folder / "results.md").read_text()


def test_a_forced_run_is_marked(tmp_path: Path) -> None:
    results = fabricate(ARMS[:2], [0])
    results["readiness"]["runs"][1].update(mixed_groups=0.05, decision="forced")
    write_report(results, tmp_path)
    html = (tmp_path / "report.html").read_text()
    assert "5.0 !" in html
    assert "! below it, but started by" in html
    assert "5.0 / 14.1, forced" in (tmp_path / "results.md").read_text()


def terminal(results: dict[str, Any]) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(summary_table(results))
    return console.export_text()


def test_the_terminal_stars_only_what_is_decided() -> None:
    results = fabricate(ARMS[:2], [0, 1, 2])
    (primary,) = [row for row in results["differences"] if row["primary"]]
    for row in results["differences"]:
        row["interval"] = [-0.001, 0.08]
    assert "*)" not in terminal(results)  # every interval holds zero
    primary["interval"] = [0.001, 0.08]
    starred = [line for line in terminal(results).splitlines() if "*)" in line]
    assert len(starred) == 1
    assert "gsm8k_cot" in starred[0]


def test_an_exploratory_report_marks_no_difference() -> None:
    results = fabricate(ARMS[:2], [0])
    for row in results["differences"]:
        row.update(interval=[0.01, 0.09], p_value=1e-6, p_adjusted=1e-6)
    assert "*" not in terminal(results)
    assert "Exploratory." in terminal(results)


def test_a_report_says_why_it_is_exploratory(tmp_path: Path) -> None:
    results = fabricate(ARMS[:2], [0, 1, 2])
    results["exploratory"], results["protocol"]["exploratory_because"] = True, ["one reason", "another"]
    write_report(results, tmp_path)
    assert "\nExploratory: one reason; another.\n" in (tmp_path / "results.md").read_text()


def test_every_field_is_documented(repository: Path) -> None:
    documented = set(re.findall(r"`([a-z0-9_.]+)`", (repository / "docs/results_schema.md").read_text()))
    results = fabricate(ARMS[:3], [0, 1, 2])
    fields = set(results) - {"curves"}
    for value in results.values():
        if isinstance(value, list) and value and isinstance(value[0], dict):
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
