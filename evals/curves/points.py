"""The points of a run's curve asked for each fact, as tables (evals/curve.py).

scores = score_point(Path("outputs/smoke/mulfact/seed-0/pretrain_curve/step-100"), encoded, 64, "cpu")
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase

from mulfact.evals.curves.probes import Probe, added_token
from mulfact.evals.curves.score import Encoded, score
from mulfact.modeling.pretraining.curve import POINT
from mulfact.tokenizers.custom import parse_custom_tokens
from mulfact.tokenizers.facts import Facts, FactToken


def words_of(custom_tokens: list[dict[str, Any]], facts: Facts) -> list[FactToken]:
    """Return the tokens of words: those of the recipe's list, also those that a half lacks, or those of a placebo."""
    own = parse_custom_tokens(custom_tokens)
    return [token for token in own or facts.fact_tokens if token.operands is None]


def validation_texts(corpus: str) -> list[str]:
    """Return the validation documents of a corpus."""
    shards = sorted(Path(corpus).glob("validation-*.parquet"))
    return [text for shard in shards for text in pq.read_table(shard, columns=["text"])["text"].to_pylist()]


def score_point(point: Path, encoded: Sequence[Encoded], batch_size: int, device: str) -> pd.DataFrame:
    """Return step, bits and correctness of each probe, in their order."""
    model = GPT2LMHeadModel.from_pretrained(point, dtype=torch.float32, local_files_only=True, use_safetensors=True)
    model = model.eval().to(device)
    bits, correct = score(model, encoded, batch_size)
    return pd.DataFrame({"step": json.loads((point / POINT).read_text())["step"], "bits": bits, "correct": correct})


def table(tables: Sequence[pd.DataFrame], probes: Sequence[Probe]) -> pa.Table:
    """Return the scores of all points with the probe that each row is about."""
    about = pd.DataFrame({name: [getattr(p, name) for p in probes] for name in ("task", "unit", "form")})
    empty = pd.DataFrame({"step": [], "bits": [], "correct": []})
    whole = pd.concat(
        [pd.concat([about, scores], axis=1) for scores in tables] or [pd.concat([about[:0], empty], axis=1)]
    )
    return pa.Table.from_pandas(whole, preserve_index=False)


def describe(
    probes: Sequence[Probe], tokenizer: PreTrainedTokenizerBase, facts: Facts, counts: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Return each fact once, with the arm's token for it, if any, and how often training text holds that token."""
    rows = {}
    for probe in probes:
        if (probe.task, probe.unit) not in rows:
            token = added_token(probe, tokenizer, facts)
            rows[probe.task, probe.unit] = {
                "task": probe.task, "unit": probe.unit, "operands": probe.operands, "token": token,
                "count": counts.get(token, 0) if token else None,
            }  # fmt: skip
    return list(rows.values())
