"""Bulk encoding: the rewriter in front of the tokenizer without its normalizer, with the ids of tokenizer.json.

    from mulfact.tokenizers.encode import BulkEncoder
    BulkEncoder("outputs/smoke/mulfact/tokenizer").encode_batch(["6 × 9 = 54"])

It imports neither transformers nor torch, so a worker process starts at once.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from mulfact.errors import UserError
from mulfact.tokenizers.facts import Facts, read_facts
from mulfact.tokenizers.patterns.grammar import spell
from mulfact.tokenizers.patterns.normalizer import fact_normalizers
from mulfact.tokenizers.rewrite import Rewriter


class BulkEncoder:
    """Encodes many texts with a tokenizer built by build.py.

    Raises UserError when the folder is incomplete or its tokenizer.json was written from another grammar than this one.
    """

    def __init__(self, tokenizer_folder: str | Path) -> None:
        self.facts = read_facts(tokenizer_folder)
        content, rewriting = unrewritten(tokenizer_folder, self.facts)
        self._base_normalizer = Tokenizer.from_str(json.dumps(content)).normalizer
        self._tokenizer = Tokenizer.from_str(json.dumps(content | {"normalizer": None}))
        self._rewriter = Rewriter(self.facts.settings)
        special = [re.escape(token["content"]) for token in content["added_tokens"] if not token["normalized"]]
        self._special = re.compile(f"({'|'.join(special)})")
        self._rewrites = rewriting or self._base_normalizer is not None

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text; no special tokens are added."""
        if self._rewrites:
            texts = [self.rewrite(text) for text in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def rewrite(self, text: str) -> str:
        """Return `text` with its facts rewritten. As in tokenizer.json, a fact sees no further than a special token."""
        return self._by_segment(self._rewriter.rewrite, text)

    def canonical(self, text: str) -> str:
        """Return the canonical rendering of `text`: what its ids decode to."""
        return self._by_segment(self._rewriter.canonical, text)

    def _by_segment(self, change: Callable[[str], str], text: str) -> str:
        if self._special.search(text) is None and self._base_normalizer is None:
            return change(text)
        segments = self._special.split(text)
        if self._base_normalizer is not None:
            segments[::2] = [self._base_normalizer.normalize_str(segment) for segment in segments[::2]]
        segments[::2] = [change(segment) for segment in segments[::2]]
        return "".join(segments)


def plain_tokenizer(tokenizer_folder: str | Path) -> Tokenizer:
    """Return a tokenizer that reads text as the base vocabulary does, and decodes fact tokens as the arm does.

    Raises UserError as `unrewritten`.
    """
    content, _ = unrewritten(tokenizer_folder, read_facts(tokenizer_folder))
    return Tokenizer.from_str(json.dumps(content))


def unrewritten(tokenizer_folder: str | Path, facts: Facts) -> tuple[dict[str, Any], bool]:
    """Return tokenizer.json without the steps that rewrite facts, and whether there were any.

    A fact token whose name is ordinary text, such as 6*9, stands under the name that only rewritten text holds.
    Raises UserError when the file is missing or was written from another grammar than this version's.
    """
    path = Path(tokenizer_folder) / "tokenizer.json"
    if not path.is_file():
        raise UserError(f"{path} does not exist: build the tokenizer again (make tokenizer)")
    content = json.loads(path.read_text(encoding="utf-8"))
    normalizer = content["normalizer"] or {"type": "Sequence", "normalizers": []}
    steps = normalizer["normalizers"] if normalizer["type"] == "Sequence" else [normalizer]
    ours = [json.loads(step.__getstate__()) for step in fact_normalizers(facts.settings)]
    kept, found = steps[: len(steps) - len(ours)], steps[len(steps) - len(ours) :]
    if found != ours:
        raise UserError(f"{path} was built with another grammar of facts than this version's: build it again")
    content["normalizer"] = {"type": "Sequence", "normalizers": kept} if kept else None
    # A literal name such as 6*9 stands between private marks in rewritten text.
    written = {fact.token: spell(fact, facts.settings) for fact in facts.fact_tokens}
    for token in content["added_tokens"]:
        token["content"] = written.get(token["content"], token["content"])
    return content | {"padding": None, "truncation": None}, bool(ours)  # a trainer may have left its own behind
