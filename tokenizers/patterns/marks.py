"""Where products and sums stand in a text: a pattern for each kind of operator.

A fact is found at its operator, because operators are rare and looking for them is fast. A lookahead and a lookbehind
find the operands, and contexts.py says what may stand around them.
"""

from dataclasses import dataclass
from typing import Any

from mulfact.tokenizers.facts import FactSettings
from mulfact.tokenizers.patterns.contexts import (
    BEFORE,
    BEFORE_RECITATION,
    BEFORE_SUM,
    BEFORE_WORDS,
    CHINESE_NUMERALS,
    CURRENCY,
    EQUALS,
    GOES_ON,
    OPERANDS_END,
    RESULT_ENDS,
    SPACE,
)
from mulfact.tokenizers.patterns.spellings import (
    Spellings,
    alternation,
    any_of,
    in_sentence,
    is_english,
    operand_spellings,
    recited_operands,
    recited_products,
    result_spellings,
)

# Private-use characters that take the place of an operator. 九二十八 is recited, 九乘二十 is not:
# 九▮二 must be told from 九▮二十.
MARK, RECITED = "\ue000", "\ue005"
RECITED_MARK = MARK + RECITED
OPERAND_ENDS = "(?![0-9A-Za-z_]|[.,][0-9])"
# What follows a cue of one character, wherever there is a fact.
CUE_CONTEXT = f"(?={SPACE}?(?:[0-9]{{1,2}}{OPERAND_ENDS}|[以上{CHINESE_NUMERALS}]))"
SIGNS = {"asterisk": "*", "times_sign": "×", "middle_dot": "·⋅"}
EQUAL_SIGN = f"{SPACE}*={SPACE}*"


@dataclass(frozen=True)
class Mark:
    """Where a fact is: `pattern` matches its operator, its first group holds what precedes it, its last what follows.

    It matches only `offset` characters behind the start of a cue, or, when `spaced`, at a space before that.
    """

    pattern: str
    cues: tuple[str, ...]
    offset: int = 0
    spaced: bool = False
    replacement: str = MARK


@dataclass(frozen=True)
class Operator:
    """One way to write a fact: the operator with the spaces around it, and the operands that go with it."""

    pattern: str
    operands: Spellings
    before: tuple[str, ...] = BEFORE


def fact_marks(settings: FactSettings) -> list[Mark]:
    """Return the marks of an arm of products or sums, one for each kind of operator that is switched on."""
    forms = set(settings.kind.forms).intersection(settings.surface_forms)
    return sum_marks(settings, forms) if settings.operation == "add" else product_marks(settings, forms)


def product_marks(settings: FactSettings, forms: set[str]) -> list[Mark]:
    digits = operand_spellings(settings, ())
    signs = "".join(SIGNS[form] for form in SIGNS if form in forms)
    sign = Operator(f"{SPACE}?[{signs}]{SPACE}?", digits)
    ends = [end(settings, sign)]
    if settings.mode == "weak" and "chinese" in forms:
        ends.append(recitation(settings, sign))  # 六九五十四 is decoded as 6*9五十四
    marks = [mark(sign, alternation(ends), tuple(signs), spaced=True)]
    if "letter_x" in forms:
        letter = Operator(f"(?:x|{SPACE}x{SPACE})", digits)
        marks.append(mark(letter, x_equation(settings, letter), ("x",), spaced=True))
    marks += english_marks(settings, "times", forms) + chinese_marks(settings, "乘", "以", forms)
    if "chinese" in forms:
        recited = Operator("", recited_operands(settings), (*BEFORE, *BEFORE_RECITATION))
        numerals = tuple(numeral for spellings in recited.operands.values() for numeral in spellings)
        marks.append(mark(recited, recitation(settings, recited), numerals, offset=1, replacement=RECITED_MARK))
    return marks


def sum_marks(settings: FactSettings, forms: set[str]) -> list[Mark]:
    # With a space on both sides or on none: in 3 +4 and 3+ 4 the sign may belong to one number alone.
    sign = Operator(rf"(?:\+|{SPACE}\+{SPACE})", operand_spellings(settings, ()), (*BEFORE, *BEFORE_SUM))
    marks = [mark(sign, end(settings, sign), ("+",), spaced=True)]
    return marks + english_marks(settings, "plus", forms) + chinese_marks(settings, "加", "上", forms)


def english_marks(settings: FactSettings, word: str, forms: set[str]) -> list[Mark]:
    """Return the mark of an operator in English, between digits where its form is on and between number words."""
    operands = operand_spellings(settings, ("words",) if "words" in forms else ())
    if word not in forms:
        operands = {n: spellings[1:] for n, spellings in operands.items()}
    if not any(operands.values()):
        return []
    operator = Operator(f"{SPACE}{word}{SPACE}", operands, (*BEFORE, *BEFORE_WORDS))
    return [mark(operator, end(settings, operator), (word,), spaced=True)]


def chinese_marks(settings: FactSettings, character: str, ending: str, forms: set[str]) -> list[Mark]:
    """Return the mark of an operator in Chinese, between digits or numerals: 乘 or 乘以, 加 or 加上."""
    if "chinese" not in forms:
        return []
    operator = Operator(f"{character}{ending}?", operand_spellings(settings, ("chinese",)))
    return [mark(operator, end(settings, operator), (character,))]


def end(settings: FactSettings, operator: Operator) -> str:
    """Return what follows an operator in the mode of an arm."""
    return whole_equation(settings, operator) if settings.mode == "strict" else operands_alone(settings, operator)


def ascii_cue_context(settings: FactSettings) -> str:
    """Return what stands around the sign of a fact in ASCII text: operands in digits. It is read by `re` alone.

    The lookbehind comes last, for `re` finds a pattern fast that begins with a letter, and takes texts of one length.
    """
    digits = operand_spellings(settings, ())
    lengths = {len(str(n)) for n in digits}
    numbers = [any_of({n: s for n, s in digits.items() if len(str(n)) == length}) for length in sorted(lengths)]
    before = alternation(f"(?<=(?<![0-9]){number}{space}.)" for space in ("", SPACE) for number in numbers)
    return f"(?={SPACE}?{any_of(digits)}{OPERAND_ENDS}){before}"


def mark(operator: Operator, end: str, cues: tuple[str, ...], **how: Any) -> Mark:
    """Return the mark of an operator; `end` is what must follow it. Most places fail in the look ahead."""
    follows = f"(?={operator.pattern}{any_of(operator.operands)}{OPERAND_ENDS})"
    return Mark(f"{follows}{first_operand(operator)}{operator.pattern}{end}", cues, **how)


def first_operand(operator: Operator) -> str:
    """Return a lookbehind for the whole first operand with nothing before it that it could be a part of.

    Spellings that end alike (6 and 16, 六 and 十六) go into groups of one length, so that each is tried as a whole.
    """
    spellings = [s for n in operator.operands for s in operator.operands[n]]
    others = [s for s in spellings if not is_english(s)]
    groups = [[s for s in others if len(s) == length] for length in sorted({len(s) for s in others})]
    groups.append([in_sentence(s) for s in spellings if is_english(s)])
    operands = [alternation(group) for group in groups if group]
    return alternation(
        f"(?<=({operand}))" + "".join(f"(?<!(?:{before}){operand})" for before in operator.before)
        for operand in operands
    )


def operands_alone(settings: FactSettings, operator: Operator) -> str:
    """Return what follows the operator in weak mode: the second operand, and no sign that it is not the end.

    6*9=540 is not even a false equation: it is 6*9=54 with a 0 after it.
    """
    equals, results = f"{EQUALS}{CURRENCY}?", result_spellings(settings)
    # Asked first, because most numbers fail it: does a result of the second operand go on, whatever the first one is?
    possible = f"(?={any_result(settings, operator, equals, results)}{GOES_ON})"
    longer = f"{possible}{truths(settings, operator, equals, results, GOES_ON)}"
    return f"(?=({any_of(operator.operands)}){OPERANDS_END})(?!{longer})"


def whole_equation(settings: FactSettings, operator: Operator, equals: str = EQUALS, forms: bool = True) -> str:
    """Return what follows the operator in strict mode: the second operand and the true result."""
    second = any_of(operator.operands)
    results = result_spellings(settings, None if forms else ())
    whole = f"(?=({second}{equals}{any_of(results)}){RESULT_ENDS})"
    return f"{whole}(?={truths(settings, operator, equals, results, RESULT_ENDS)})"


def x_equation(settings: FactSettings, operator: Operator) -> str:
    """Return what follows an x: since 4x4 is more often a truck, = and the product, or in weak mode a blank."""
    if settings.mode == "strict":
        return whole_equation(settings, operator, EQUAL_SIGN, forms=False)
    second, sign = any_of(operator.operands), f"{EQUAL_SIGN}{CURRENCY}?"
    blank = rf"(?={second}{sign}(?:<<|(?![^\n\r?_])))"
    truth = truths(settings, operator, sign, result_spellings(settings, ()), RESULT_ENDS)
    return f"(?=({second}){sign})(?:{blank}|(?={truth}))"


def recitation(settings: FactSettings, operator: Operator) -> str:
    """Return what follows a first operand that is recited without a word for "is": 九五十四 after 六."""
    few = Operator(operator.pattern, {n: operator.operands[n] for n in recited_operands(settings)})
    products = recited_products(settings)
    truth = f"(?={truths(settings, few, '', products, RESULT_ENDS)})"
    if settings.mode == "strict":
        return f"(?=({any_of(few.operands)}{any_of(products)}){RESULT_ENDS}){truth}"
    return f"(?=({any_of(few.operands)}){any_of(products)}){truth}"


def any_result(settings: FactSettings, operator: Operator, equals: str, results: Spellings) -> str:
    """Return a pattern, from behind the operator, for the second operand, `equals` and its result with any operand."""
    return alternation(
        f"{any_of({b: spellings})}{equals}{any_of({a: results[settings.kind.result(a, b)] for a in operator.operands})}"
        for b, spellings in operator.operands.items()
    )


def truths(settings: FactSettings, operator: Operator, equals: str, results: Spellings, end: str) -> str:
    """Return a pattern, from behind the operator, for the second operand, `equals`, the true result and `end`."""
    cases = []
    for a, spellings in operator.operands.items():
        first = alternation(in_sentence(s) for s in spellings)
        behind = f"(?<={first}{operator.pattern})(?<![0-9十]{first}{operator.pattern})"
        rest = (
            f"{any_of({b: second})}{equals}{any_of({0: results[settings.kind.result(a, b)]})}"
            for b, second in operator.operands.items()
        )
        cases.append(behind + alternation(rest))
    return alternation(cases) + end
