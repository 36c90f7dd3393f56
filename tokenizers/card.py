"""The model card of a tokenizer: what it rewrites, how it is loaded, and every one of its facts."""

import re

from mulfact.tokenizers.facts import Facts, FactSettings, FactToken, Subset
from mulfact.tokenizers.placebo import Pair

RESULTS = {"multiply": "product", "add": "sum"}


def description(settings: FactSettings) -> str:
    """Return in words what an arm does to the base vocabulary: has a token for the operands of each product ..."""
    result = RESULTS[settings.operation]
    has = {
        "none": "adds no tokens: it is the base vocabulary with the special tokens",
        "weak": f"has a token for the operands of each {result}; the {result} itself stays in digits",
        "strict": f"has a token for each whole true equation of a {result}",
        "placebo": "has tokens for pairs of common words, as many and about as frequent as tokens for the operands of "
        f"each {result} would be",
        "custom": "has tokens for words of the user's choice",
    }[settings.mode]
    if settings.mode != "none" and not settings.token_count:
        has = "adds no tokens, but writes every spelling of a fact that it reads as one text"
        if settings.calculates:
            has = f"adds no tokens, but writes every spelling of a {result} as {settings.fact(6, 9).text}"
    elif settings.subset != Subset():
        share, seed = settings.subset.share, settings.subset.seed
        others = f"all but a share of {share:g}" if settings.subset.complement else f"a share of {share:g}"
        has += (
            f", for {others} of the facts, drawn by seed {seed}; the others are written as plain text in one spelling"
        )
    return has + ("; each digit is a token" if settings.digits == "split" else "")


def tokenizer_card(facts: Facts, pairs: list[Pair]) -> str:
    """Return README.md of a tokenizer folder; `pairs` are those of the placebo arm."""
    return "\n".join(
        [
            "---\nlibrary_name: transformers\ntags: [tokenizer, mulfact]\n---",
            f"# mulfact tokenizer ({facts.mode})",
            "",
            f"A byte-level BPE of {facts.base_vocab_size} tokens that {description(facts.settings)}. It adds "
            f"{len(facts.fact_tokens)} tokens; in every arm, models have {facts.vocab_size} embedding rows.",
            "",
            "```python",
            "from transformers import AutoTokenizer",
            "",
            'tokenizer = AutoTokenizer.from_pretrained("<this repository>")',
            "```",
            "",
            "It needs no code of ours: the rewriting is the normalizer inside `tokenizer.json`, and the decoder "
            "renders every added token as plain text. The offsets of an added token end where its text ends but may "
            "begin late.",
            *(table_section(facts) if facts.settings.calculates else []),
            *(list_section(facts.fact_tokens) if facts.fact_tokens and not facts.settings.calculates else []),
            *(placebo_section(pairs) if pairs else []),
            "",
        ]
    )


def table_section(facts: Facts) -> list[str]:
    """Return the spellings that are read and the table of facts."""
    settings, ids = facts.settings, facts.ids
    numbers = range(1, settings.max_operand + 1)
    rows = []
    for a in numbers:
        cells = []
        for b in numbers:
            fact = settings.fact(*(sorted((a, b)) if settings.canonical_order else (a, b)))
            cells.append(f"`{fact.token}` {ids[fact.token]}" if settings.has_token(fact) else f"`{fact.text}`")
        rows.append(f"| **{a}** | " + " | ".join(cells) + " |")
    sign = settings.kind.sign
    spellings = [form for form in settings.surface_forms if form in settings.kind.forms]
    return [
        "",
        "## What is rewritten",
        "",
        f"Each {RESULTS[settings.operation]} of 1 to {settings.max_operand}, spelled as: {', '.join(spellings)}. Never "
        f"a part of a longer number or expression (`16{sign}9`, `6{sign}9.5`, `3{sign}4{sign}5`, `2*3{sign}4`, "
        f"`6{sign}9={settings.kind.result(6, 9)}0`), never across a line.",
        "",
        "## Facts",
        "",
        "Rows are the first operand, columns the second; each cell is the token and its id, or the text of a fact "
        "without a token.",
        "",
        "| | " + " | ".join(f"**{b}**" for b in numbers) + " |",
        "|---" * (len(numbers) + 1) + "|",
        *rows,
    ]


def list_section(tokens: tuple[FactToken, ...]) -> list[str]:
    """Return the list of tokens that stand for words."""
    return [
        "",
        "## Tokens",
        "",
        "| token | text | read from |",
        "|---|---|---|",
        *(f"| {code(t.token)} | {code(t.text)} | {', '.join(map(code, t.patterns))} |" for t in tokens),
    ]


def code(text: str) -> str:
    """Return a text of the user's as code in a cell of a Markdown table, whatever signs are in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, room = "`" * (longest + 1), " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{fence}{room}{text}{room}{fence}".replace("|", "\\|")


def placebo_section(pairs: list[Pair]) -> list[str]:
    """Return how well the pairs match the facts in frequency."""
    total, wanted = sum(pair.count for pair in pairs), sum(pair.fact_count for pair in pairs)
    return [
        "",
        "## Match",
        "",
        f"In the corpus the pairs occur {total} times, the facts {wanted} times.",
        "",
        "| pair | occurrences | in place of | occurrences |",
        "|---|---|---|---|",
        *(f"| `{pair.token.text}` | {pair.count} | `{pair.fact}` | {pair.fact_count} |" for pair in pairs),
    ]
