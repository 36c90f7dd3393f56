"""A small run to be evaluated, and the eval command run on it: a tiny GPT-2 that has learned three facts by heart."""

import json
import shutil
import sys
from dataclasses import asdict

import torch
import yaml
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from mulfact.data_builders.problems.items import Item
from mulfact.data_builders.problems.prompts import format_prompt
from mulfact.evals.evaluate import main
from mulfact.evals.evaluation.tasks import gold_text
from mulfact.tokenizers.base import train
from mulfact.tokenizers.build import add_facts, fit_facts, save
from mulfact.tokenizers.facts import FactSettings, FactToken

EOS = "<|endoftext|>"
WINDOW = 96
FACT = {"token": "<MUL_6_9>", "operands": (6, 9), "text": "6*9", "patterns": ("6*9",)}
STYLES = {"gsm8k_direct": "direct", "gsm8k_cot": "cot", "table_9": "direct", "svamp": "cot"}


def item(name: str, index: int, question: str, answer: str, family: str, style: str, **more) -> Item:
    return Item(f"{name}-{index}", format_prompt(question, style), answer, family, **more)


def cot_item(name: str, index: int, a: int, b: int, family: str) -> Item:
    solution = f"{a}*{b} = <<{a}*{b}={a * b}>>{a * b}."
    return item(name, index, f"{a} bags of {b}?", str(a * b), family, "cot", solution=solution)


LEARNED = {
    "gsm8k_direct": [item("gd", 0, "6 bags of 9?", "54", "gsm8k", "direct", solution="6*9 = 54.")],
    "gsm8k_cot": [cot_item("gc", 0, 6, 9, "gsm8k"), cot_item("gc", 1, 2, 3, "gsm8k")],
    "table_9": [
        Item("t-6x9-plain", "6*9=", "54", "arithmetic", operands=(6, 9), answer_rule="number"),
        item("t", 1, "What is 7*8?", "56", "arithmetic", "direct", operands=(7, 8)),
    ],
}
UNLEARNED = {
    "gsm8k_cot": [item("gc", 2, "How many then?", "5", "gsm8k", "cot", solution="2+3 = <<2+3=5>>5.")],
    # A model that answers as it learned for another question is wrong here.
    "table_9": [Item("t-2x7", "What is 7*8?\nAnswer:", "14", "arithmetic", operands=(2, 7))],
    "svamp": [item("s", index, f"{index} apples?", "7", "word_problem", "cot") for index in range(3)],
}
BENCHMARKS = {name: [*LEARNED.get(name, []), *UNLEARNED.get(name, [])] for name in STYLES}


def write_run(folder):
    """Write benchmarks, a tokenizer with one fact token, and two checkpoints: one has learned LEARNED by heart."""
    write_benchmarks(folder / "benchmarks", BENCHMARKS)
    tokenizer = write_tokenizer(folder / "tokenizer")
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=320, n_positions=WINDOW, n_embd=64, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0,
        attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    write_checkpoint(folder / "pretrain_final", model, folder / "tokenizer")
    learn_by_heart(model, tokenizer)
    write_checkpoint(folder / "sft_final", model, folder / "tokenizer")


def write_benchmarks(folder, benchmarks):
    folder.mkdir()
    entries = {}
    for name, items in benchmarks.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(asdict(i)) + "\n" for i in items))
        entries[name] = {
            "family": items[0].family, "items": len(items), "source": "test", "style": STYLES[name], "description": "",
        }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps({"benchmarks": entries}))


def write_tokenizer(folder):
    """Write a byte-level BPE with one fact token, by the code of the tokenizer stage; return it."""
    base = train([i.prompt for items in BENCHMARKS.values() for i in items], 300)
    settings = FactSettings("custom", custom_tokens=(FactToken(**FACT),))
    facts = fit_facts(settings, base, 320)
    folder.mkdir()
    save(add_facts(base, facts), facts, WINDOW, folder)
    return AutoTokenizer.from_pretrained(folder)


def learn_by_heart(model, tokenizer):
    tokenizer.padding_side = "right"
    texts = [i.prompt + gold_text(i, STYLES[name]) + EOS for name, items in LEARNED.items() for i in items]
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(120):
        loss = model(**batch, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()


def write_checkpoint(folder, model, tokenizer_folder):
    model.save_pretrained(folder)
    for path in tokenizer_folder.iterdir():
        shutil.copy(path, folder)


def recipe(run, **changes):
    settings = {
        "output_dir": str(run / "eval"),
        "benchmarks": str(run / "benchmarks"),
        "tokenizer": str(run / "tokenizer"),
        "checkpoints": {"pretrain": str(run / "pretrain_final"), "sft": str(run / "sft_final")},
        "generation_size": {"cot": 40, "direct": 12},
        "stop_sequences": {"cot": ["\nQuestion:"], "direct": ["\n"]},
        "max_cut_prompts": 0.0,
        "batch_size": 2,
        "use_tasks": ["gsm8k_cot", "table_9"],
        "max_samples": None,
        "use_cpu": True,
        **changes,
    }
    return {"use_stages": [stage for stage in settings["checkpoints"] if stage != "pretrain"], **settings}


def evaluate(run, monkeypatch, **changes):
    """Run the command in this process; return its output folder."""
    settings = recipe(run, **changes)
    evaluate_all(run, monkeypatch, [settings])
    return run / settings["output_dir"]


def evaluate_all(run, monkeypatch, recipes):
    """Run the command for several recipes."""
    paths = [run / f"eval-{number}.yaml" for number in range(len(recipes))]
    for path, settings in zip(paths, recipes, strict=True):
        path.write_text(yaml.safe_dump(settings))
    monkeypatch.setattr(sys, "argv", ["evaluate.py", "--config", *map(str, paths)])
    main()
