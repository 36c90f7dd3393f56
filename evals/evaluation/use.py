"""The 2x2 of use: what a checkpoint can do without its rewritten prompts, and without its fact tokens.

    rows = use_cells(model, benchmark, predictions, fact_ids, answer)

Prompts are encoded as the arm does or plainly (its tokenizer without the rewriting), and fact tokens are allowed or
suppressed while generating. Each item has four outcomes from one checkpoint, so a single seed already tells whether
the model lives by its tokens, and whether it has kept the ordinary spelling.

Greedy decoding makes two shortcuts exact. A prompt that has the same ids in both encodings is answered the same, and a
completion in which no fact token was chosen is the one that suppression gives too. What is known so is not generated
again: an arm without added tokens costs nothing here, and its four cells are equal.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mulfact.data_builders.problems.items import Benchmark, Item

if TYPE_CHECKING:
    from mulfact.evals.evaluation.harness import Checkpoint  # with lighteval, which takes seconds to import

USE_FILE = "use.parquet"
PROMPTS = ("rewritten", "plain")
TOKENS = ("allowed", "suppressed")
SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("item_id", pa.string()),
        ("prompts", pa.string()),
        ("tokens", pa.string()),
        ("text", pa.string()),
        ("extracted", pa.string()),
        ("correct", pa.bool_()),
        ("error_class", pa.string()),
        ("truncated", pa.bool_()),
        ("generated_tokens", pa.int32()),
        ("fact_tokens", pa.list_(pa.string())),
    ]
)

Row = dict[str, Any]


def use_cells(
    model: "Checkpoint",
    benchmark: Benchmark,
    predictions: Sequence[Row],
    fact_ids: Sequence[int],
    answer: Callable[[Sequence[Item]], list[Row]],
) -> list[Row]:
    """Return four rows an item, one for each way of encoding its prompt and of treating fact tokens.

    `predictions` are the rows of the ordinary evaluation, the cell (rewritten, allowed). `answer` generates for items
    and returns their rows.
    """
    items = {item.id: item for item in benchmark.items}
    ordinary = {row["item_id"]: row for row in predictions}
    prompts = [items[name].prompt for name in ordinary]
    rewritten, plain = (t(prompts)["input_ids"] for t in (model.tokenizer, model.plain_tokenizer))
    same_prompt = {name for name, *ids in zip(ordinary, rewritten, plain, strict=True) if ids[0] == ids[1]}

    def fill(plain_prompts: bool, suppressed: Sequence[int], known: Mapping[str, Row]) -> dict[str, Row]:
        missing = [items[name] for name in ordinary if name not in known]
        with model.restricted(plain_prompts, suppressed):
            found = {row["item_id"]: row for row in (answer(missing) if missing else [])}
        return {name: known.get(name) or found[name] for name in ordinary}

    suppressed = fill(False, fact_ids, without_tokens(ordinary))
    plain_allowed = fill(True, (), {name: ordinary[name] for name in same_prompt})
    known = without_tokens(plain_allowed) | {name: suppressed[name] for name in same_prompt}
    cells = {
        ("rewritten", "allowed"): ordinary,
        ("rewritten", "suppressed"): suppressed,
        ("plain", "allowed"): plain_allowed,
        ("plain", "suppressed"): fill(True, fact_ids, known),
    }
    return [
        {**{name: row[name] for name in SCHEMA.names if name in row}, "prompts": prompt, "tokens": tokens}
        for (prompt, tokens), rows in cells.items()
        for row in rows.values()
    ]


def without_tokens(rows: Mapping[str, Row]) -> dict[str, Row]:
    """Return the rows of completions without a fact token."""
    return {name: row for name, row in rows.items() if not row["fact_tokens"]}


def write_use(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows as parquet with the columns of SCHEMA."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), path)


def use_accuracies(rows: Sequence[Row]) -> dict[str, dict[tuple[str, str], float]]:
    """Return {task: {(prompts, tokens): accuracy}}."""
    return {
        task: {
            cell: fmean(r["correct"] for r in rows if (r["task"], r["prompts"], r["tokens"]) == (task, *cell))
            for cell in ((prompts, tokens) for prompts in PROMPTS for tokens in TOKENS)
        }
        for task in dict.fromkeys(row["task"] for row in rows)
    }
