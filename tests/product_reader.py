"""A reader of products and expressions in every writing, apart from the generator that writes them."""

import re

from mulfact.data_builders.synthetic.stories.words import number_in_chinese, number_in_words

SPELLED = {number_in_words(n): n for n in range(1000)} | {number_in_chinese(n): n for n in range(1000)}
NAMES = re.compile("|".join(sorted(map(re.escape, SPELLED), key=len, reverse=True)))
SPELLED_OUT = re.compile("[a-z] (?:times|plus|minus|divided)|[乘加减除]")
SIGNS = (
    (r" ?(?:\*|×|·| x | times |乘) ?", "*"),
    (r" ?(?:/|÷| divided by |除以) ?", "/"),
    (r"(?<=\d):(?=\d)", "/"),
    (r" ?(?:\+| plus |加) ?", "+"),
    (r"(?<=\d) ?(?:-| minus |减) ?(?=[\d(])", "-"),
)
CHAIN = re.compile(r"[\d(][\d()+\-*/]*[+\-*/][\d()+\-*/]*[\d)]")


def plain(text: str) -> str:
    """Return the text with every number in digits and every operation by its sign, without spaces around it."""
    if SPELLED_OUT.search(text):
        text = NAMES.sub(lambda match: str(SPELLED[match.group()]), text)
    for pattern, sign in SIGNS:
        text = re.sub(pattern, sign, text)
    return text


def products_in(text: str) -> set[tuple[int, int]]:
    """Return every pair of numbers whose product the text shows, by multiplication or by division."""
    text = plain(text)
    pairs = {(int(a), int(b)) for a, b in re.findall(r"(?<!\d)(\d+)(?=\*(\d+))", text)}
    pairs |= {(int(a) + int(b), int(c)) for a, b, c in re.findall(r"\((\d+)\+(\d+)\)\*(\d+)", text)}
    pairs |= {(int(a) // int(b), int(b)) for a, b in re.findall(r"(?<!\d)(\d+)(?=/(\d+))", text)}
    return pairs


def expressions_in(text: str) -> set[str]:
    """Return every expression of at least two operations."""
    return {chain for chain in CHAIN.findall(plain(text)) if len(re.findall(r"[+\-*/]", chain)) > 1}
