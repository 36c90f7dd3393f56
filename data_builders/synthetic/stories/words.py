"""The words of the word problems, a few hundred, so that a small BPE covers them."""

from functools import lru_cache

from mulfact.tokenizers.patterns.numerals import CHINESE_DIGITS, chinese_numerals, number_words

_SHE = """
    Ann Mia Eva Lily Rosa Nina Julia Sara Amy Ella Grace Maria Lucy Emma Zoe Kate Ruth Clara Nora Alice Betty Lena Priya
    Mei Fatima Aisha Olga Carmen Ines Wendy Tina Helen Jane Laura Diana Sofia Hannah Vera Leila Paula Susan Yuki Martha
    Elena Judy Naomi Rita Anita
"""
_HE = """
    Tom Ben Max Sam Leo Jack Peter John Mark Paul Adam Eric Luis Carl Omar Ivan Noah Oscar Hugo Felix Ken David Amir Raj
    Wei Diego Marco Toby Frank Henry Victor Simon James Robert Daniel Jose Ali Kevin Brian Jacob Ahmed Pablo Anton Gary
    Ravi Louis Steve Martin
"""
PEOPLE = [
    *({"name": name, "He": "She", "he": "she", "his": "her", "His": "Her", "him": "her"} for name in _SHE.split()),
    *({"name": name, "He": "He", "he": "he", "his": "his", "His": "His", "him": "him"} for name in _HE.split()),
]

# What is counted, and what it comes in. A + stands for a space inside a noun.
_OBJECTS = {
    "box boxes": """apple apples, pencil pencils, egg eggs, candle candles, crayon crayons, cookie cookies, toy toys,
        muffin muffins, cupcake cupcakes, ornament ornaments, donut donuts""",
    "bag bags": """marble marbles, orange oranges, lemon lemons, potato potatoes, peach peaches, onion onions,
        bead beads,
        walnut walnuts, bagel bagels, button buttons, shell shells, coin coins""",
    "basket baskets": """pear pears, plum plums, flower flowers, tomato tomatoes, mango mangoes, carrot carrots,
        rose roses,
        cherry cherries, acorn acorns""",
    "pack packs": """card cards, sticker stickers, pen pens, stamp stamps, balloon balloons, battery batteries,
        eraser erasers, magnet magnets, ribbon ribbons, napkin napkins""",
    "jar jars": "pickle pickles, candy candies, jelly+bean jelly+beans, olive olives, peanut peanuts, screw screws",
    "case cases": """book books, plate plates, cup cups, photo photos, model+car model+cars, vase vases,
        puzzle puzzles""",
    "tray trays": "seed seeds, tart tarts, sandwich sandwiches, brownie brownies, roll rolls, plant plants",
}
OBJECTS = []
for _containers, _nouns in _OBJECTS.items():
    _box, _boxes = _containers.split()
    for _noun in _nouns.split(","):
        _thing, _things = (word.replace("+", " ") for word in _noun.split())
        OBJECTS.append({"box": _box, "boxes": _boxes, "thing": _thing, "things": _things})

TIMES = ("Then", "Later", "After that,", "The next day,", "A day later,", "Soon after,", "A week later,", "Next,")

FRACTIONS = {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth", 10: "a tenth"}
PERCENTAGES = {2: "50%", 4: "25%", 5: "20%", 10: "10%"}


@lru_cache(maxsize=1000)
def number_in_words(n: int) -> str:
    """Return 0 <= n < 1000 in English: 54 is fifty-four, 120 one hundred and twenty."""
    return number_words(n)[0]


@lru_cache(maxsize=1000)
def number_in_chinese(n: int) -> str:
    """Return 0 <= n < 1000 in Chinese: 54 is 五十四, 12 is 十二, 105 is 一百零五."""
    return chinese_numerals(n)[0] if n else CHINESE_DIGITS[0]
