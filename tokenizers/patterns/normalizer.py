"""The second engine: the grammar as components of the `tokenizers` library, stored inside tokenizer.json.

The normalizer writes each fact as its token's name before the text is split; the decoder turns the name back into plain
text. So a released tokenizer needs no code of ours: AutoTokenizer.from_pretrained reads and writes plain text.
"""

from tokenizers import Regex, decoders, normalizers, pre_tokenizers

from mulfact.tokenizers.facts import FactSettings
from mulfact.tokenizers.patterns.grammar import CLOSE, ESCAPED_MARK, OPEN, build_grammar, spell
from mulfact.tokenizers.patterns.marks import MARK
from mulfact.tokenizers.patterns.spellings import escape


def fact_normalizers(settings: FactSettings) -> list[normalizers.Normalizer]:
    """Return the steps that write facts as token names; none for an arm without fact tokens."""
    grammar = build_grammar(settings)
    if not grammar.marks:
        return []
    return [
        normalizers.Replace(MARK, ESCAPED_MARK),
        *(normalizers.Replace(Regex(mark.pattern), mark.replacement) for mark in grammar.marks),
        *(normalizers.Replace(Regex(pattern), replacement) for pattern, replacement in grammar.pieces),
        normalizers.Replace(ESCAPED_MARK, MARK),
    ]


def fact_decoders(settings: FactSettings) -> list[decoders.Decoder]:
    """Return the steps that turn the name of a fact token into its text, in the byte alphabet that ByteLevel decodes.

    The names of products and sums are taken apart by pattern (`<MUL_6_9>` to `6*9`), in a few steps for any number of
    tokens; MARK, which no byte-level token contains, keeps ordinary tokens such as `9>` out of it.
    """
    if not settings.calculates:
        return [decoders.Replace(spell(fact, settings), byte_level(fact.text)) for fact in settings.tokens()]
    if not settings.tokens():
        return []
    if settings.token_names == "literal":
        return [decoders.Replace(OPEN, ""), decoders.Replace(CLOSE, "")]
    kind, number, strict = settings.kind, "[1-9][0-9]*", settings.mode == "strict"
    operands, result = rf"{number}{escape(kind.sign)}{number}", rf"={number}" if strict else ""
    equals = [decoders.Replace(Regex(rf"(?<=\A{MARK}{operands})_(?={number}>\z)"), "=")] if strict else []
    return [
        decoders.Replace(Regex(rf"\A<{kind.prefix}_(?=(?:{number}_){{{2 if strict else 1}}}{number}>\z)"), MARK),
        decoders.Replace(Regex(rf"(?<=\A{MARK}{number})_"), kind.sign),
        *equals,
        decoders.Replace(Regex(rf"(?<=\A{MARK}{operands}{result})>"), ""),
        decoders.Replace(MARK, ""),
    ]


def byte_level(text: str) -> str:
    """Return `text` in GPT-2's byte alphabet, one character for each byte."""
    ((mapped, _),) = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    return mapped
