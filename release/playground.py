"""Write the playground: a page that shows any text as the tokens of every arm, and what the experiment found.

    make playground                        # then open outputs/smoke/playground/index.html
    python release/playground.py --shared_dir outputs/smoke --conditions baseline mulfact

The page needs no server and no network: @huggingface/tokenizers reads each arm's own tokenizer.json in the browser, and
its ids are those of Python. Counts are beside the first arm's. The maps and completions are those of results.json, when
there is a report. `make push` publishes the folder as a static Space.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mulfact.command_line import Conditions
from mulfact.errors import UserError, command
from mulfact.layout import output_of, playground_folder, report_folder
from mulfact.provenance import stage_output
from mulfact.tokenizers.base import read_tokenizer
from mulfact.tokenizers.card import description
from mulfact.tokenizers.facts import read_facts

PAGE = Path(__file__).resolve().parent / "page"
PAGE_FILES = ("index.html", "style.css", "page.js", "tokenizers.LICENSE")
# The library as npm has it: @huggingface/tokenizers 0.2.0, dist/tokenizers.min.cjs, of the package with integrity
# sha512-LidMHe1FpcSYH4vcSjXooda34pC0M8m1gmDOv7SQi6Iv+ib1zX7J3sHBCC9/3FPCkn2k1b55FneVqMRxrr99pg==
LIBRARY = PAGE / "tokenizers.min.cjs"
FROM_RESULTS = ("stages", "heatmaps", "examples")


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Write the page that shows a text as the tokens of every arm.")
    parser.add_argument("--shared_dir", type=Path, required=True, help="folder of the scale, such as outputs/smoke")
    parser.add_argument(
        "--conditions", nargs="*", action=Conditions, required=True, help="arms; counts are beside the first"
    )
    arguments = parser.parse_args()
    print(f"wrote {write_playground(arguments.shared_dir, arguments.conditions) / 'index.html'}")


def write_playground(shared_dir: Path, conditions: Sequence[str]) -> Path:
    """Write `shared_dir`/playground and return it. Raises UserError when a tokenizer is missing."""
    target, report = playground_folder(shared_dir), report_folder(shared_dir)
    tokenizers = {condition: output_of(shared_dir / condition, "tokenizer") for condition in conditions}
    inputs = [*tokenizers.values(), *([report] if report.exists() else [])]
    recipe = {"shared_dir": str(shared_dir), "conditions": list(conditions)}
    with stage_output(target, recipe, inputs) as folder:
        for name in PAGE_FILES:
            shutil.copy(PAGE / name, folder)
        library = LIBRARY.read_text(encoding="utf-8")
        (folder / "tokenizers.js").write_text(as_script(library), encoding="utf-8")
        data = {
            # A list: a browser puts the keys of an object that are numbers, such as an arm named 20, first.
            "arms": [{"name": condition, **describe_arm(path)} for condition, path in tokenizers.items()],
            "results": chosen_results(report, conditions) if report.exists() else None,
            "origin": f"Scale {shared_dir.name}. Tokens by @huggingface/tokenizers 0.2.0 (Apache-2.0).",
        }
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        (folder / "data.js").write_text(f"const DATA = {text};\n", encoding="utf-8")
    return target


def as_script(module: str) -> str:
    """Return a CommonJS module as a script that defines `tokenizers`: a page on a disk may not import modules."""
    return (
        f"const tokenizers = (() => {{\nconst module = {{ exports: {{}} }};\n{module}\nreturn module.exports;\n}})();\n"
    )


def describe_arm(folder: Path) -> dict[str, Any]:
    """Return what the page needs of an arm: its tokenizer as it is, and the added tokens by id."""
    facts = read_facts(folder)
    read_tokenizer(folder / "tokenizer.json")  # a damaged file is told here, not in a browser
    return {
        "kind": description(facts.settings),
        "tokenizer": json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")),
        "config": json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")),
        "facts": {index: {"token": fact.token, "text": fact.text} for index, fact in facts.by_id.items()},
    }


def chosen_results(report: Path, conditions: Sequence[str]) -> dict[str, Any]:
    """Return what the page shows of results.json, for these arms. Raises UserError for one that it does not cover."""
    results = json.loads((report / "results.json").read_text(encoding="utf-8"))
    missing = [condition for condition in conditions if condition not in results["conditions"]]
    if missing:
        raise UserError(
            f"{report} does not cover {', '.join(missing)}: run make compare with these CONDITIONS, or leave them out"
        )
    kept = {name: results[name] for name in FROM_RESULTS}
    kept["heatmaps"] = {arm: kept["heatmaps"][arm] for arm in conditions if arm in kept["heatmaps"]}
    kept["examples"] = [
        {**example, "completions": {arm: example["completions"][arm] for arm in conditions}}
        for example in kept["examples"]
    ]
    stage = next(row["stage"] for row in results["differences"] if row["primary"])
    answered = {"stage": stage, "seed": results["seeds"][0]}  # by which checkpoint, as results.json has its examples
    return {**kept, "answered": answered, "headline": results["conclusion"]["headline"]}


if __name__ == "__main__":
    main()
