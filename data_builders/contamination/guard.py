"""What post-training rows share with the benchmarks: 13-grams, near duplicates, and never a whole question.

    manifest["overlap"] = check_overlap(Path("outputs/smoke/benchmarks"), asked, questions, texts, ["asdiv"])

A question that is an item of a benchmark is an error always. Shared 13-grams are an error unless the benchmark is
allowed by name. GSM8K's own training split needs this: 4 of its 7,473 questions share 13 words with 3 of its 1,319 test
problems, and 6 with 5 of ASDiv's (stories told again with other numbers); the manifest lists the items, so that they
can be left out of an analysis. Arithmetic probes are shorter than 13 words; their held-out operands stand for them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mulfact.data_builders.contamination.held_out import pair_is_held_out
from mulfact.data_builders.contamination.ngrams import NgramIndex, Overlap, benchmark_texts, near_duplicates, words
from mulfact.data_builders.contamination.shown_products import shown_products
from mulfact.data_builders.problems.items import BENCHMARKS
from mulfact.data_builders.problems.problem import Problem
from mulfact.errors import UserError


class Guard:
    """Says why a problem of a further set must stay out of training.

    asked: the benchmarks' own word problems, {item id: question}; held_out: the questions kept from SFT and GRPO.
    """

    def __init__(self, folder: Path, asked: Mapping[str, str], held_out: Sequence[str]) -> None:
        self.whole = {tuple(words(question)) for question in (*asked.values(), *held_out)}
        kept = {f"held out {index}": question for index, question in enumerate(held_out)}
        self.index = NgramIndex({**benchmark_texts(folder), "what is held out": kept})

    def reason(self, problem: Problem) -> str | None:
        """Return the reason to leave a problem out, None when it may be trained on."""
        text = f"{problem.question}\n{problem.solution}"
        if tuple(words(problem.question)) in self.whole:
            return "is a benchmark item or held out"
        if any(pair_is_held_out(a, b) for a, b in shown_products(text)):
            return "shows a product of the probes"
        shared = {self.index.items[item][0] for _, item in self.index.find([text]).tolist()}
        return f"shares {self.index.n} words with {min(shared)}" if shared else None


def check_overlap(
    folder: Path, asked: Mapping[str, str], questions: Sequence[str], texts: Sequence[str], allowed: Sequence[str]
) -> dict[str, Any]:
    """Return the report on training `questions`, and the `texts` made of them, against the benchmarks in `folder`.

    `asked` are the benchmarks' own word problems, {item id: question}. Raises UserError for a training question that is
    one of them, for 13-grams shared with a benchmark that is not `allowed`, and for an allowed name that is none.
    """
    for name in allowed:
        if name not in BENCHMARKS:
            raise UserError(f"posttrain.allow_overlap names {name!r}: the benchmarks are {', '.join(BENCHMARKS)}")
    whole = {tuple(words(question)): item for item, question in asked.items()}
    for question in questions:
        item = whole.get(tuple(words(question)))
        if item is not None:
            raise UserError(
                f"the training question {question[:80]!r} is the item {item} of a benchmark; remove it from training"
            )
    overlap = Overlap(NgramIndex(benchmark_texts(folder)))
    overlap.add(texts, overlap.index.find(texts))
    overlap.refuse(allowed, "posttrain.allow_overlap")
    near = near_duplicates({str(index): question for index, question in enumerate(questions)}, asked)
    return {
        **overlap.report(),
        "allowed": list(allowed),
        "overlapping_items": {name: sorted(entry["items"]) for name, entry in overlap.found.items()},
        "near_duplicates": [
            {"question": questions[int(index)], "item": item, "similarity": similarity}
            for index, item, similarity in near
        ],
    }
