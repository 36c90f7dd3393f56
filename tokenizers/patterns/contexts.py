"""What may stand around a product or a sum, and what makes it a part of something longer.

A list of the allowed is used wherever a list of the forbidden could miss something: an unknown neighbour (a zero-width
character, a full-width digit, a letter of another script) leaves the text as it is.
"""

SPACES = " \u00a0\u2009\u202f"
SPACE = f"[{SPACES}]"
# In a lookbehind, which Oniguruma tries at every length: without a bound it would go back to the start of the text.
GAP = rf"[{SPACES}\t]{{0,8}}"
WORD_START = "(?<![A-Za-z])"
CURRENCY = "[$€£¥]"
# Inside a character class: signs that join a number to what stands next to it.
SIGNS = r"\-+*/×·⋅∗÷^%−–—±√∙✕✖"
RARE_SIGNS = "•‧⨯⊗⊕∘⋆"  # signs between two numbers alone: • before one may open an item of a list
FRACTIONS = r"\u00bc-\u00be\u2150-\u215e"
CHINESE_NUMERALS = "零〇一二三四五六七八九十百千万亿两半"
CHINESE_SIGNS = "乘加减除点分倍以负第去上"
LETTERS_WITHOUT_SPACES = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # kana, Chinese characters, hangul
WIDE_PUNCTUATION = r"\u3001-\u3003\u3008-\u3011\uff08\uff09\uff0c\uff1a\uff1b\uff1f"

NUMBER_WORDS = (
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|"
    "eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|billion"
)
CAPITALISED = "|".join(word.capitalize() for word in NUMBER_WORDS.split("|"))
NUMBER_END = f"(?:[0-9{CHINESE_NUMERALS}]|{WORD_START}(?:{NUMBER_WORDS}))"  # not the eight of a weight
JOINT = "[ -](?:and )?"  # of the words of one number
# What makes a result a longer number: 540, fifty-four hundred, 五十四万
GOES_ON = f"(?:[0-9{CHINESE_NUMERALS}]|{JOINT}(?:hundred|thousand|million|billion)(?![A-Za-z]))"
EQUALS = rf"(?:{SPACE}*=|{SPACE}+(?:is|equals)(?![0-9A-Za-z_])|{SPACE}*(?:等于|是|得)){SPACE}*"

# What stands before a fact and makes it a part of something longer. Each is tried directly before the first operand.
BEFORE = (
    # a character that is not on the list of harmless ones
    rf"[^\n\r\t{SPACES}(\[{{<>|\"'`:=$€£¥“‘«→⇒{LETTERS_WITHOUT_SPACES}{WIDE_PUNCTUATION}]",
    rf"[{CHINESE_NUMERALS}{CHINESE_SIGNS}]",
    # 2+6*9, - $6*9, plus 6*9, &times; 6*9, 12:6*9, 3 : 6*9, 5'6*9
    rf"[{SIGNS}]{GAP}{CURRENCY}?{GAP}",
    rf"(?:[Pp]lus|[Mm]inus|[Nn]egative|times|by|over|than|less){SPACE}{GAP}",
    rf"[0-9)\]}}]{GAP}[{RARE_SIGNS}]{GAP}",
    # 2*|6*9|
    rf"[{SIGNS}]{SPACE}?[|]{GAP}",
    # \cdot 6*9; "the sum of 2 and 6*9"
    rf"\\(?:cdot|times|div|pm|mp|ast|bullet|over|sqrt|lim|log|ln|sin|cos|tan|exp){SPACE}{GAP}",
    rf"(?:product|sum|difference|quotient|average|mean){SPACE}of{SPACE}[0-9]{{1,4}},?{SPACE}and{SPACE}{GAP}",
    # 2 x 6*9, $1.50 x 6 x 9
    rf"{WORD_START}[xX]{GAP}{CURRENCY}?{GAP}",
    # sin 6*9, twice 6*9, half of 6*9, 1/2 of 6*9
    rf"{WORD_START}(?:sin|cos|tan|cot|sec|csc|log|ln|exp|lim|mod|div|half|twice|double|triple){SPACE}{GAP}",
    rf"(?:half|thirds?|quarters?|fourths?|fifths?|root|square|cube|dozen|percent|[%{FRACTIONS}]|{NUMBER_END}){SPACE}of{SPACE}{GAP}",
    # Figure 6·9, page 6*9
    rf"{WORD_START}(?:[Pp]ages?|[Cc]hapter|[Ss]ection|[Ff]igure|[Ff]ig\.|[Tt]able|[Vv]ersion|[Nn]os?\.|pp?\.){SPACE}{GAP}",
    rf"&(?:times|minus|plus|divide|middot|sdot|lowast|ast|frasl|percnt|#[0-9]{{2,4}}|#x[0-9a-f]{{2,4}});{GAP}",
    r"[0-9][:'\"`]",
    rf"{NUMBER_END}{SPACE}{GAP}:{GAP}",
    # a 3×4 grid of which nothing is said after it: dimensions, not a product
    rf"(?:{WORD_START}[Aa]n?|[Oo]rder|[Ss]ize|[Dd]imensions?|[Mm]easur(?:es|ing)){SPACE}{GAP}",
    # 2(6*9, f(6*9, x[6*9, ((6*9, 2+(6*9, 2 (6*9
    rf"[0-9A-Za-z_)\]}}\\(\[{{{SIGNS}][(\[{{]{GAP}",
    rf"[0-9)\]}}{SIGNS}]{SPACE}{GAP}[(\[{{]{GAP}",
    # times (6*9
    rf"{WORD_START}(?:plus|minus|times|by|over|of|than|less|[xX]){SPACE}{GAP}[(\[{{]{GAP}",
    # ?q=6*9
    r"[?&][A-Za-z_]{1,16}=",
    # 2*27=6*9, 54 = 6*9, x==6*9: only a name may stand left of the sign
    rf"[^\n\r\tA-Za-z{SPACES}{LETTERS_WITHOUT_SPACES}]{GAP}={GAP}",
)
# In words and with "times" also: twenty six times nine, 106 times 9, half of six times nine, and six times nine
BEFORE_WORDS = (rf"(?:{NUMBER_END}|of|and|point|dozen|more|from|to|squared|cubed){SPACE}{GAP}",)
# "Chapters 3+4" are two chapters
BEFORE_SUM = (
    rf"{WORD_START}(?:[Cc]hapter|[Ss]ection|[Ff]igure|[Tt]able|[Vv]ersion|[Pp]art|[Vv]olume|[Ii]ssue|[Bb]ook|[Uu]nit|"
    rf"[Ll]esson|[Ee]xercise|[Qq]uestion|[Ii]tem|[Ss]tep|[Ss]tage|[Pp]hase|[Ll]evel|[Gg]rade|[Cc]lass|[Tt]ype|[Gg]roup|"
    rf"[Rr]oom|[Ll]ine|[Rr]ow|[Cc]olumn|[Dd]ay|[Ww]eek|[Mm]onth|[Yy]ear|[Aa]ge|[Ee]pisode|[Ss]eason|[Rr]ound|[Tt]rack|"
    rf"[Vv]erse|[Aa]ct|[Ss]cene|[Ss]lide|[Tt]ier|[Pp]layer)(?:s|es)?{SPACE}{GAP}",
    rf"{WORD_START}(?:[Aa]ged|[Vv]ols?\.|[Cc]h\.|[Ss]ec\.|[Ff]igs\.){SPACE}{GAP}",
)
# 六九五十四 is not the right side of an equation
BEFORE_RECITATION = (rf"(?:=|is|equals|等于|是|得){GAP}{CURRENCY}?{GAP}",)

# What stands after a number, or after the bracket around it, and goes on with the calculation.
CONTINUES = "|".join(
    (
        rf"[{SPACES}\t]*(?:[{SIGNS}{RARE_SIGNS}(!&\\{FRACTIONS}]|\|\||=)",
        rf"{SPACE}*[xX](?![A-Za-z])",
        rf"{SPACE}+(?:plus|minus|times|multiplied|divided|over|squared|cubed|percent|trillion|dozen|point|mod|modulo|"
        rf"to the|and a|hundred|thousand|million|billion)(?![A-Za-z])",
        rf"{SPACE}[0-9][0-9][0-9](?![0-9])",
        rf"{SPACE}+(?:[0-9]+/[0-9]|>>)",
    )
)
# What stands after a number and makes it a part of something longer.
AFTER_NUMBER = "|".join(
    (
        # a character that is not on the list of harmless ones; letters only of scripts that write no spaces
        rf"[^\n\r\t{SPACES})\]}}<>|\"'`”’»?,.;:${LETTERS_WITHOUT_SPACES}{WIDE_PUNCTUATION}]",
        rf"[{CHINESE_NUMERALS}]|{SPACE}*[百千万亿{CHINESE_SIGNS}]|的平方|的立方",
        # 54.5, 54,000, 54'000, 54:30, 54..60, $54$5, 54 : 30
        rf"[,.:;'’$?\"”`][0-9A-Za-z_{CHINESE_NUMERALS}]|\.\.|{SPACE}+:{SPACE}*{NUMBER_END}",
        CONTINUES,
        rf"{SPACE}+(?:and{SPACE}+)?(?:{NUMBER_WORDS})(?![A-Za-z])",
        # (6*9)+1, (6*9)x, (6*9)², |6*9|*2
        rf"[)\]}}]+(?:{CONTINUES}|[0-9A-Za-z_\[{{²³¹\u2070-\u2079])|[\"'`”’|]+[{SIGNS}]",
    )
)
# What stands after "=" or "is" and makes the right side more than one number: 6*9=54*2, 6*9==54, 6*9=54.5, 6*9=x
RIGHT_SIDE = "|".join(
    (
        rf"[{SIGNS}.=(!&\\]",
        rf"(?:{CURRENCY}|{SPACE})*(?:[0-9]+(?![0-9])|[{CHINESE_NUMERALS}]+(?![{CHINESE_NUMERALS}])|"
        rf"(?:{NUMBER_WORDS}|{CAPITALISED})(?:{JOINT}(?:{NUMBER_WORDS}))*(?![A-Za-z]|{JOINT}(?:{NUMBER_WORDS})))(?:{AFTER_NUMBER})",
    )
)
RESULT_ENDS = rf"(?!{AFTER_NUMBER})"
# A bare product ends where a sentence, a cell or a bracket ends, or at an equation; a word after it may be a noun
# (3*4 matrix, 4×4 truck) or an operation (6*9 more), so it is left alone.
OPERANDS_END = (
    rf"(?!{EQUALS}(?:{RIGHT_SIDE})|{SPACE}*={SPACE}*[A-Za-z](?![A-Za-z]))"
    rf"(?!(?!{EQUALS})(?:{AFTER_NUMBER}|{SPACE}*[0-9A-Za-z{LETTERS_WITHOUT_SPACES}]|"
    rf"{SPACE}*(?:>>|<<(?![^<>\n]*>>))|[\"'’”]{SPACE}+[0-9A-Za-z{LETTERS_WITHOUT_SPACES}]))"
)
