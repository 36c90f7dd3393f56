"""Bulk encoding: the rewriter in front of the tokenizer without its normalizer, with the ids of tokenizer.json.

    from mulfact.tokenizers.encode import BulkEncoder
    BulkEncoder("outputs/smoke/mulfact/tokenizer").encode_batch(["6 × 9 = 54"])

It imports neither transformers nor torch, so a worker process starts at once.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from mulfact.errors import UserError
from mulfact.tokenizers.facts import read_facts
from mulfact.tokenizers.grammar import spell
from mulfact.tokenizers.normalizer import fact_normalizers
from mulfact.tokenizers.rewrite import Rewriter


class BulkEncoder:
    """Encodes many texts with a tokenizer built by build.py.

    Raises UserError when the folder is incomplete or its tokenizer.json was written from another grammar than this one.
    """

    def __init__(self, tokenizer_folder: str | Path) -> None:
        path = Path(tokenizer_folder) / "tokenizer.json"
        self.facts = read_facts(tokenizer_folder)
        if not path.is_file():
            raise UserError(f"{path} does not exist: build the tokenizer again (make tokenizer)")
        content = json.loads(path.read_text(encoding="utf-8"))
        steps = _steps(content["normalizer"])
        ours = [json.loads(step.__getstate__()) for step in fact_normalizers(self.facts.settings)]
        kept, found = steps[: len(steps) - len(ours)], steps[len(steps) - len(ours) :]
        if found != ours:
            raise UserError(f"{path} was built with another grammar of facts than this version's: build it again")
        content["normalizer"] = {"type": "Sequence", "normalizers": kept} if kept else None
        self._base_normalizer = Tokenizer.from_str(json.dumps(content)).normalizer
        content["normalizer"] = None
        # A literal name such as 6*9 stands between private marks in rewritten text.
        written = {fact.token: spell(fact, self.facts.settings.token_names) for fact in self.facts.fact_tokens}
        for token in content["added_tokens"]:
            token["content"] = written.get(token["content"], token["content"])
        self._tokenizer = Tokenizer.from_str(json.dumps(content))
        self._rewriter = Rewriter(self.facts.settings)
        special = [re.escape(token["content"]) for token in content["added_tokens"] if not token["normalized"]]
        self._special = re.compile(f"({'|'.join(special)})")
        self._rewrites = bool(steps)

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


def _steps(normalizer: dict | None) -> list[dict]:
    if normalizer is None:
        return []
    return normalizer["normalizers"] if normalizer["type"] == "Sequence" else [normalizer]
