"""Show one text as the tokens of several arms, side by side, in the terminal and as a web page.

    make inspect TEXT="Each box has 6 × 9 = 54 pens"
    python -m mulfact.tokenizers.inspect_text --text "Each box has 6 × 9 = 54 pens" --html inspect.html \\
        --tokenizers outputs/smoke/baseline/tokenizer outputs/smoke/mulfact/tokenizer

Neighbouring tokens differ in colour; fact tokens are bold on yellow. Both views read tokenizer.json alone.
"""

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jinja2 import Environment
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mulfact.errors import command
from mulfact.tokenizers.base import read_tokenizer
from mulfact.tokenizers.facts import read_facts

COLOURS = ("#cfe3ff", "#d5f2d9", "#ffdfd1", "#e7dcfb")
FACT_COLOUR = "#ffd84d"
REPLACEMENT = "\ufffd"  # what decoding a part of a character gives
BOUNDARY = "|"  # between tokens in a pipe, a file or a terminal without colours
LONGEST_CHARACTER = 4  # bytes, so at most as many tokens

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ text | truncate(60) }}</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b;
         background: #fff; }
  main { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1.5rem; }
  section { border: 1px solid #ccc; border-radius: .5rem; padding: 1rem; }
  h2 { margin: 0; font-size: 1.1rem; }
  dl { display: flex; gap: 1.5rem; margin: .5rem 0 1rem; } dt { color: #555; font-size: .8rem; } dd { margin: 0; }
  p.tokens { font: 1rem/2 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
  span { border-radius: .2rem; padding: .15rem 0; color: #1b1b1b; }
  {% for colour in colours %}.c{{ loop.index0 }} { background: {{ colour }}; } {% endfor %}
  .fact { background: {{ fact_colour }}; font-weight: bold; outline: 1px solid #a07800; }
  @media (prefers-color-scheme: dark) { body { background: #17191c; color: #eee; } dt { color: #aaa; }
    section { border-color: #444; } }
</style></head><body>
<h1>One text, {{ views | length }} tokenizers</h1>
<main>{% for view in views %}
<section><h2>{{ view.name }}</h2>
<dl><div><dt>tokens</dt><dd>{{ view.tokens }}</dd></div>
<div><dt>fact tokens</dt><dd>{{ view.facts }}</dd></div>
<div><dt>bytes per token</dt><dd>{{ "%.2f" | format(view.bytes_per_token) }}</dd></div></dl>
<p class="tokens">{% for piece in view.pieces -%}
<span class="{{ 'fact' if piece.is_fact else 'c%d' % (loop.index0 % colours | length) }}"
 title="{{ piece.tokens | join(' ') }} ({{ piece.ids | join(' ') }})">{{ piece.text }}</span>
{%- endfor %}</p></section>{% endfor %}
</main></body></html>
"""


@dataclass(frozen=True)
class Piece:
    """A stretch of text and its token, or its tokens when it is one character that takes several."""

    text: str
    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    is_fact: bool


@dataclass(frozen=True)
class View:
    """A text in one arm's tokens; `bytes_per_token` counts the bytes of the text as it was given."""

    name: str
    pieces: list[Piece]
    tokens: int
    bytes_per_token: float

    @property
    def facts(self) -> int:
        return sum(piece.is_fact for piece in self.pieces)


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Show one text as the tokens of several arms.")
    parser.add_argument("--tokenizers", nargs="+", required=True, type=Path, help="tokenizer folders")
    parser.add_argument("--text", required=True)
    parser.add_argument("--html", type=Path, help="also write a self-contained web page")
    arguments = parser.parse_args()
    views = [view_text(folder, arguments.text) for folder in arguments.tokenizers]
    console = Console()
    console.print(side_by_side(views, mark="" if console.color_system else BOUNDARY))
    if arguments.html:
        arguments.html.parent.mkdir(parents=True, exist_ok=True)
        arguments.html.write_text(web_page(arguments.text, views), encoding="utf-8")
        print(f"wrote {arguments.html}")


def view_text(folder: Path, text: str) -> View:
    """Return `text` in the tokens of one arm. Raises UserError when the folder holds no tokenizer of ours."""
    facts, tokenizer = read_facts(folder), read_tokenizer(folder / "tokenizer.json")
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    decode = partial(tokenizer.decode, skip_special_tokens=False)
    pieces, pending = [], []
    for place, index in enumerate(ids):
        pending.append(index)
        shown, following = decode(pending), ids[place + 1 : place + LONGEST_CHARACTER]
        if REPLACEMENT in shown and shown + decode(following) != decode(pending + following):
            continue  # a part of a character, which is shown once with all of its tokens
        tokens = [facts.by_id[i].token if i in facts.by_id else str(tokenizer.id_to_token(i)) for i in pending]
        pieces.append(Piece(shown, tuple(tokens), tuple(pending), index in facts.by_id))
        pending = []
    name = folder.parent.name if folder.name == "tokenizer" else folder.name
    return View(name, pieces, len(ids), len(text.encode()) / max(1, len(ids)))


def side_by_side(views: list[View], mark: str = "") -> Table:
    """Return a table with one column for each arm; `mark` stands between tokens where colours do not."""
    table = Table(*(view.name for view in views), show_lines=True)
    table.add_row(*(coloured(view, mark) for view in views))
    table.add_row(
        *(
            f"{view.tokens} tokens, {view.facts} of them facts\n{view.bytes_per_token:.2f} bytes per token"
            for view in views
        )
    )
    return table


def coloured(view: View, mark: str = "") -> Text:
    """Return the tokens as coloured text for the terminal, with `mark` between them."""
    text = Text()
    for number, piece in enumerate(view.pieces):
        text.append(mark if number else "")
        style = f"bold black on {FACT_COLOUR}" if piece.is_fact else f"black on {COLOURS[number % len(COLOURS)]}"
        text.append(piece.text.replace("\n", "⏎\n"), style=style)
    return text


def web_page(text: str, views: list[View]) -> str:
    """Return a self-contained HTML page."""
    template = Environment(autoescape=True).from_string(PAGE)
    return template.render(text=text, views=views, colours=COLOURS, fact_colour=FACT_COLOUR)


if __name__ == "__main__":
    main()
