"""An arm of the user's own: a list of words, each with the name and the text of the token that replaces it.

The errors of such a list are found here, before anything is built: names that ordinary text could hold, renderings that
would not be read back, and patterns that give a text two readings. docs/adding_an_arm.md has an example.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from mulfact.errors import UserError, unknown
from mulfact.tokenizers.facts import FactSettings, FactToken, Subset

KEY = "tokenizer.custom_tokens"
WORD = "[0-9A-Za-z_]"


def read_settings(section: Mapping[str, Any]) -> FactSettings:
    """Return what an arm rewrites, from its section `tokenizer`. Raises UserError for settings that cannot work."""
    return FactSettings(
        mode=section["mode"],
        max_operand=section["max_operand"],
        canonical_order=section["canonical_order"],
        token_names=section["token_names"],
        surface_forms=tuple(section["surface_forms"]),
        custom_tokens=parse_custom_tokens(section["custom_tokens"]),
        operation=section["operation"],
        digits=section["digits"],
        subset=parse_subset(section["subset"]),
    )


def parse_subset(entry: Mapping[str, Any]) -> Subset:
    """Return which facts have a token. Raises UserError for a key or a value that is none of a subset's."""
    kinds = {"share": int | float, "seed": int, "complement": bool}
    for key, value in entry.items():
        if key not in kinds:
            raise unknown("key", key, kinds, "tokenizer.subset")
        if not isinstance(value, kinds[key]) or (isinstance(value, bool) and key != "complement"):
            raise UserError(
                f"tokenizer.subset.{key} is {value!r}: expected {{share: 0.5, seed: 0, complement: false}} or such"
            )
    return Subset(**entry)


def parse_custom_tokens(entries: Iterable[Any]) -> tuple[FactToken, ...]:
    """Return the tokens of a recipe's list of {patterns, name, text}. Raises UserError for what cannot work."""
    tokens = tuple(_parse_entry(f"{KEY}, entry {number}", entry) for number, entry in enumerate(entries, 1))
    owner: dict[str, str] = {}
    for token in tokens:
        if [other.token for other in tokens].count(token.token) > 1:
            raise UserError(f"{KEY}: the name {token.token!r} is used twice")
        for pattern in token.patterns:
            if pattern in owner:
                raise UserError(f"{KEY}: {pattern!r} stands for {owner[pattern]} and for {token.token}")
            if named := [other.token for other in tokens if other.token in pattern and other.token != other.text]:
                raise UserError(
                    f"{KEY}: the pattern {pattern!r} holds {named[0]}, the name of a token, which would be read again "
                    "where it was written; choose another name"
                )
            owner[pattern] = token.token
    for pattern in owner:
        for other in owner:
            if overlap(pattern, other):
                raise UserError(
                    f"{KEY}: {pattern!r} ({owner[pattern]}) and {other!r} ({owner[other]}) overlap, so a text could be "
                    f"read in two ways; drop one"
                )
    return tokens


def _parse_entry(where: str, entry: Any) -> FactToken:
    if not isinstance(entry, dict) or set(entry) != {"patterns", "name", "text"}:
        raise UserError(f"{where}: expected the keys patterns, name and text; found {entry!r}")
    patterns, name, text = entry["patterns"], entry["name"], entry["text"]
    if not isinstance(patterns, list) or not patterns or not all(isinstance(p, str) and p for p in patterns):
        raise UserError(f"{where}: patterns must be a list of words or phrases; found {patterns!r}")
    if not isinstance(name, str) or not isinstance(text, str):
        raise UserError(f"{where}: name and text must be strings; found {name!r} and {text!r}")
    if not re.fullmatch(r"<[A-Za-z0-9_]+>", name) and name != text:
        raise UserError(
            f"{where}: the name {name!r} could occur in text; write it as <LETTERS_AND_DIGITS>, or make it equal to "
            f"the text"
        )
    if text not in patterns:
        raise UserError(
            f"{where}: {name} is decoded as {text!r}, which is not one of its patterns, so decoded text would be "
            f"encoded to other tokens; add it to the patterns"
        )
    for pattern in patterns:
        words = pattern.removeprefix(" ")
        if re.search(r"[\r\n\ue000-\uf8ff]|<\|", pattern) or not words or words != words.strip():
            raise UserError(
                f"{where}: the pattern {pattern!r} must be words in one line, with no white space at the ends but a "
                f"space in front, no private-use characters and no special tokens"
            )
    return FactToken(name, text, None, tuple(patterns))


def overlap(first: str, second: str) -> bool:
    """Whether two matches can share characters: one inside the other, or "of the" and "the end" in "of the end".

    A pattern counts only where it is not a part of a longer word, so "the" does not overlap with "other".
    """
    for start in range(1 - len(first), len(second)):
        if start == 0 and first == second:
            continue  # one match; but "again and again" can overlap with another match of itself
        lower, upper = max(0, start), min(len(second), start + len(first))
        if second[lower:upper] != first[lower - start : upper - start]:
            continue
        joined = second[:start] + first + second[start + len(first) :] if start >= 0 else first + second[upper:]
        offset = max(0, -start)  # of `second` in `joined`
        if is_whole(joined, offset, second) and is_whole(joined, offset + start, first):
            return True
    return False


def is_whole(text: str, start: int, pattern: str) -> bool:
    """Whether `pattern`, which stands at `start` in `text`, is not a part of a longer word there."""
    before, after = text[start - 1 : start] if start else "", text[start + len(pattern) : start + len(pattern) + 1]
    return not (is_word(pattern[0]) and is_word(before)) and not (is_word(pattern[-1]) and is_word(after))


def is_word(character: str) -> bool:
    return re.fullmatch(WORD, character) is not None
