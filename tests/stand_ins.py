"""What stands in for the stages of an experiment: real records, and content that depends on recipe and inputs alone.

    python tests/stand_ins.py data_builders/corpus.py --config outputs/smoke/recipes/corpus.yaml

Takes SLOW seconds, and fails for the recipes that FAIL names, with FAIL_LATE only when their products are there; runs
that GATED names have SFT checkpoints that find no answer. What corpus and rows for post-training hold does not
depend on the benchmarks, unless SPOILED is set.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from mulfact.layout import STOPPED, TRAINED, output_of
from mulfact.provenance import COUNTS, PROVENANCE, hash_json, input_hash, stage_output, write_json

RESULTS: dict[str, Any] = {
    "conditions": ["baseline", "mulfact"], "reference": "baseline", "seeds": [0], "confidence_level": 0.95,
    "exploratory": True, "benchmarks": {"gsm8k_cot": {"stratum_of": None}},
    "accuracy": [
        {"stage": "grpo", "task": "gsm8k_cot", "condition": arm, "items": 200, "mean": mean}
        for arm, mean in (("baseline", 0.4), ("mulfact", 0.45))
    ],
    "differences": [
        {"stage": "grpo", "task": "gsm8k_cot", "condition": "mulfact", "reference": "baseline", "items": 200,
         "primary": True, "difference": 0.05, "interval": [-0.01, 0.11], "p_adjusted": 0.1, "limit": None}
    ],
    "conclusion": {"headline": "mulfact is 5.0 points above baseline."}, "protocol": {"fallback": None},
}  # fmt: skip


def make_stage(path: Path) -> None:
    """Write the product of the flat recipe `path`."""
    level, stage, recipe = path.parent.parent, path.stem, yaml.safe_load(path.read_text())
    inputs = inputs_of(level, stage, recipe)
    hashes = {folder.name: input_hash(folder) for folder in inputs}
    if stage == "ledger":
        write_json(output_of(level, stage), {"inputs": hashes})
        return
    if stage in ("corpus", "posttrain") and not os.environ.get("SPOILED"):
        hashes.pop("benchmarks", None)
    content = hashes if stage == "tokens" else [hashes, settings(recipe)]
    with stage_output(output_of(level, stage), recipe, inputs, seconds=3600.0, descriptions=COUNTS) as folder:
        (folder / "product.txt").write_text(hash_json(content))
        write_json(folder / "manifest.json", recipe)
        if stage == "readiness":
            ready = not any(level.match(name) for name in os.environ.get("GATED", "-").split())
            record = {"prompts": 64, "samples": 8, "pass_at_1": 0.01, "pass_at_k": 0.5 if ready else 0.05,
                      "mixed_groups": 0.3 if ready else 0.05,
                      "threshold": 0.1, "force": False, "ready": ready}  # fmt: skip
            write_json(folder / "readiness.json", record)
        if stage == "compare":
            write_json(folder / "results.json", RESULTS)
        if stage == "eval":
            (folder / "sft").mkdir()
            write_json(folder / "sft/gsm8k_results.json", {"tasks": {"gsm8k_cot": {"accuracy": 0.25}}})


def inputs_of(level: Path, stage: str, recipe: dict[str, Any]) -> list[Path]:
    """Return the finished folders that a recipe names, as a stage would."""
    if stage == "compare":
        runs = [level / arm / f"seed-{seed}" for arm in recipe["conditions"] for seed in recipe["seeds"]]
        return [run / name for run in runs for name in ("eval", "ledger.json")]
    named = [level / f"{trained}_final" for trained in TRAINED] if stage == "ledger" else folders(recipe)
    if (level / STOPPED).is_file():
        named = [folder for folder in named if folder.name != "grpo_final"]
    own = (output_of(level, stage), level / f"{stage}_training")
    return [folder for folder in dict.fromkeys(named) if (folder / PROVENANCE).is_file() and folder not in own]


def folders(value: Any) -> list[Path]:
    """Return the paths in a recipe, and the folders that they lie in."""
    if isinstance(value, dict | list):
        return [path for one in (value.values() if isinstance(value, dict) else value) for path in folders(one)]
    return [Path(value), Path(value).parent] if isinstance(value, str) and "/" in value else []


def settings(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return what a recipe says beside paths and speed."""
    plain = {key: value for key, value in recipe.items() if not (isinstance(value, str) and "/" in value)}
    return {
        key: value for key, value in plain.items() if key not in ("num_workers", "checkpoints", "env", "sft", "grpo")
    }


def main() -> None:
    words = " ".join(sys.argv)
    recipes = [Path(word) for word in sys.argv if word.endswith(".yaml") and "/recipes/" in word]
    if "trl_stage.py" in words:
        if "prepare" in words:
            return
        recipes = [path for path in recipes if path.stem != "eval"]
    print("seen by", *sys.argv[1:3], *os.environ.get("WHO", "").split(), flush=True)
    time.sleep(float(os.environ.get("SLOW", 0)))
    unlucky = any(str(path).endswith(name) for path in recipes for name in os.environ.get("FAIL", "-").split())
    if not unlucky or os.environ.get("FAIL_LATE"):
        for path in recipes:
            make_stage(path)
    if unlucky:
        sys.exit("error: out of luck")


if __name__ == "__main__":
    main()
