"""The content of a results.json that no model produced: every field of the schema, for any number of arms and seeds."""

from typing import Any

import numpy as np

from mulfact.tokenizers.card import description
from mulfact.tokenizers.facts import FactSettings

TASKS = {
    "gsm8k_cot": ("gsm8k", 200), "gsm8k_direct": ("gsm8k", 200), "table_9": ("arithmetic", 81),
    "table_9_words": ("arithmetic", 81), "table_9_plain": ("arithmetic", 81), "table_20": ("arithmetic", 400),
    "digits_2x1": ("arithmetic", 100), "mixed": ("arithmetic", 100), "svamp": ("word_problem", 1000),
    "multiarith": ("word_problem", 600), "math": ("word_problem", 300),
}  # fmt: skip
STAGES = ("pretrain", "sft", "grpo")
TEXT = "She has 6*9=<<6*9=54>>54 eggs & 16*9 <b>hens</b>.\n#### 54"


def fabricate(conditions: list[str], seeds: list[int], gated: bool = False) -> dict[str, Any]:
    """Return results of `conditions`, the first of which is the reference; `gated`: without GRPO, for its gate."""
    stages = STAGES[:2] if gated else STAGES
    random = np.random.default_rng(7)
    reference, others = conditions[0], conditions[1:]
    results: dict[str, Any] = {
        "schema_version": 3,
        "scale": "smoke",
        "conditions": conditions,
        "arms": {arm: arm_of(arm, place) for place, arm in enumerate(conditions)},
        "reference": reference,
        "seeds": seeds,
        "stages": list(stages),
        "readiness": readiness(conditions, seeds, gated),
        "confidence_level": 0.95,
        "ceiling": 0.95,
        "tested": others[0],
        "attribution": dict.fromkeys(others[1:], "something else"),
        "controls": {"runs": {}},
        "protocol": {"sha256": "ab" * 32, "plan": None, "deviations": [],
                     "exploratory_because": ["too few seeds"] if len(seeds) < 3 else [],
                     "looks": [{"seeds": seeds, "conditions": conditions, "date": "2026-11-28"}],
                     "fallback": "GRPO is not compared: its gate stopped runs." if gated else None},
        "exploratory": len(seeds) < 3,
        "conclusion": {
            "headline": f"{others[0]} scored +1.0 points against {reference} <on> GSM8K (95% interval −2.0 to +4.0).",
            "may_conclude": ["That the arms had the same compute."],
            "may_not_conclude": ["That the arms are equal."],
        },
        "benchmarks": {
            task: {"family": family, "items": items, "source": "invented", "style": "cot", "description": "items",
                   "stratum_of": None}
            for task, (family, items) in TASKS.items()
        },
        "ledger": {
            "matched": {
                stage: {
                    "parameters": 1_186_560,
                    "flops_forward": 1.2e13,
                    "optimizer": {"name": "adamw", "betas": [0, 1]},
                }
                for stage in stages
            },
            "reported": {
                stage: {
                    name: {arm: {str(seed): size + place for seed in seeds} for place, arm in enumerate(conditions)}
                    for name, size in (("raw_bytes", 6_000_000), ("seconds", 91.25))
                }
                for stage in stages
            },
        },
        "accuracy": [],
        "differences": [],
        "contrasts": [
            difference({"condition": others[0], "reference": other, "stage": stages[-1], "task": "gsm8k_cot"},
                       "gsm8k", "attribution", dict.fromkeys(seeds, 0.01))
            for other in others[1:]
        ],
        "interactions": [
            {"condition": others[0], "reference": other, "stage": stages[-1], "products": "table_9", "sums": "sums_9",
             "items": 81, "accuracy": {arm: {"table_9": 0.875, "sums_9": 0.25} for arm in (others[0], other)},
             "difference": 0.333, "interval": [0.111, 0.555], "standard_error": 0.1,
             "seeds": {str(seed): 0.333 for seed in seeds}, "limits": {"sums_9": "floor"}}
            for other in others[1:]
        ],
        "measures": [
            {"measure": "bits_per_byte", "stage": "pretrain", "task": "validation", "condition": arm,
             "seeds": {str(seed): 0.45 for seed in seeds}, "mean": 0.45, "difference": -0.0123 if place else None,
             "interval": [-0.02, 0.005] if place and len(seeds) > 1 else None}
            for place, arm in enumerate(conditions)
        ],
        "spelling": [{"condition": arm, "gap": -0.04, "canonical_gap": -0.03, "fact_free_gap": -0.01, "share": 0.25}
                     for arm in others],
        "gold_over_budget": {arm: dict.fromkeys(TASKS, 0.0) for arm in conditions},
        "fact_use": [
            {"condition": arm, "stage": stage, "task": "gsm8k_cot", "share_of_completions": 0.4,
             "tokens_per_completion": 0.7, "right": 0.8}
            for arm in others for stage in stages
        ],
        "use": [
            {"condition": arm, "stage": stage, "task": task, "items": TASKS[task][1],
             "cells": [{"prompts": prompts, "tokens": tokens, "accuracy": 0.65 - 0.2 * place,
                        "seeds": {str(seed): 0.65 - 0.2 * place for seed in seeds}}
                       for prompts in ("rewritten", "plain") for tokens in ("allowed", "suppressed")],
             "losses": [{"without": without, "difference": -0.4 * place, "interval": [-0.4 * place - 0.05, 0.05],
                         "p_value": 0.001, "mcnemar": {str(seed): {"both": 90, "only_ordinary": 30,
                         "only_restricted": 3, "neither": 77, "p_value": 0.001} for seed in seeds},
                         "change": {"difference": -0.1, "interval": [-0.2, 0.0], "p_value": 0.05}
                         if stage == "grpo" else None}
                        for without in ("tokens", "rewriting", "both")]}
            for place, arm in enumerate(conditions) for stage in stages if stage != "pretrain"
            for task in ("gsm8k_cot",)
        ],
        "error_examples": [
            {"condition": arm, "error_class": "format", "item_id": "gsm8k-7", "prompt": "Question: 2 < 3?\nSolution:",
             "gold": "54", "text": "<script>54", "extracted": None}
            for arm in conditions
        ],
        "heatmaps": {arm: {stage: fact_table(random) for stage in stages} for arm in conditions},
        "usage": {
            arm: {stage: random.poisson(8 * place, (9, 9)).tolist() for stage in stages}
            for place, arm in enumerate(conditions)
        },
        "error_classes": [],
        "curves": curves(conditions, seeds, random) | ({"grpo": []} if gated else {}),
        "learning": learning(conditions, seeds),
        "halves": [],
        "embeddings": embeddings(others),
        "reward_trends": [] if gated else [
            {"condition": arm, "seed": seed, "first_third": 0.25, "last_third": 0.45 + place / 100, "slope": 0.01,
             "p_value": 0.0004, "largest_kl": 0.03, "largest_repetition": 0.02}
            for place, arm in enumerate(conditions) for seed in seeds
        ],
        "unigram_bits_per_byte": dict.fromkeys(conditions, 2.9),
        "examples": [example(conditions, number) for number in range(2)],
        "trivial_baselines": {task: {"always_training_mode": 0.03} for task in TASKS},
        "provenance": [
            {
                "condition": arm, "seed": seed, "stage": stage, "commit": "0123456789abcdef", "dirty": seed == 0,
                "seconds": 91.0, "hardware": {"processor": "a processor", "cores": 2, "memory_bytes": 8e9, "gpus": []},
                "packages": {"torch": "2.13.0", "trl": "1.16.0"},
            }
            for arm in conditions for seed in seeds for stage in stages
        ],
    }  # fmt: skip
    for stage in stages:
        for task, (family, items) in TASKS.items():
            level = random.uniform(0.05, 0.8)
            by_arm = {
                arm: np.clip(level + 0.02 * place + random.normal(0, 0.02, len(seeds)), 0, 1)
                for place, arm in enumerate(conditions)
            }
            for arm, values in by_arm.items():
                where = {"condition": arm, "stage": stage, "task": task}
                results["accuracy"].append(accuracy(where, family, items, dict(zip(seeds, values, strict=True))))
                counts = error_counts(items, values.mean())
                results["error_classes"].append({**where, "counts": counts, "items": items})
                if arm != reference:
                    tested = arm == others[0]
                    role = "secondary" if tested and stage == stages[-1] else "descriptive"
                    if (task, stage) == ("gsm8k_cot", stages[-1]):
                        role = "primary" if tested else "variant"
                    changes = dict(zip(seeds, values - by_arm[reference], strict=True))
                    results["differences"].append(difference({**where, "reference": reference}, family, role, changes))
    return results


def arm_of(condition: str, place: int) -> dict[str, Any]:
    """Return an arm without tokens of its own in the first place, a placebo under that name, else one with facts."""
    kind = "none" if not place else "placebo" if condition == "placebo" else "weak"
    ends = {
        "none": [],
        "placebo": [("<PAIR_1>", "of the"), ("<PAIR_81>", "in a")],
        "weak": [("<MUL_1_1>", "1*1"), ("<MUL_9_9>", "9*9")],
    }
    examples = [{"token": token, "text": text} for token, text in ends[kind]]
    return {
        "mode": kind,
        "description": description(FactSettings(kind)),
        "added_tokens": 81 if place else 0,
        "examples": examples,
    }


def readiness(conditions: list[str], seeds: list[int], gated: bool) -> dict[str, Any]:
    """Return a gate that all runs pass, or only the reference's."""
    return {
        "prompts": 64, "samples": 8, "threshold": 0.2,
        "runs": [
            {"condition": arm, "seed": seed, "pass_at_1": 0.021, "pass_at_k": 0.063 if gated and place else 0.141,
             "mixed_groups": 0.16 if gated and place else 0.27, "decision": "stopped" if gated and place else "passed"}
            for place, arm in enumerate(conditions) for seed in seeds
        ],
    }  # fmt: skip


def accuracy(where: dict[str, str], family: str, items: int, by_seed: dict[int, float]) -> dict[str, Any]:
    values = list(by_seed.values())
    mean = float(np.mean(values))
    return {
        **where, "family": family, "items": items, "seeds": {str(seed): float(v) for seed, v in by_seed.items()},
        "mean": mean, "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "interval": [mean - 0.03, mean + 0.04], "strict": mean * 0.9, "flexible": mean, "truncated": 0.05,
        "generated_tokens": 41.5,
        "fact_tokens": 0.0 if where["condition"] == "baseline" else 1.5,
        "gold_bits_per_character": None if where["task"] == "mixed" else 1.25,
    }  # fmt: skip


def difference(where: dict[str, str], family: str, role: str, by_seed: dict[int, float]) -> dict[str, Any]:
    primary = role in ("primary", "variant")
    adjusted = {"primary": 0.04, "variant": 0.04, "attribution": 1.0, "secondary": 1.0, "descriptive": None}[role]
    mean = float(np.mean(list(by_seed.values())))
    counts = {"both": 90, "only_reference": 12, "only_condition": 17, "neither": 81, "p_value": 0.46}
    return {
        **where, "family": family, "role": role, "primary": primary, "items": 200,
        "difference": mean, "interval": [mean - 0.04, mean + 0.04],
        "p_value": 0.0004 if primary else 0.2, "p_adjusted": adjusted, "limit": None, "equivalent_compute": None,
        "seeds_paired": False, "detectable": 0.057, "detectable_range": [0.03, 0.12],
        "seeds": {str(seed): float(value) for seed, value in by_seed.items()},
        "mcnemar": {str(seed): counts for seed in by_seed},
        "standard_error": 0.02, "seed_sd": None if len(by_seed) == 1 else 0.01,
    }  # fmt: skip


def error_counts(items: int, right: float) -> dict[str, int]:
    wrong = round(items * (1 - right))
    return {"arithmetic": wrong // 2, "reasoning": wrong // 4, "format": wrong // 8, "truncated": wrong // 8}


def fact_table(random: np.random.Generator) -> list[list[float | None]]:
    table: list[list[float | None]] = random.uniform(0.2, 1, (9, 9)).round(2).tolist()
    table[0][0] = None
    return table


def curves(conditions: list[str], seeds: list[int], random: np.random.Generator) -> dict[str, Any]:
    runs = [(place, arm, seed) for place, arm in enumerate(conditions) for seed in seeds]
    return {
        "pretrain": [
            {"condition": arm, "seed": seed, "points": [
                {"step": step, "tokens": step * 8192, "bytes": step * (20_000 + 900 * place),
                 "canonical_bits_per_byte": 1.1 + 2 * np.exp(-step / 90) - 0.02 * place,
                 "canonical_bits_per_byte_fact_free": 1.3 + 2 * np.exp(-step / 90),
                 "bits_per_byte": 1.2 + 2 * np.exp(-step / 90) - 0.03 * place + random.normal(0, 0.01),
                 "bits_per_byte_fact_free": 1.4 + 2 * np.exp(-step / 90) + random.normal(0, 0.01)}
                for step in range(0, 301, 50)]}
            for place, arm, seed in runs
        ],
        "grpo": [
            {"condition": arm, "seed": seed, "points": [
                {"step": step, "reward": 0.2 + 0.01 * step + random.normal(0, 0.04),
                 "reward_gsm8k": 0.1 + 0.002 * step, "reward_synthetic": None if step == 2 else 0.3 + 0.018 * step,
                 "fact_tokens": place * (1 + 0.02 * step), "completion_length": 60 - 0.3 * step + random.normal(0, 2),
                 "solved_share": 0.5 + 0.01 * step, "truncated_share": 0.1,
                 "kl": 0.001 * step, "entropy": 0.6 - 0.005 * step,
                 "zero_variance_share": None if step == 1 else 0.4, "repetition": 0.02}
                for step in range(1, 31)]}
            for place, arm, seed in runs
        ],
    }  # fmt: skip


def example(conditions: list[str], number: int) -> dict[str, Any]:
    completions = {
        arm: {
            "text": TEXT, "correct": number == 0, "error_class": None if number == 0 else "reasoning",
            "facts": ["6*9", "6*9"] if place else [],
        }
        for place, arm in enumerate(conditions)
    }  # fmt: skip
    prompt = "Question: Six hens lay 9 eggs each.\nSolution:"
    return {
        "task": "gsm8k_cot",
        "item_id": f"gsm8k-{number}",
        "prompt": prompt,
        "gold": "54",
        "completions": completions,
    }


def learning(conditions: list[str], seeds: list[int]) -> dict[str, Any]:
    """Return curves on which every arm learns all products, the later ones sooner, but 9*9, which none learns."""
    steps, operands = [10, 100, 1000], [(a, b) for a in range(1, 10) for b in range(1, 10)]
    return {
        "known_bits": 1.0,
        "curves": [
            {"condition": arm, "seed": seed, "task": "products", "form": form,
             "points": [{"step": step, "tokens": 100 * step, "bytes": 300 * step, "bits": 9 / (1 + place + step**0.5),
                         "correct": step / 1000} for step in steps]}
            for place, arm in enumerate(conditions) for seed in seeds for form in ("plain", "question")
        ],
        "known": [
            {"condition": arm, "task": "products", "form": form, "never": len(seeds), "of": 81 * len(seeds),
             "tokens": [100 * step for step in steps], "unknown": [1.0, 0.5, 1 / 81],
             "facts": [{"unit": f"{a}*{b}", "operands": [a, b], "tokens": None if a * b == 81 else 1000.0 * max(a, b)}
                       for a, b in operands]}
            for arm in conditions for form in ("plain", "question")
        ],
    }  # fmt: skip


def embeddings(arms: list[str]) -> list[dict[str, Any]]:
    """Return maps on which the facts lie on a grid of their operands."""
    operands = [(a, b) for a in range(1, 10) for b in range(1, 10)]
    return [
        {"condition": arm, "seed": 0, "stage": stage, "explained_variance": [0.4, 0.2],
         "ridge": {"r2": 0.61, "p_value": 0.001, "r2_of_chance": 0.03, "mean_absolute_error": 6.5},
         "facts": [{"token": f"<MUL_{a}_{b}>", "text": f"{a}*{b}", "operands": [a, b], "value": a * b, "x": a - 5,
                    "y": b - 5, "predicted": a * b + 1} for a, b in operands]}
        for arm in arms for stage in ("pretrain", "sft")
    ]  # fmt: skip
