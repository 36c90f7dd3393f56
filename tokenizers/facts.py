"""The table of facts: which products get a token, how the token is named, and the plain text it stands for.

    from mulfact.tokenizers.facts import FactSettings
    FactSettings(mode="weak").tokens()[0]   # FactToken(token="<MUL_1_1>", text="1*1", operands=(1, 1))

Everything that an arm changes is decided here, in one `FactSettings`. grammar.py turns it into patterns, and both
engines (rewrite.py for bulk work, normalizer.py for tokenizer.json) run those patterns.
"""

import dataclasses
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mulfact.errors import UserError

MODES = ("none", "weak", "strict", "placebo", "custom")
TOKEN_NAMES = ("structured", "literal")
SURFACE_FORMS = ("asterisk", "times_sign", "middle_dot", "letter_x", "times", "words", "chinese")
LARGEST_OPERAND = 20

VOCAB_SIZE_MULTIPLE = 64  # rows of the embedding: what a GPU multiplies fast

FACTS_FILE = "facts.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", FACTS_FILE)


@dataclass(frozen=True)
class FactToken:
    """One added token: its name in the vocabulary, the plain text it decodes to, and what it stands for.

    `operands` is None for placebo and custom tokens, which carry in `patterns` the words that they replace.
    """

    token: str
    text: str
    operands: tuple[int, int] | None = None
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True)
class FactSettings:
    """What an arm rewrites. Raises UserError for settings that are unknown or contradict each other."""

    mode: str = "none"
    max_operand: int = 9
    canonical_order: bool = False
    token_names: str = "structured"
    surface_forms: tuple[str, ...] = SURFACE_FORMS
    custom_tokens: tuple[FactToken, ...] = ()

    def __post_init__(self) -> None:
        _check_choice("mode", self.mode, MODES)
        _check_choice("token_names", self.token_names, TOKEN_NAMES)
        for form in self.surface_forms:
            _check_choice("surface_forms", form, SURFACE_FORMS)
        if not 1 <= self.max_operand <= LARGEST_OPERAND:
            raise UserError(f"tokenizer.max_operand is {self.max_operand}: expected 1 to {LARGEST_OPERAND}")
        if "asterisk" not in self.surface_forms:
            raise UserError(
                "tokenizer.surface_forms leaves out asterisk: fact tokens are decoded as 6*9, and what is decoded must "
                "be encoded to the same tokens again; add asterisk"
            )
        if self.custom_tokens and self.mode not in ("placebo", "custom"):
            raise UserError(f"tokenizer.custom_tokens is set, but tokenizer.mode is {self.mode}: set mode to custom")
        if not self.custom_tokens and self.mode == "custom":
            raise UserError("tokenizer.mode is custom, but tokenizer.custom_tokens is empty: list your tokens there")

    @property
    def multiplies(self) -> bool:
        """Whether the tokens of this arm are products, which the grammar knows how to find."""
        return self.mode in ("weak", "strict")

    @property
    def token_count(self) -> int:
        """The number of the arm's tokens; known for the placebo arm before its words are counted."""
        return len(self.custom_tokens) if self.mode in ("none", "custom") else len(self.pairs())

    def tokens(self) -> list[FactToken]:
        """Return the arm's tokens in the order of their ids."""
        if not self.multiplies:
            return list(self.custom_tokens)
        return [self.product_token(a, b) for a, b in self.pairs()]

    def pairs(self) -> list[tuple[int, int]]:
        """Return the operands that have a token of their own; with canonical order only a <= b."""
        numbers = range(1, self.max_operand + 1)
        return [(a, b) for a in numbers for b in numbers if a <= b or not self.canonical_order]

    def product_token(self, a: int, b: int) -> FactToken:
        """Return the token of a*b."""
        text = f"{a}*{b}={a * b}" if self.mode == "strict" else f"{a}*{b}"
        name = "<MUL_" + re.sub("[*=]", "_", text) + ">"
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
        settings = {name.name: getattr(self.settings, name.name) for name in dataclasses.fields(self.settings)}
        return {
            "mode": self.mode,
            "vocab_size": self.vocab_size,
            "base_vocab_size": self.base_vocab_size,
            "fact_tokens": [
                {"token": fact.token, "id": index, "operands": fact.operands, "text": fact.text}
                | ({"patterns": fact.patterns} if fact.patterns else {})
                for index, fact in self.by_id.items()
            ],
            "settings": {key: settings[key] for key in settings if key not in ("mode", "custom_tokens")},
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
    tokens = tuple(
        FactToken(
            entry["token"],
            entry["text"],
            tuple(entry["operands"]) if entry["operands"] else None,
            tuple(entry.get("patterns", ())),
        )
        for entry in content["fact_tokens"]
    )
    settings: dict[str, Any] = content["settings"] | {"mode": content["mode"]}
    settings["surface_forms"] = tuple(settings["surface_forms"])
    settings["custom_tokens"] = tokens if content["mode"] in ("placebo", "custom") else ()
    return Facts(content["mode"], content["vocab_size"], content["base_vocab_size"], tokens, FactSettings(**settings))
