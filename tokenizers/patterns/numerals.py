"""How a number is spelled in English and in Chinese."""

UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
CHINESE_DIGITS = "零一二三四五六七八九"


def number_words(number: int) -> list[str]:
    """Return the English spellings of 1 <= `number` < 1000: fifty-four, fifty four; one hundred and five, ... five."""
    if number < 20:
        return [UNITS[number]]
    if number < 100:
        tens, unit = TENS[number // 10], number % 10
        return [f"{tens}-{UNITS[unit]}", f"{tens} {UNITS[unit]}"] if unit else [tens]
    hundreds, rest = f"{UNITS[number // 100]} hundred", number % 100
    if not rest:
        return [hundreds]
    return [f"{hundreds}{joint}{words}" for words in number_words(rest) for joint in (" and ", " ")]


def chinese_numerals(number: int) -> list[str]:
    """Return the Chinese spellings of 1 <= `number` < 1000: 五十四; 十二 and 一十二; 一百零五."""
    hundreds, tens, unit = number // 100, number // 10 % 10, number % 10
    last = CHINESE_DIGITS[unit] if unit else ""
    if hundreds:
        middle = f"{CHINESE_DIGITS[tens]}十" if tens else ("零" if unit else "")
        return [f"{CHINESE_DIGITS[hundreds]}百{middle}{last}"]
    if tens == 1:
        return [f"十{last}", f"一十{last}"]
    return [f"{CHINESE_DIGITS[tens]}十{last}" if tens else last]
