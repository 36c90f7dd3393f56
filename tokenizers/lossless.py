"""Whether a base tokenizer gives every text back unchanged, and if not, which of its parts changes it.

    from mulfact.tokenizers.lossless import changed_by
    changed_by(Tokenizer.from_pretrained("gpt2"))    # None

The arms rewrite text and must read it alike, so a base may lose or add nothing. Trying texts cannot prove that; the
parts can: a byte-level BPE loses nothing when only splitting stands before it and its vocabulary has every byte.
"""

import json
from collections.abc import Iterator
from typing import Any

from tokenizers import Tokenizer, pre_tokenizers

# Pre-tokenizers that only split, provided that a split does not remove what it splits at.
SPLITTERS = ("Split", "Digits", "Punctuation", "UnicodeScripts", "FixedLength")
PROBES = (
    "6*9=54.", " 6 × 9 =\t54 ", "  two  spaces\n\n and\r\n lines \n", "ABC Straße İ ǅ", "e\u0301 é ﬁ ½ Ⅷ Å ５４ ｶﾞ",
    "六乘九等于五十四。", "don't do n't , . ! [UNK] <s> ## ▁ Ġ </w>", "🙂👩‍👩‍👧 \u200b\u00ad\ufeff\u2028\x00\x7f",
)  # fmt: skip


def changed_by(tokenizer: Tokenizer) -> str | None:
    """Return which part of a tokenizer changes texts, and how; None when it returns every text unchanged."""
    parts = json.loads(tokenizer.to_str())
    tokenizer = Tokenizer.from_str(tokenizer.to_str())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    found = (
        _decoder(parts["decoder"])
        or _normalizer(tokenizer, parts["normalizer"])
        or _pre_tokenizer(parts["pre_tokenizer"])
        or _model(parts["model"])
        or _post_processor(tokenizer, parts["post_processor"])
    )
    if found:
        return found
    for token in parts["added_tokens"]:
        text = f"a {token['content']} b"
        if (given := _round(tokenizer, text)) != text:
            return f"its added token {token['content']!r} makes {given!r} of {text!r}"
    given_back = ((text, _round(tokenizer, text)) for text in PROBES)
    return next((f"it makes {given!r} of {text!r}" for text, given in given_back if given != text), None)


def _round(tokenizer: Tokenizer, text: str) -> str:
    return tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False)


def _decoder(part: dict[str, Any] | None) -> str | None:
    if part is None or part["type"] != "ByteLevel":
        return "it has no decoder" if part is None else f"it has a {part['type']} decoder"
    return None


def _normalizer(tokenizer: Tokenizer, part: dict[str, Any] | None) -> str | None:
    names = [one["type"] for one in _flat(part, "normalizers")]
    if not names:
        return None
    changed = ((text, tokenizer.normalizer.normalize_str(text)) for text in PROBES)
    example = next((f"makes {new!r} of {text!r}" for text, new in changed if new != text), "may change texts")
    return f"its normalizer ({', '.join(names)}) {example}"


def _pre_tokenizer(part: dict[str, Any] | None) -> str | None:
    byte_levels = 0
    for one in _flat(part, "pretokenizers"):
        if one["type"] == "ByteLevel":
            byte_levels += 1
            if one["add_prefix_space"]:
                return "its pre-tokenizer (ByteLevel with add_prefix_space) puts a space in front of a text"
        elif one["type"] not in SPLITTERS or one.get("behavior") == "Removed":
            return f"its pre-tokenizer ({one['type']}) removes or replaces what it splits at"
    if byte_levels != 1:
        return f"its pre-tokenizer turns text into bytes {byte_levels} times (ByteLevel); expected once"
    return None


def _model(part: dict[str, Any]) -> str | None:
    if part["type"] != "BPE":
        return f"its model is {part['type']}, not BPE, and has no token for some texts"
    if part["dropout"]:
        return f"its model has dropout {part['dropout']}: it gives other tokens each time"
    for key in ("continuing_subword_prefix", "end_of_word_suffix"):
        if part[key]:
            return f"its model ({key}: {part[key]!r}) marks the parts of a word, and the decoder does not take it away"
    vocabulary = part["vocab"]
    missing = sorted(set(pre_tokenizers.ByteLevel.alphabet()) - set(vocabulary))
    if missing:
        return f"its vocabulary lacks {len(missing)} of the 256 bytes ({' '.join(missing[:8])})"
    if len(set(vocabulary.values())) < len(vocabulary):
        return "its vocabulary gives one id to two tokens"
    return None


def _post_processor(tokenizer: Tokenizer, part: dict[str, Any] | None) -> str | None:
    alone, with_added = (tokenizer.encode("a", add_special_tokens=added).tokens for added in (False, True))
    if alone != with_added:
        names = ", ".join(one["type"] for one in _flat(part, "processors"))
        added = " ".join(token for token in with_added if token not in alone)
        return f"its post-processor ({names}) adds {added} to every text"
    return None


def _flat(part: dict[str, Any] | None, key: str) -> Iterator[dict[str, Any]]:
    if part is None:
        return
    if part["type"] == "Sequence":
        for one in part[key]:
            yield from _flat(one, key)
    else:
        yield part
