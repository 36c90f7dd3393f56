"""Texts for property tests of the tokenizers: facts in every spelling, and what may stand around them."""

from hypothesis import strategies as st

FACTS = (
    "6*9", "6 × 9", "6·9=54", "6x9=54", "6 x 9 = ", "2 times 9 is 18", "six times nine",
    "Six times nine is fifty-four", "1*1等于",
    "六乘九", "6乘9得54", "六九五十四", "6*9五十四", "九二十八", "五二十", "五乘二十", "3*6 is 18", "12*12",
    "16 times 2",
    "3+4", "3 + 4 = 7", "2 plus 9 is 11", "three plus four", "Nine plus two equals eleven", "三加四等于七",
    "3加4", "6+12",
    "nine times two equals eighteen", "twelve times two", "十二乘二等于二十四", "6*9=54",
)  # fmt: skip
PARTS = (
    "6", "9", "1", "2", "3", "12", "16", "54", "18", "*", "×", "·", "x", " x ", " ", "  ", "=", " = ", "+", "-",
    "/", ".", ",", ", ", "(", ")", "[", "]", "{", "}", "<", ">", "<<", ">>", "$", "%", "^", "_", "\n", "\t",
    " times ", " is ", " equals ", "six", "Six", "nine", "twelve", "fifty-four", "fifty four", "eighteen",
    "hundred",
    "六", "九", "二", "十", "十六", "得", "五十四", "十八", "乘", "乘以", "等于", "是", "加", "的", "!",
    "?", ":", ";", "'",
    "\"", "`", "a", "a ", " and ", " of ", " plus ", "和", "，", "。", "&times;", "&", "\\", "…", "—", "–", "−", "√",
    "²", "½", " 1/2", " 000", "９", "٣", "\u00a0", "\u2009", "\u200b", "\u0301", "\ue000", "\ue001", "\ue002",
    "\ue003", "\ue004", "of the", "of  the", "of these", "->", "→", "café noir", "out loud", "roof", "the ", "é",
    "a 4", "A ", "x ", "half of ", "% of ", "twice ", "sin ", "page ", "less ", "||", "|", " >> ", " << ", "' ", "百",
    "万", " hundred", "fifty-four hundred", "２", "乘９", "٦", "𝟔", "54 of ", "\u200d", "\ufeff", "\r\n", "\u2028",
    "&#42;", "\\times", " + ", "7", "seven", "七", "eleven", "11", "加上", "chapters ", "•",
    "\\cdot ", "?q=", " times (",
)  # fmt: skip
SOUP = st.lists(st.sampled_from(FACTS) | st.sampled_from(PARTS), max_size=9).map("".join)
FACTS_AND_GLUE = st.lists(st.tuples(st.sampled_from(FACTS), st.sampled_from(PARTS)).map("".join), max_size=4).map(
    "".join
)
ANY_TEXT = st.text() | SOUP | FACTS_AND_GLUE
