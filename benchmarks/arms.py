"""What each arm does to a corpus: how often it reads something, and how many tokens that saves.

    make tokenizer CONDITION=mulfact          # and the other arms
    python benchmarks/arms.py --shared_dir outputs/smoke --conditions baseline mulfact canonical sums placebo
    python benchmarks/arms.py --shared_dir outputs/smoke --megabytes 1

Mentions are what the arm rewrites, with a token or without; `other` is the share of them that are spelled in another
way than they are decoded. Tokens saved are the baseline's minus the arm's, over the same text.
"""

import argparse
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mulfact.errors import UserError, command
from mulfact.tokenizers.base import corpus_texts, first_bytes
from mulfact.tokenizers.encode import BulkEncoder
from mulfact.tokenizers.rewrite import Rewriter

ARMS = ("baseline", "mulfact", "canonical", "sums", "placebo")
BATCH = 256


@dataclass
class Counts:
    """What an arm does to some texts."""

    tokens: int = 0
    mentions: int = 0
    other_spellings: int = 0


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Count what each arm reads in a corpus and the tokens that it saves.")
    parser.add_argument("--shared_dir", type=Path, required=True, help="outputs/<scale>, with corpus and tokenizers")
    parser.add_argument("--conditions", nargs="+", default=list(ARMS), help="the first is what the others are held to")
    parser.add_argument("--split", default="train", choices=("train", "validation"))
    parser.add_argument("--megabytes", type=float, help="of the corpus, from its start; without it, all")
    arguments = parser.parse_args()
    limit = None if arguments.megabytes is None else int(1e6 * arguments.megabytes)
    texts = list(first_bytes(corpus_texts(arguments.shared_dir / "corpus", arguments.split), limit))
    size = sum(len(text.encode()) for text in texts)
    print(f"{len(texts):,} documents, {size:,} bytes of {arguments.shared_dir}/corpus, {arguments.split}\n")
    print("| arm | added tokens | mentions | other spelling | tokens | mentions per 1,000 tokens | saved per mention |")
    print("|---|---|---|---|---|---|---|")
    reference = None
    for condition in arguments.conditions:
        encoder = BulkEncoder(arguments.shared_dir / condition / "tokenizer")
        counts = count(encoder, texts)
        reference = reference or counts
        cells = [condition, len(encoder.facts.fact_tokens), f"{counts.mentions:,}", "", f"{counts.tokens:,}", "", ""]
        if counts.mentions:
            cells[3] = f"{counts.other_spellings / counts.mentions:.1%}"
            cells[5] = f"{1000 * counts.mentions / counts.tokens:.2f}"
            cells[6] = f"{(reference.tokens - counts.tokens) / counts.mentions:.2f}"
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def count(encoder: BulkEncoder, texts: list[str]) -> Counts:
    """Return what the arm of `encoder` does to `texts`. Raises UserError when there are none."""
    if not texts:
        raise UserError("the corpus holds no text: build it again (make corpus)")
    rewriter, counts, rest = Rewriter(encoder.facts.settings), Counts(), iter(texts)
    while batch := list(islice(rest, BATCH)):
        counts.tokens += sum(map(len, encoder.encode_batch(batch)))
        for text in batch:
            for match in rewriter.matches(text):
                counts.mentions += 1
                counts.other_spellings += text[match.start : match.end] != match.fact.text
    return counts


if __name__ == "__main__":
    main()
