"""The card of a tokenizer renders as it was meant, whatever words have tokens."""

import re
from html import unescape

import pytest
from markdown_it import MarkdownIt

from mulfact.tokenizers.card import tokenizer_card
from mulfact.tokenizers.facts import Facts, FactSettings, FactToken


@pytest.mark.parametrize("text", ["half", "a|b", "|", "a`b", "``", "`|`", "x\\|y", "<b>&"])
def test_a_token_of_any_signs_is_one_cell_of_the_table(text: str) -> None:
    token = FactToken("<MY_TOKEN>", text, patterns=(text, f"{text} again"))
    settings = FactSettings(mode="custom", custom_tokens=(token,))
    html = (
        MarkdownIt("commonmark")
        .enable("table")
        .render(tokenizer_card(Facts("custom", 384, 300, (token,), settings), []))
    )
    (row,) = re.findall(r"<tbody>(.*)</tbody>", html, re.DOTALL)
    cells = re.findall(r"<td>(.*?)</td>", row, re.DOTALL)
    shown = [[unescape(code) for code in re.findall(r"<code>(.*?)</code>", cell, re.DOTALL)] for cell in cells]
    assert shown == [["<MY_TOKEN>"], [text], [text, f"{text} again"]]
