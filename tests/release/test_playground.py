"""The playground: its files, and in a real browser that its tokens are those of Python."""

import html
import json
import random
import re
import shutil
from pathlib import Path

import pytest
import yaml
from browser import run_browser
from fact_texts import FACTS, PARTS
from tiny_tokenizers import build
from tokenizers import Tokenizer

from mulfact.errors import UserError
from mulfact.provenance import hash_file
from mulfact.release.playground import LIBRARY, chosen_results, write_playground

NEVER_REWRITTEN = Path(__file__).resolve().parents[1] / "tokenizers" / "never_rewritten.yaml"
HARD = (
    "<MUL_6_9>", "<|endoftext|>", "</script>", "&amp;", "龘", "😀", "👩\u200d👩\u200d👧", "\ufffd", "\0", "𝟔*𝟗", "ﬁ",
    "İ", "한국어", "العربية", "हिन्दी", "🇩🇪", " each box", "Question: What is 6 × 9?\nAnswer:", "<<6*9=54>>54\n#### 54",
)  # fmt: skip


def test_the_page_fetches_nothing(shared_dir: Path) -> None:
    folder = shared_dir / "playground"
    page = (folder / "index.html").read_text()
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert all((folder / name).is_file() for name in named), named
    assert not re.search(r"fetch\(|import\(|XMLHttpRequest", (folder / "page.js").read_text())


def test_the_library_is_the_one_of_the_registry() -> None:
    assert hash_file(LIBRARY) == "823659581561e4845b2f5b08b86d2289614dc2a392be35ae6b49a45e284966a6"


def test_an_arm_without_numbers_is_refused_and_without_a_report_there_are_tokens_alone(
    copy: Path,
) -> None:
    shutil.copytree(copy / "mulfact", copy / "other")
    with pytest.raises(UserError, match="report does not cover other: run make compare"):
        write_playground(copy, ["baseline", "other"])
    shutil.rmtree(copy / "report")
    write_playground(copy, ["baseline", "other"])
    data = json.loads((copy / "playground" / "data.js").read_text().removeprefix("const DATA = ").rstrip(";\n"))
    assert data["results"] is None
    assert [arm["name"] for arm in data["arms"]] == ["baseline", "other"]


def test_completions_are_those_of_the_primary_stage(copy: Path) -> None:
    path = copy / "report" / "results.json"
    results = json.loads(path.read_text())
    for row in results["differences"]:
        row["primary"] = (row["task"], row["stage"]) == ("gsm8k_cot", "sft")
    path.write_text(json.dumps(results))
    chosen = chosen_results(copy / "report", ["baseline", "mulfact"])
    assert chosen["answered"] == {"stage": "sft", "seed": 0}


# ---------------------------------------------------------------- in a browser

DRIVER = """<script>
const found = [];
for (const text of TEXTS) {
  document.getElementById("text").value = text;
  document.getElementById("text").dispatchEvent(new Event("input"));
  found.push(Object.fromEntries([...document.querySelectorAll("#arms article")].map((card) => [card.dataset.arm, {
    ids: card.querySelector(".ids").textContent, text: card.querySelector(".tokens").textContent,
    added: card.querySelectorAll(".fact").length }])));
}
document.body.replaceChildren(Object.assign(document.createElement("pre"), { textContent: JSON.stringify(found) }));
</script></body>"""


def hostile_texts() -> list[str]:
    """Return 500 texts: of what is never rewritten, random strings of what is hard to read."""
    chance = random.Random(0)
    texts = [text for group in yaml.safe_load(NEVER_REWRITTEN.read_text()).values() for text in group]
    texts = chance.sample(texts, 150)
    texts += ["".join(chance.choices((*(FACTS * 4), *PARTS, *HARD), k=chance.randint(1, 12))) for _ in range(250)]
    for _ in range(100):
        codes = (chance.choice((chance.randrange(1, 0x250), chance.randrange(0xE000, 0x2FFFF))) for _ in range(30))
        texts.append("".join(map(chr, codes)))
    # What a text field makes of ends of lines, in Python's words.
    return [text.replace("\r\n", "\n").replace("\r", "\n") for text in texts]


@pytest.mark.browser
def test_the_ids_of_500_texts_in_a_browser_are_those_of_python(tmp_path: Path) -> None:
    arms = ("baseline", "weak", "strict", "plain", "literal_strict", "custom")
    for arm in arms:
        shutil.copytree(build(arm), tmp_path / "tiny" / arm / "tokenizer")
    page = write_playground(tmp_path / "tiny", arms) / "index.html"
    texts = hostile_texts()
    (page.parent / "texts.js").write_text(f"const TEXTS = {json.dumps(texts)};")
    page.write_text(page.read_text().replace("</body>", '<script src="texts.js"></script>' + DRIVER))
    shown = re.search(r"<pre>(.*)</pre>", run_browser(page, tmp_path / "profile", "--dump-dom"), re.DOTALL)
    assert shown, "the page's scripts failed"
    found = json.loads(html.unescape(shown[1]))
    assert len(found) == len(texts) == 500
    for arm in arms:
        tokenizer = Tokenizer.from_file(str(build(arm) / "tokenizer.json"))
        added = 0
        for text, cards in zip(texts, found, strict=True):
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            assert cards[arm]["ids"] == " ".join(map(str, ids)), (arm, text)
            assert cards[arm]["text"] == tokenizer.decode(ids, skip_special_tokens=False), (arm, text)
            added += cards[arm]["added"]
        assert (added > 20) == (arm not in ("baseline", "plain")), "the texts use the added tokens"


@pytest.mark.browser
def test_the_page_shows_what_the_experiment_found(shared_dir: Path, tmp_path: Path) -> None:
    results = json.loads((shared_dir / "report" / "results.json").read_text())
    page = run_browser(shared_dir / "playground" / "index.html", tmp_path / "profile", "--dump-dom")
    assert html.escape(results["conclusion"]["headline"], quote=False) in page
    share = results["heatmaps"]["mulfact"]["grpo"][5][8]
    assert re.search(rf'<td title="6 × 9"[^>]*>{round(100 * share)}<', page.split('id="maps"')[1])
    assert 'By the checkpoint <span id="answered">grpo of seed 0</span>.' in page
    example = results["examples"][0]
    completions = page.split('id="completions"')[1]
    assert all(html.escape(c["text"], quote=False) in completions for c in example["completions"].values())
