"""A finished experiment in miniature, as the stages leave it: real models, made-up numbers."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from fabricated_results import fabricate
from run_folders import predictions
from tiny_tokenizers import ARMS, base_tokenizer, build
from tokenizers import Tokenizer
from transformers import GPT2Config, GPT2LMHeadModel

from mulfact.data_builders.storage.card import write_card
from mulfact.data_builders.storage.set_cards import describe_benchmarks, describe_posttrain
from mulfact.layout import curve_folder
from mulfact.provenance import stage_output, write_json
from mulfact.release.playground import write_playground
from mulfact.tokenizers.build import fit_facts
from mulfact.tokenizers.card import tokenizer_card

STAGES = ("pretrain", "sft", "grpo")
TOKENIZERS = {"baseline": "baseline", "mulfact": "weak"}
WINDOW = 512
ITEMS = 2
BENCHMARKS = {
    "gsm8k_cot": ("gsm8k", "cot", "Question: Six hens lay {n} eggs each. How many eggs?\nSolution:", "synthetic"),
    "table_9": ("arithmetic", "direct", "Question: What is 6 × {n}?\nAnswer:", "generated"),
    "asdiv": ("word_problem", "direct", "Question: {n} apples and 6 more?\nAnswer:", "data/asdiv/ASDiv.xml"),
}
READINESS = {
    "prompts": 64, "samples": 8, "pass_at_1": 0.2, "pass_at_k": 0.5, "mixed_groups": 0.25, "threshold": 0.1,
    "force": False, "ready": True,
}  # fmt: skip


def write_release(outputs: Path, seeds: tuple[int, ...] = (0,), gated: bool = False) -> Path:
    """Write outputs/smoke with two arms and return it; paths in its records are absolute, as with OUTPUTS=/...

    `gated`: the gate stopped GRPO in every run.
    """
    stages = STAGES[:2] if gated else STAGES
    shared_dir = outputs / "smoke"
    write_data(shared_dir)
    for condition, arm in TOKENIZERS.items():
        write_tokenizer(shared_dir / condition / "tokenizer", arm)
        inputs = [shared_dir / "corpus", shared_dir / condition / "tokenizer"]
        with stage_output(shared_dir / condition / "tokens", {}, inputs) as folder:
            write_json(folder / "manifest.json", {})
        for seed in seeds:
            write_run(shared_dir, condition, seed, stages)
    write_report(shared_dir, seeds, gated)
    write_playground(shared_dir, list(TOKENIZERS))
    return shared_dir


def write_data(shared_dir: Path) -> None:
    recipe = {"seed": 0, "output_dir": str(shared_dir / "corpus"), "gsm8k": "/data/sets/gsm8k"}
    with stage_output(shared_dir / "corpus", recipe) as folder:
        for split in ("train", "validation"):
            table = pa.table({"text": [f"{split}: 6 × 9 = 54, miles/hour"] * 3, "source": ["synthetic"] * 3})
            pq.write_table(table, folder / f"{split}-00000.parquet")
        write_json(folder / "manifest.json", {"splits": {}, "files": ["/data/sets/web/a.jsonl"]})
        write_card(
            folder, "mulfact corpus", "Raw documents.",
            {"default": {split: f"{split}-*.parquet" for split in ("train", "validation")}},
            [{"split": "train", "documents": 3}], {"synthetic": "mit"}, "data_builders/corpus.py",
        )  # fmt: skip
    with stage_output(shared_dir / "posttrain", recipe) as folder:
        counts = {}
        for name, key in (("sft", "completion"), ("grpo", "answer")):
            (folder / name).mkdir()
            for split in ("train", "validation"):
                row = json.dumps({"prompt": "Question: What is 6*9?\nAnswer:", key: " #### 54"})
                (folder / name / f"{split}.jsonl").write_text(f"{row}\n" * 2)
                counts[f"{name}/{split}"] = {"rows": 2}
        manifest = {"source": "/data/sets/gsm8k", "added_synthetic": 0, "rows": counts, "extra_sets": []}
        write_json(folder / "manifest.json", manifest)
        describe_posttrain(folder, manifest)
    with stage_output(shared_dir / "benchmarks", recipe) as folder:
        entries = {}
        for name, (family, style, prompt, source) in BENCHMARKS.items():
            rows = [
                {
                    "id": f"{name}-{n}", "prompt": prompt.format(n=n), "answer": str(6 * n), "family": family,
                    "solution": f"6*{n} = <<6*{n}={6 * n}>>{6 * n}." if style == "cot" else None,
                    "operands": [6, n] if name == "table_9" else None, "answer_rule": "gsm8k",
                }
                for n in (2, 9)
            ]  # fmt: skip
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            told = f"{source} items"
            entries[name] = {"family": family, "items": ITEMS, "source": source, "style": style, "description": told}
        manifest = {"benchmarks": entries}
        write_json(folder / "manifest.json", manifest)
        describe_benchmarks(folder, manifest)


def write_tokenizer(target: Path, arm: str) -> None:
    with stage_output(target, {"seed": None, "output_dir": str(target)}) as folder:
        for path in build(arm).iterdir():
            shutil.copy(path, folder)
        facts = fit_facts(ARMS[arm], Tokenizer.from_str(base_tokenizer()), vocab_size=768)
        (folder / "README.md").write_text(tokenizer_card(facts, []))


def write_run(shared_dir: Path, condition: str, seed: int, stages: tuple[str, ...]) -> None:
    run, tokenizer = shared_dir / condition / f"seed-{seed}", shared_dir / condition / "tokenizer"
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=768, n_positions=WINDOW, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
    )
    model = GPT2LMHeadModel(config)
    data = {"pretrain": shared_dir / condition / "tokens"}
    for stage in stages:
        target, inputs = run / f"{stage}_final", [tokenizer, data.get(stage, shared_dir / "posttrain")]
        with stage_output(target, {"seed": seed, "output_dir": str(target)}, inputs) as folder:
            torch.nn.init.normal_(model.transformer.ln_f.bias)
            model.save_pretrained(folder)
            for name in ("tokenizer.json", "tokenizer_config.json", "facts.json"):
                shutil.copy(tokenizer / name, folder)
            write_json(folder / "trainer_state.json", {"best_model_checkpoint": str(run / "sft_training"), "step": 3})
            if stage == "grpo":
                write_json(folder / "readiness.json", READINESS)
    with stage_output(curve_folder(run), {"seed": seed}, [tokenizer]) as folder:
        for step in (10, 20):
            model.save_pretrained(folder / f"step-{step:06d}")
            for name in ("tokenizer.json", "tokenizer_config.json", "facts.json"):
                shutil.copy(tokenizer / name, folder / f"step-{step:06d}")
            write_json(folder / f"step-{step:06d}" / "point.json", {"step": step, "tokens": 100 * step})
            torch.nn.init.normal_(model.transformer.ln_f.bias)
    matched = {"parameters": 19_000, "steps": 20, "optimizer": {"name": "adamw", "betas": [0.9, 0.95]}}
    reported = {"seconds": 12.5, "device": "a processor", "mfu": None}
    stages = {stage: {"matched": matched, "reported": reported} for stage in stages}
    write_json(run / "ledger.json", {"stages": stages})
    recipe = {
        "output_dir": str(run / "eval"), "benchmarks": str(shared_dir / "benchmarks"), "tokenizer": str(tokenizer),
        "checkpoints": {stage: str(run / f"{stage}_final") for stage in stages},
        "generation_size": {"cot": 8, "direct": 4},
        "stop_sequences": {"cot": ["\nQuestion:"], "direct": ["\n"]},
        "max_cut_prompts": 0.0, "use_stages": ["sft", "grpo"], "use_tasks": ["gsm8k_cot"],
        "batch_size": 4, "max_samples": None, "use_cpu": True,
    }  # fmt: skip
    inputs = [shared_dir / "benchmarks", tokenizer, *(run / f"{stage}_final" for stage in stages)]
    with stage_output(run / "eval", recipe, inputs) as folder:
        for stage in stages:
            (folder / stage).mkdir()
            pq.write_table(pa.Table.from_pylist(predictions(seed, 6, 0.5)), folder / stage / "predictions.parquet")
            results = {"checkpoint": str(run / f"{stage}_final"), "tasks": {}}
            write_json(folder / stage / "gsm8k_results.json", results)


def write_report(shared_dir: Path, seeds: tuple[int, ...], gated: bool) -> None:
    results = fabricate(list(TOKENIZERS), list(seeds), gated)
    for row in results["accuracy"]:  # what a model that was never trained gets
        row |= {"seeds": dict.fromkeys(row["seeds"], 0.0), "items": ITEMS}
    results["benchmarks"]["gsm8k_cot"]["source"] = "/data/sets/gsm8k"
    runs = [shared_dir / condition / f"seed-{seed}" for condition in TOKENIZERS for seed in seeds]
    inputs = [path for run in runs for path in (run / "eval", run / "ledger.json")]
    with stage_output(shared_dir / "report", {"output_dir": str(shared_dir / "report")}, inputs) as folder:
        write_json(folder / "results.json", results)
        (folder / "results.md").write_text("# Results: baseline, mulfact\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
        picture = "data:image/png;base64,/9j/4AAQ/SkZJRg=="
        (folder / "report.html").write_text(f'<p>/data/sets/gsm8k, {shared_dir}</p><img src="{picture}">\n')
        (folder / "figures").mkdir()
        (folder / "figures" / "loss.png").write_bytes(b"\x89PNG" + bytes(2000))
