"""The model card of a tokenizer: what it rewrites, how it is loaded, and every one of its facts."""

from mulfact.tokenizers.facts import Facts, FactToken
from mulfact.tokenizers.placebo import Pair

KINDS = {
    "none": "adds no tokens: it is the base vocabulary with the special tokens",
    "weak": "has a token for the operands of each product; the product itself stays in digits",
    "strict": "has a token for each whole true equation",
    "placebo": "has tokens for pairs of common words, as many and about as frequent as tokens for the "
    "operands of each product would be",
    "custom": "has tokens for words of the user's choice",
}


def tokenizer_card(facts: Facts, pairs: list[Pair]) -> str:
    """Return README.md of a tokenizer folder; `pairs` are those of the placebo arm."""
    return "\n".join(
        [
            "---\nlibrary_name: transformers\ntags: [tokenizer, mulfact]\n---",
            f"# mulfact tokenizer ({facts.mode})",
            "",
            f"A byte-level BPE of {facts.base_vocab_size} tokens that {KINDS[facts.mode]}. It adds "
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
            *(product_section(facts) if facts.settings.multiplies else []),
            *(list_section(facts.fact_tokens) if facts.fact_tokens and not facts.settings.multiplies else []),
            *(placebo_section(pairs) if pairs else []),
            "",
        ]
    )


def product_section(facts: Facts) -> list[str]:
    """Return the spellings that are read and the table of facts."""
    settings, ids = facts.settings, facts.ids
    numbers = range(1, settings.max_operand + 1)
    rows = []
    for a in numbers:
        cells = []
        for b in numbers:
            low, high = sorted((a, b)) if settings.canonical_order else (a, b)
            token = settings.product_token(low, high)
            cells.append(f"`{token.token}` {ids[token.token]}")
        rows.append(f"| **{a}** | " + " | ".join(cells) + " |")
    return [
        "",
        "## What is rewritten",
        "",
        f"Products 1 to {settings.max_operand}, spelled as: {', '.join(settings.surface_forms)}. Never a part of a "
        "longer number or expression (`16*9`, `6*9.5`, `3*4*5`, `6*9=540`), never across a line.",
        "",
        "## Facts",
        "",
        "Rows are the first operand, columns the second; each cell is the token and its id.",
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
        *(f"| `{t.token}` | `{t.text}` | {', '.join(f'`{pattern}`' for pattern in t.patterns)} |" for t in tokens),
    ]


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
