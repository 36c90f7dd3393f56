"""The table of facts: which products or sums get a token, how it is named, and the plain text it stands for.

    from mulfact.tokenizers.facts import FactSettings
    FactSettings("weak").tokens()[0]                     # FactToken(token="<MUL_1_1>", text="1*1", operands=(1, 1))
    FactSettings("weak", operation="add").tokens()[0]    # FactToken(token="<ADD_1_1>", text="1+1", operands=(1, 1))

Everything that an arm changes is decided here, in one `FactSettings`. patterns/grammar.py turns it into patterns, and
both engines (rewrite.py for bulk work, patterns/normalizer.py for tokenizer.json) run those patterns. What an arm reads
and what it has tokens for are two things: a fact that is not drawn (`Subset`) is written canonically, as plain text.
"""

import dataclasses
import hashlib
import json
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mulfact.errors import UserError


@dataclass(frozen=True)
class Operation:
    """How facts of one kind are named, written and worked out; the first of `forms` is how they are decoded."""

    prefix: str
    sign: str
    forms: tuple[str, ...]
    result: Callable[[int, int], int]


OPERATIONS = {
    "multiply": Operation(
        "MUL",
        "*",
        ("asterisk", "times_sign", "middle_dot", "letter_x", "times", "words", "chinese"),
        operator.mul,
    ),
    "add": Operation("ADD", "+", ("plus_sign", "plus", "words", "chinese"), operator.add),
}
SURFACE_FORMS = tuple(dict.fromkeys(form for operation in OPERATIONS.values() for form in operation.forms))
MODES = ("none", "weak", "strict", "placebo", "custom")
TOKEN_NAMES = ("structured", "literal")
DIGITS = ("bpe", "split")
LARGEST_OPERAND = 20

VOCAB_SIZE_MULTIPLE = 64  # rows of the embedding: what a GPU multiplies fast

FACTS_FILE = "facts.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", FACTS_FILE)


@dataclass(frozen=True)
class FactToken:
    """One fact: its token's name in the vocabulary, the plain text it decodes to, and what it stands for.

    `operands` is None for placebo and custom tokens, which carry in `patterns` the words that they replace.
    """

    token: str
    text: str
    operands: tuple[int, int] | None = None
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subset:
    """Which of an arm's facts have a token: a share of them, drawn by a seed, or with `complement` the others.

    6*9 and 9*6 are drawn together: who knows one knows the other, so a fact without a token must not have a token in
    its other order. One seed draws the same operands for products and for sums, in weak and in strict mode.
    """

    share: float = 1.0
    seed: int = 0
    complement: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise UserError(f"tokenizer.subset.share is {self.share}: expected 0 (no fact has a token) to 1 (all)")

    def draw(self, facts: list[FactToken]) -> frozenset[FactToken]:
        """Return those of `facts` that have a token; a larger share of the same seed holds a smaller one."""
        units = sorted({_unit(fact) for fact in facts}, key=lambda unit: _shuffled(self.seed, unit))
        drawn = set(units[: round(self.share * len(units))])
        return frozenset(fact for fact in facts if (_unit(fact) in drawn) != self.complement)


def _unit(fact: FactToken) -> str:
    """Return what is drawn as one: operands in either order, or the token of a list."""
    return fact.token if fact.operands is None else "{} {}".format(*sorted(fact.operands))


def _shuffled(seed: int, unit: str) -> bytes:
    """Return the place of a unit in the order of a seed, the same in every version of Python."""
    return hashlib.blake2b(f"{seed} {unit}".encode()).digest()


@dataclass(frozen=True)
class FactSettings:
    """What an arm rewrites. Raises UserError for settings that are unknown or contradict each other."""

    mode: str = "none"
    max_operand: int = 9
    canonical_order: bool = False
    token_names: str = "structured"
    surface_forms: tuple[str, ...] = SURFACE_FORMS
    custom_tokens: tuple[FactToken, ...] = ()
    operation: str = "multiply"
    digits: str = "bpe"
    subset: Subset = Subset()

    def __post_init__(self) -> None:
        _check_choice("mode", self.mode, MODES)
        _check_choice("operation", self.operation, tuple(OPERATIONS))
        _check_choice("token_names", self.token_names, TOKEN_NAMES)
        _check_choice("digits", self.digits, DIGITS)
        for form in self.surface_forms:
            _check_choice("surface_forms", form, SURFACE_FORMS)
        if not 1 <= self.max_operand <= LARGEST_OPERAND:
            raise UserError(f"tokenizer.max_operand is {self.max_operand}: expected 1 to {LARGEST_OPERAND}")
        decoded = self.kind.forms[0]
        if decoded not in self.surface_forms:
            raise UserError(
                f"tokenizer.surface_forms leaves out {decoded}: fact tokens are decoded as 6{self.kind.sign}9, and "
                f"what is decoded must be encoded to the same tokens again; add {decoded}"
            )
        if self.custom_tokens and self.mode not in ("placebo", "custom"):
            raise UserError(f"tokenizer.custom_tokens is set, but tokenizer.mode is {self.mode}: set mode to custom")
        if not self.custom_tokens and self.mode == "custom":
            raise UserError("tokenizer.mode is custom, but tokenizer.custom_tokens is empty: list your tokens there")
        if self.mode == "none" and self.subset != Subset():
            raise UserError("tokenizer.subset is set, but tokenizer.mode is none: there are no facts to draw from")

    @property
    def kind(self) -> Operation:
        return OPERATIONS[self.operation]

    @property
    def calculates(self) -> bool:
        """Whether the facts of this arm are products or sums, which the grammar knows how to find."""
        return self.mode in ("weak", "strict")

    @property
    def token_count(self) -> int:
        """The number of the arm's tokens; known for the placebo arm before its words are counted."""
        return len(self.replaced().tokens() if self.mode == "placebo" else self.tokens())

    def tokens(self) -> list[FactToken]:
        """Return the facts that have a token, in the order of their ids."""
        return [fact for fact in self.facts() if self.has_token(fact)]

    def has_token(self, fact: FactToken) -> bool:
        """Whether a fact of this arm has a token; the others are written as their text."""
        return fact in self._drawn

    @cached_property
    def _drawn(self) -> frozenset[FactToken]:
        # The placebo's words were chosen for the facts that are drawn.
        return frozenset(self.facts()) if self.mode == "placebo" else self.subset.draw(self.facts())

    def facts(self) -> list[FactToken]:
        """Return all that the arm reads."""
        if not self.calculates:
            return list(self.custom_tokens)
        return [self.fact(a, b) for a, b in self.pairs()]

    def replaced(self) -> "FactSettings":
        """Return the weak arm that a placebo arm stands in for: as many tokens, for facts."""
        return dataclasses.replace(self, mode="weak", custom_tokens=())

    def pairs(self) -> list[tuple[int, int]]:
        """Return the operands of each fact; with canonical order only a <= b."""
        numbers = range(1, self.max_operand + 1)
        return [(a, b) for a in numbers for b in numbers if a <= b or not self.canonical_order]

    def fact(self, a: int, b: int) -> FactToken:
        """Return the fact of a and b."""
        text = f"{a}{self.kind.sign}{b}" + (f"={self.kind.result(a, b)}" if self.mode == "strict" else "")
        name = f"<{self.kind.prefix}_" + re.sub("[*+=]", "_", text) + ">"
        return FactToken(text if self.token_names == "literal" else name, text, (a, b))


def padded_size(tokens: int) -> int:
    """Return the smallest vocab_size for so many tokens: a multiple of 64."""
    return -(-tokens // VOCAB_SIZE_MULTIPLE) * VOCAB_SIZE_MULTIPLE


def _check_choice(key: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        raise UserError(f"tokenizer.{key}: found {value!r}; expected one of {', '.join(valid)}")


@dataclass(frozen=True)
class Facts:
    """The content of facts.json: all that other stages know about an arm's tokens."""

    mode: str
    vocab_size: int  # padded: the rows of the model's embedding
    base_vocab_size: int  # without fact tokens; the id of the first fact token
    fact_tokens: tuple[FactToken, ...]
    settings: FactSettings = field(default_factory=FactSettings)

    @property
    def ids(self) -> dict[str, int]:
        """Return the id of each fact token by its name."""
        return {fact.token: index for index, fact in self.by_id.items()}

    @property
    def by_id(self) -> dict[int, FactToken]:
        """Return the fact tokens by id."""
        return dict(enumerate(self.fact_tokens, self.base_vocab_size))

    def to_json(self) -> dict[str, Any]:
        """Return what facts.json holds."""
        settings = dataclasses.asdict(self.settings)
        if self.settings.calculates:
            del settings["custom_tokens"]
        return {
            "mode": self.mode,
            "vocab_size": self.vocab_size,
            "base_vocab_size": self.base_vocab_size,
            "fact_tokens": [
                {"token": fact.token, "id": index, "operands": fact.operands, "text": fact.text}
                | ({"operation": self.settings.operation} if fact.operands else {})
                | ({"patterns": fact.patterns} if fact.patterns else {})
                for index, fact in self.by_id.items()
            ],
            "settings": {key: value for key, value in settings.items() if key != "mode"},
        }


def read_facts(folder: str | Path) -> Facts:
    """Return the facts of a tokenizer or model folder. Raises UserError when facts.json is missing or malformed."""
    path = Path(folder) / FACTS_FILE
    if not path.is_file():
        raise UserError(f"{path} does not exist: expected a tokenizer built by mulfact (make tokenizer)")
    try:
        return facts_from(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a facts.json of mulfact ({error!r}): build the tokenizer again") from error


def facts_from(content: dict[str, Any]) -> Facts:
    """Return what facts.json says. Raises ValueError, KeyError or TypeError for other content."""
    tokens = tuple(_read_token(entry) for entry in content["fact_tokens"])
    settings: dict[str, Any] = content["settings"] | {"mode": content["mode"]}
    settings["surface_forms"] = tuple(settings["surface_forms"])
    settings["subset"] = Subset(**settings.get("subset", {}))
    listed = settings.get("custom_tokens", content["fact_tokens"] if content["mode"] in ("placebo", "custom") else ())
    settings["custom_tokens"] = tuple(_read_token(entry) for entry in listed)
    return Facts(content["mode"], content["vocab_size"], content["base_vocab_size"], tokens, FactSettings(**settings))


def _read_token(entry: dict[str, Any]) -> FactToken:
    operands = tuple(entry["operands"]) if entry["operands"] else None
    return FactToken(entry["token"], entry["text"], operands, tuple(entry.get("patterns", ())))
