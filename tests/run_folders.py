"""Run folders as the stages leave them, small and made up, for tests of what reads them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mulfact.evals.evaluation.use import PROMPTS, SCHEMA, TOKENS, write_use
from mulfact.provenance import stage_output, write_json

TASKS = {"gsm8k_cot": "gsm8k", "gsm8k_direct": "gsm8k", "table_9": "arithmetic"}
STAGES = ("pretrain", "sft", "grpo")


def write_experiment(
    shared_dir: Path, conditions: list[str], seeds: list[int], items: int = 60, gain: float = 0.0,
    gated: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Write runs of every condition and seed; each condition after the first answers `gain` more of the items.

    The runs in `gated`, such as facts/seed-1, were stopped by the gate before GRPO.
    """
    write_json_folder(
        shared_dir / "benchmarks",
        "manifest.json",
        {
            "benchmarks": {
                task: {
                    "family": family,
                    "items": items,
                    "source": "made up",
                    "style": "cot",
                    "description": f"the {task} items",
                }
                for task, family in TASKS.items()
            }
        },
    )
    for task in TASKS:
        rows = [{"id": f"{task}-{item:03d}", "answer": "1"} for item in range(items)]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (shared_dir / "benchmarks" / f"{task}.jsonl").write_text(lines)
    modes = {"most_frequent_answers": {"gsm8k": "1", "synthetic": "0"}}
    write_json_folder(shared_dir / "posttrain", "manifest.json", modes)
    for number, condition in enumerate(conditions):
        write_tokens(shared_dir / condition / "tokens")
        for seed in seeds:
            stopped = f"{condition}/seed-{seed}" in gated
            accuracy = 0.3 + (gain if number else 0.0)
            write_run(shared_dir / condition / f"seed-{seed}", seed, items, accuracy, stopped)


def write_run(run: Path, seed: int, items: int, accuracy: float, stopped: bool) -> None:
    """Write one finished run: three stages, or two where the gate stopped GRPO, a ledger, an evaluation."""
    stages = STAGES[:2] if stopped else STAGES
    facts = [
        {"token": f"<MUL_{a}_{b}>", "id": 300 + 9 * (a - 1) + b, "operands": [a, b], "text": f"{a}*{b}"}
        for a in range(1, 10)
        for b in range(1, 10)
    ]
    arm = {"mode": "weak", "vocab_size": 384, "base_vocab_size": 301, "settings": {"surface_forms": ["asterisk"]}}
    for stage in stages:
        recipe = {"seed": seed, "output_dir": str(run / f"{stage}_final"), "max_steps": 20}
        with stage_output(run / f"{stage}_final", recipe) as folder:
            (folder / "model.safetensors").write_text(f"the weights of {run} after {stage}")
            write_json(folder / "facts.json", arm | {"fact_tokens": facts})
            if stage == "pretrain":
                lines = [
                    {
                        "step": step,
                        "tokens": 100 * step,
                        "bytes": 250 * step,
                        "validation": {
                            "canonical_bits_per_byte": 2 / (1 + step),
                            "bits_per_byte": 3 / (1 + step),
                            "bits_per_byte_fact_free": 3.1 / (1 + step),
                        },
                    }
                    for step in (0, 10, 20)
                ]
                (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
            else:
                log = [{"step": s, "reward": 0.1 * s, "fact_tokens": 1.0, "completions/mean_length": 30.0, "kl": 0.01,
                        "entropy": 1.0, "frac_reward_zero_std": 0.2} for s in range(1, 4)]  # fmt: skip
                write_json(folder / "trainer_state.json", {"global_step": 3, "log_history": log})
    with stage_output(run / "readiness", {"seed": seed, "threshold": 0.1, "force": False}) as folder:
        write_json(folder / "readiness.json", readiness(0.05 if stopped else 0.5))
    write_json(run / "ledger.json", {"stages": {stage: ledger_entry() for stage in stages}})
    benchmarks = run.parent.parent / "benchmarks"
    recipe = {"seed": seed, "output_dir": str(run / "eval"), "benchmarks": str(benchmarks),
              "use_stages": ["sft", "grpo"], "use_tasks": ["gsm8k_cot"]}  # fmt: skip
    with stage_output(run / "eval", recipe, [benchmarks]) as folder:
        for stage in stages:
            (folder / stage).mkdir()
            pq.write_table(
                pa.Table.from_pylist(predictions(seed, items, accuracy)), folder / stage / "predictions.parquet"
            )
            if stage != "pretrain":
                write_use(folder / stage / "use.parquet", use_rows(predictions(seed, items, accuracy)))
            write_json(
                folder / stage / "arithmetic_results.json",
                {"tasks": {task: {"gold_over_budget": 0.25 if task == "gsm8k_cot" else None} for task in TASKS}},
            )


def readiness(pass_at_k: float, force: bool = False) -> dict[str, Any]:
    """Return the record of a gate with threshold 0.1."""
    return {"prompts": 64, "samples": 8, "pass_at_1": pass_at_k / 4, "pass_at_k": pass_at_k, "mixed_groups": 0.3,
            "threshold": 0.1, "force": force, "ready": pass_at_k >= 0.1}  # fmt: skip


def ledger_entry() -> dict[str, Any]:
    return {"matched": {"parameters": 1000, "steps": 20, "flops": 1.5e9}, "reported": {"seconds": 12.5, "bytes": 5000}}


def predictions(seed: int, items: int, accuracy: float) -> list[dict[str, Any]]:
    """Return rows in which the easiest share of the items is right; seeds differ in a few of them."""
    rows = []
    for task, family in TASKS.items():
        for item in range(items):
            correct = (item * 7 + seed) % items < accuracy * items
            a, b = operands(item)
            rows.append(
                {
                    "task": task, "family": family, "item_id": f"{task}-{item:03d}", "prompt": f"Question: {item}?",
                    "gold": str(1 + item % 25),
                    "text": f"{a}*{b}=<<{a}*{b}={a * b}>>{a * b} #### 1", "token_ids": [1, 2], "generated_tokens": 9,
                    "fact_tokens": [f"<MUL_{a}_{b}>"], "extracted": "1", "correct": correct, "correct_strict": correct,
                    "correct_flexible": correct, "error_class": None if correct else "reasoning", "truncated": False,
                    "operands": [a, b] if family == "arithmetic" else None, "gold_bits_per_character": 1.5,
                    "operations": ["multiply" if item % 3 == 0 else "add"],
                    "facts": [sorted((a, b))] if item % 3 == 0 else [],
                }
            )  # fmt: skip
    return rows


def use_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the 2x2 of use of gsm8k_cot: without fact tokens every second item is wrong."""
    return [
        {**{name: row[name] for name in SCHEMA.names if name in row}, "prompts": prompts, "tokens": tokens,
         "correct": row["correct"] and (tokens == "allowed" or number % 2 == 0)}
        for number, row in enumerate(row for row in rows if row["task"] == "gsm8k_cot")
        for prompts in PROMPTS for tokens in TOKENS
    ]  # fmt: skip


def operands(item: int) -> tuple[int, int]:
    return 1 + item % 9, 1 + item // 9 % 9


def write_tokens(folder: Path) -> None:
    """Write a validation split of 100 tokens, each id as often as any other."""
    folder.mkdir(parents=True)
    np.tile(np.arange(4, dtype="<u2"), 25).tofile(folder / "validation-00000.bin")
    split = {"shards": ["validation-00000"], "bytes": 50, "tokens": 100, "documents": 5}
    write_json(folder / "manifest.json", {"dtype": "uint16", "splits": {"validation": split}})


def write_json_folder(folder: Path, name: str, content: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    write_json(folder / name, content)
