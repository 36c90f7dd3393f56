"""Inputs of a pretraining run that takes seconds, in the formats of the stages before it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from recipe_defaults import defaults
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mulfact.provenance import stage_output, write_json
from mulfact.tokenizers.facts import FACTS_FILE, Facts

EOS, PAD = 0, 1
VOCAB_SIZE = 320


def write_tokenizer(folder: Path, vocab_size: int = VOCAB_SIZE) -> None:
    """Write a byte-level tokenizer: ids 0 and 1 are eos and pad, the bytes follow."""
    vocabulary = {"<|endoftext|>": EOS, "<|pad|>": PAD}
    vocabulary |= {byte: 2 + index for index, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    with stage_output(folder, {"seed": 0}) as partial:
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>", pad_token="<|pad|>"
        ).save_pretrained(partial)
        write_json(partial / FACTS_FILE, Facts("none", vocab_size, 258, ()).to_json())


def write_tokens(folder: Path, tokenizer: Path, documents: int = 200) -> None:
    """Write token shards of counting documents, two shards for training and one for either form of validation."""
    random = np.random.default_rng(0)
    with stage_output(folder, {"seed": 0}, [tokenizer]) as partial:
        splits: dict[str, Any] = {}
        for split, shards, count in (("train", 2, documents), ("validation", 1, max(documents // 5, 4)),
                                     ("canonical", 1, max(documents // 5, 4))):  # fmt: skip
            totals = {"documents": shards * count, "tokens": 0, "bytes": 0}
            names = [f"{split}-{number:05d}" for number in range(shards)]
            for name in names:
                lengths = random.integers(20, 60, count)
                bodies = [(int(random.integers(60)) + np.arange(length)) % 60 + 20 for length in lengths]
                ids = np.concatenate([np.append(body, EOS) for body in bodies]).astype("<u2")
                ids.tofile(partial / f"{name}.bin")
                np.savez(
                    partial / f"{name}.index.npz",
                    tokens=(lengths + 1).astype(np.int32),
                    bytes=lengths.astype(np.int32),
                    fact_free=np.arange(count) % 2 == 0,
                    source=(np.arange(count) % 2).astype(np.uint8),
                )
                totals["tokens"] += len(ids)
                totals["bytes"] += int(lengths.sum())
            splits[split] = {"shards": names, **totals}
        manifest = {"dtype": "uint16", "sources": ["synthetic", "web"], "eos_token_id": EOS, "splits": splits}
        (partial / "manifest.json").write_text(json.dumps(manifest))


def write_recipe(folder: Path, **settings: Any) -> Path:
    """Write the inputs, where they are not there yet, and the flat recipe of a tiny run; return the recipe's path."""
    if not (folder / "tokens").is_dir():
        write_tokenizer(folder / "tokenizer")
        write_tokens(folder / "tokens", folder / "tokenizer")
    recipe = defaults(
        "pretrain",
        output_dir=str(folder / "pretrain_final"),
        checkpoint_dir=str(folder / "pretrain_checkpoints"),
        curve_dir=str(folder / "pretrain_curve"),
        tokenizer=str(folder / "tokenizer"),
        tokens=str(folder / "tokens"),
        n_layer=2, n_head=2, n_embd=32, n_positions=64,
        sequence_length=32, tokens_per_step=256, max_steps=12, micro_batch_size=4, mixed_precision="no",
        warmup_steps=2, eval_steps=6, eval_bytes=800, save_steps=4, curve=4, log_steps=2,
    )  # fmt: skip
    path = folder / "pretrain.yaml"
    path.write_text(yaml.safe_dump(recipe | settings))
    return path


def pretrain(recipe: Path, *launcher: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the real command, with `launcher` words such as `-m accelerate.commands.launch` before the script."""
    return subprocess.run(
        [sys.executable, *launcher, "modeling/pretrain.py", "--config", str(recipe)],
        cwd=Path(__file__).resolve().parent.parent,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def curve(folder: Path) -> list[dict[str, Any]]:
    """Return metrics.jsonl of a finished run, without what a clock says."""
    records = [json.loads(line) for line in (folder / "pretrain_final" / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key != "tokens_per_second"} for record in records]
