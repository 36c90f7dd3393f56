"""What the report shows beside accuracies: curves, heatmaps of the facts, error classes, usage, examples."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mulfact.evals.comparison.run_files import parse_json, parse_json_lines, read_file
from mulfact.evals.comparison.runs import Run, stages_of
from mulfact.layout import output_of

Runs = Mapping[tuple[str, int], Run]
TABLE_TASK = "table_9"
EXAMPLES = 8
ERROR_EXAMPLES = 3  # of each class and arm

# Of the canonical text, one spelling for every arm; and of the text as it is, which a tokenizer that forgets spelling
# need not pay for.
BITS_PER_BYTE = (
    "canonical_bits_per_byte",
    "canonical_bits_per_byte_fact_free",
    "bits_per_byte",
    "bits_per_byte_fact_free",
)

# Names in TRL's log, and what the report calls them.
GRPO_METRICS = {
    "reward": "reward",
    "reward_gsm8k": "reward_gsm8k",
    "reward_synthetic": "reward_synthetic",
    "fact_tokens": "fact_tokens",
    "completions/mean_length": "completion_length",
    "kl": "kl",
    "entropy": "entropy",
    "frac_reward_zero_std": "zero_variance_share",
    "repetition": "repetition",
    "completions/clipped_ratio": "truncated_share",
}


def by_stage(runs: Runs, measure: Callable[[list[tuple[Run, pd.DataFrame]]], Any]) -> dict[str, dict[str, Any]]:
    """Return {condition: {stage: measure(runs of the condition with their predictions of the stage)}}."""
    conditions = dict.fromkeys(condition for condition, _ in runs)
    return {
        condition: {
            stage: measure([(run, run.predictions[stage]) for (name, _), run in runs.items() if name == condition])
            for stage in stages_of(runs)
        }
        for condition in conditions
    }


def heatmaps(runs: Runs) -> dict[str, dict[str, list[list[float | None]]]]:
    """Return the accuracy of the table probe by operands (rows a, columns b, 1-9), over seeds."""

    def measure(tables: list[tuple[Run, pd.DataFrame]]) -> list[list[float | None]]:
        items = pd.concat([table[table["task"] == TABLE_TASK] for _, table in tables])
        right, asked = np.zeros((9, 9)), np.zeros((9, 9))
        for (a, b), correct in zip(items["operands"], items["correct"], strict=True):
            asked[a - 1, b - 1] += 1
            right[a - 1, b - 1] += correct
        return [
            [float(r / n) if n else None for r, n in zip(*rows, strict=True)] for rows in zip(right, asked, strict=True)
        ]

    return by_stage(runs, measure)


def usage(runs: Runs) -> dict[str, dict[str, list[list[int]]]]:
    """Return how often each fact of 1-9 was generated as a token, by operands, over all tasks and seeds."""

    def measure(tables: list[tuple[Run, pd.DataFrame]]) -> list[list[int]]:
        counts = np.zeros((9, 9), dtype=int)
        for run, table in tables:
            operands = products(run)
            for name, count in table["fact_tokens"].explode().value_counts().items():
                a, b = operands.get(str(name), (0, 0))
                if 1 <= a <= 9 and 1 <= b <= 9:
                    counts[a - 1, b - 1] += count
        return counts.tolist()

    return by_stage(runs, measure)


def fact_tokens(run: Run) -> dict[str, dict[str, Any]]:
    """Return the entries of facts.json by token name."""
    return read_file(
        run.folder,
        run.stages[-1],
        "facts.json",
        lambda path: {fact["token"]: fact for fact in parse_json(path)["fact_tokens"]},
    )


def products(run: Run) -> dict[str, tuple[int, int]]:
    """Return the operands of the tokens that stand for products, by token name: not those of sums or of words."""
    tokens = {name: fact for name, fact in fact_tokens(run).items() if fact["operands"]}
    return {
        name: tuple(fact["operands"])
        for name, fact in tokens.items()
        if fact.get("operation", "multiply") == "multiply"
    }


def gold_over_budget(runs: Runs) -> dict[str, dict[str, float | None]]:
    """Return {condition: {task: share of the items whose gold completion is longer than a completion may be}}.

    It depends on the arm's tokenizer alone. None where gold completions are not known, or were not counted.
    """
    shares: dict[str, dict[str, float | None]] = {}
    for (condition, _), run in runs.items():
        if condition in shares:
            continue
        shares[condition], stage = {}, run.stages[-1]
        for path in sorted((output_of(run.folder, "eval") / stage).glob("*_results.json")):
            tasks = read_file(run.folder, "eval", f"{stage}/{path.name}", lambda path: parse_json(path)["tasks"])
            shares[condition] |= {task: entry.get("gold_over_budget") for task, entry in tasks.items()}
    return shares


def error_classes(runs: Runs) -> list[dict[str, Any]]:
    """Return how the wrong items of each task divide into error classes, over seeds."""
    entries = []
    for condition, stages in by_stage(runs, lambda tables: pd.concat([table for _, table in tables])).items():
        for stage, table in stages.items():
            for task, group in table.groupby("task", sort=False):
                counts = {str(name): int(count) for name, count in group["error_class"].value_counts().items()}
                entries.append(
                    {"condition": condition, "stage": stage, "task": task, "counts": counts, "items": len(group)}
                )
    return entries


def curves(runs: Runs) -> dict[str, list[dict[str, Any]]]:
    """Return validation over pretraining and, if GRPO is compared, the reward's log over it, for each run."""
    pretrain, grpo = [], []
    for (condition, seed), run in runs.items():
        points = read_file(run.folder, "pretrain", "metrics.jsonl", parse_validation)
        pretrain.append({"condition": condition, "seed": seed, "points": points})
        if "grpo" not in run.stages:
            continue
        points, solved = read_file(run.folder, "grpo", "trainer_state.json", parse_rewards), solved_share(run)
        points = [{**point, "solved_share": solved.get(point["step"])} for point in points]
        grpo.append({"condition": condition, "seed": seed, "points": points})
    return {"pretrain": pretrain, "grpo": grpo}


def parse_validation(path: Path) -> list[dict[str, Any]]:
    """Return the validation points in the log of pretraining. Raises LookupError when there are none."""
    points = [
        {"step": line["step"], "tokens": line["tokens"], "bytes": line["bytes"]}
        | {key: line["validation"].get(key) for key in BITS_PER_BYTE}
        for line in parse_json_lines(path)
        if "validation" in line
    ]
    if not points:
        raise LookupError("no line holds a validation")
    return points


def parse_rewards(path: Path) -> list[dict[str, Any]]:
    """Return what TRL logged of GRPO's rewards, by the names of the report."""
    return [
        {"step": entry["step"]} | {name: entry.get(key) for key, name in GRPO_METRICS.items()}
        for entry in parse_json(path)["log_history"]
        if "reward" in entry
    ]


def solved_share(run: Run) -> dict[int, float]:
    """Return for each GRPO step the share of its groups in which a rollout was right: pass@k of k rollouts.

    A group is so many rollouts in a row, as TRL takes them. Their prompts are not asked for: a study records them once.
    """
    shares = {}
    recipe = run.provenance["grpo"]["recipe"]
    rewards = [name.rsplit(".", 1)[-1] for name in recipe.get("reward_funcs", [])]
    for file in sorted((output_of(run.folder, "grpo") / "completions").glob("*.parquet")):
        table = read_file(run.folder, "grpo", f"completions/{file.name}", pd.read_parquet)
        if not rewards or rewards[0] not in table:
            continue
        right = table[rewards[0]].gt(0).to_numpy().reshape(-1, recipe["num_generations"])
        shares[int(table["step"].iloc[0])] = float(right.any(axis=1).mean())
    return shares


def unigram_bits_per_byte(runs: Runs) -> dict[str, float]:
    """Return the entropy of each arm's validation tokens, taken one by one, in bits per byte of their text.

    It is the loss of the best model that ignores context: the floor that a unigram model cannot get below.
    """
    result: dict[str, float] = {}
    for (condition, _), run in runs.items():
        if condition in result:
            continue
        dtype, shards, size = read_file(run.folder, "tokens", "manifest.json", parse_validation_split)
        ids = np.concatenate(
            [read_file(run.folder, "tokens", f"{name}.bin", partial(np.fromfile, dtype=dtype)) for name in shards]
        )
        counts = np.bincount(ids)
        shares = counts[counts > 0] / len(ids)
        result[condition] = float(-(shares * np.log2(shares)).sum() * len(ids) / size)
    return result


def parse_validation_split(path: Path) -> tuple[str, list[str], int]:
    """Return the type of the ids, the names of the shards and the bytes of text of the validation tokens."""
    manifest = parse_json(path)
    split = manifest["splits"]["validation"]
    return manifest["dtype"], split["shards"], split["bytes"]


def examples(runs: Runs, reference: str, task: str, stage: str) -> list[dict[str, Any]]:
    """Return completions of all arms to the same items of the first seed: half where arms disagree, half where not."""
    seed = next(seed for condition, seed in runs if condition == reference)
    conditions = [condition for condition, other in runs if other == seed]
    tables = {condition: completions_of(runs[condition, seed], stage, task) for condition in conditions}
    verdicts = pd.DataFrame({condition: table["correct"] for condition, table in tables.items()})
    disagree = verdicts.index[verdicts.nunique(axis=1) > 1][: EXAMPLES // 2]
    agree = verdicts.index[verdicts.nunique(axis=1) == 1][: EXAMPLES - len(disagree)]
    names = {condition: fact_tokens(runs[condition, seed]) for condition in conditions}
    return [
        {
            "task": task,
            "item_id": item,
            "prompt": tables[reference].loc[item, "prompt"],
            "gold": tables[reference].loc[item, "gold"],
            "completions": {
                condition: {
                    "text": table.loc[item, "text"],
                    "correct": bool(table.loc[item, "correct"]),
                    "error_class": text_or_none(table.loc[item, "error_class"]),
                    "facts": [names[condition][name]["text"] for name in table.loc[item, "fact_tokens"]],
                }
                for condition, table in tables.items()
            },
        }
        for item in [*disagree, *agree]
    ]


def completions_of(run: Run, stage: str, task: str) -> pd.DataFrame:
    """Return the predictions of one task, by item."""
    table = run.predictions[stage]
    return table[table["task"] == task].set_index("item_id").sort_index()


def error_examples(runs: Runs, task: str, stage: str) -> list[dict[str, Any]]:
    """Return the first wrong items of each error class in each arm, of its first seed."""
    entries = []
    for condition in dict.fromkeys(condition for condition, _ in runs):
        run = next(run for (name, _), run in runs.items() if name == condition)
        wrong = run.predictions[stage].query("task == @task and error_class.notna()").sort_values("item_id")
        for row in wrong.groupby("error_class", sort=True).head(ERROR_EXAMPLES).sort_values("error_class").itertuples():
            fields = ("error_class", "item_id", "prompt", "gold", "text", "extracted")
            entries.append({"condition": condition, **{name: text_or_none(getattr(row, name)) for name in fields}})
    return entries


def text_or_none(value: Any) -> str | None:
    """Return a cell of a column of texts; pandas reads what is missing as NaN."""
    return value if isinstance(value, str) else None
