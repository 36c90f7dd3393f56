"""Tokenizers of every kind of arm over one small base vocabulary, built once for all tests that ask for them."""

import tempfile
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from mulfact.tokenizers.base import train
from mulfact.tokenizers.build import add_facts, fit_facts, save
from mulfact.tokenizers.custom import parse_custom_tokens
from mulfact.tokenizers.facts import FactSettings, Subset

TEXTS = [
    "Each box has 6 × 9 = 54 pens, so the box of the box is full.",
    "Six times nine is fifty-four, and out of the store comes the rest: 12 + 30 = 42.",
    "He buys 3*4=<<3*4=12>>12 apples for $5 each.\n#### 60",
    "六九五十四，六乘九等于五十四。",
]
BASE_VOCAB_SIZE = 300
CUSTOM = [
    {"patterns": ["of the", "of  the"], "name": "<OF_THE>", "text": "of the"},
    {"patterns": ["of these"], "name": "<OF_THESE>", "text": "of these"},
    {"patterns": ["café noir"], "name": "<COFFEE>", "text": "café noir"},
    {"patterns": ["->", "→"], "name": "<ARROW>", "text": "->"},
    {"patterns": ["out loud"], "name": "out loud", "text": "out loud"},
    {"patterns": [" each box"], "name": "<EACH_BOX>", "text": " each box"},
]
ARMS: dict[str, FactSettings] = {
    "baseline": FactSettings(),
    "weak": FactSettings("weak"),
    "strict": FactSettings("strict"),
    "weak_20": FactSettings("weak", max_operand=20),
    "strict_12": FactSettings("strict", max_operand=12),
    "in_order": FactSettings("weak", canonical_order=True),
    "in_order_strict_12": FactSettings("strict", 12, canonical_order=True),
    "literal": FactSettings("weak", token_names="literal"),
    "literal_strict": FactSettings("strict", token_names="literal"),
    "asterisk_only": FactSettings("weak", surface_forms=("asterisk",)),
    "no_words": FactSettings("strict", surface_forms=("asterisk", "times_sign", "times")),
    "words": FactSettings("strict", surface_forms=("asterisk", "words")),
    "custom": FactSettings("custom", custom_tokens=parse_custom_tokens(CUSTOM)),
    "sums": FactSettings("weak", operation="add"),
    "sums_strict": FactSettings("strict", operation="add"),
    "sums_in_order": FactSettings("strict", canonical_order=True, operation="add"),
    "plain": FactSettings("weak", subset=Subset(0)),
    "plain_strict": FactSettings("strict", subset=Subset(0)),
    "plain_sums": FactSettings("weak", operation="add", subset=Subset(0)),
    "half": FactSettings("weak", subset=Subset(0.5, seed=1)),
    "other_half": FactSettings("weak", subset=Subset(0.5, seed=1, complement=True)),
    "half_strict": FactSettings("strict", subset=Subset(0.5)),
    "half_literal": FactSettings("weak", token_names="literal", subset=Subset(0.5)),
    "half_sums": FactSettings("weak", operation="add", subset=Subset(0.5)),
    "half_custom": FactSettings("custom", custom_tokens=parse_custom_tokens(CUSTOM), subset=Subset(0.5)),
    "digits": FactSettings(digits="split"),
    "weak_digits": FactSettings("weak", digits="split"),
}


@cache
def base_tokenizer() -> str:
    """Return a small byte-level BPE, serialised."""
    return train(TEXTS * 4, BASE_VOCAB_SIZE).to_str()


@cache
def build(arm: str) -> Path:
    """Return the folder of an arm's tokenizer; it lives as long as the test process."""
    folder = Path(scratch().name) / arm
    folder.mkdir()
    base = Tokenizer.from_str(base_tokenizer())
    facts = fit_facts(ARMS[arm], base, vocab_size=768)
    save(add_facts(base, facts), facts, 128, folder)
    return folder


@cache
def scratch() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory()


def write_corpus(folder: Path, texts: list[str], shards: int = 2) -> Path:
    folder.mkdir()
    for shard in range(shards):
        part = texts[shard::shards]
        table = pa.table({"text": part, "source": ["test"] * len(part)})
        pq.write_table(table, folder / f"train-{shard:05d}.parquet")
    return folder
