"""What fits: prompts into the window of a model, gold completions into the tokens that a completion may have.

    limit = prompt_limit(checkpoint, tokenizer, plain, benchmarks, arguments.generation_size, arguments.max_cut_prompts)
    shares = gold_over_budget(tokenizer, benchmarks, arguments.generation_size)

Both are counted in the arm's own tokens. A prompt that does not fit is refused; a gold completion that does not is
counted, because an arm that says the same in fewer tokens has fewer of them.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from mulfact.data_builders.lengths import NOTABLE
from mulfact.data_builders.problems.items import Benchmark
from mulfact.errors import UserError
from mulfact.evals.evaluation.tasks import gold_text

GOLD_OVER_BUDGET = "gold_over_budget"  # of a task in <family>_results.json


def prompt_limit(
    checkpoint: str,
    tokenizer: PreTrainedTokenizerBase,
    plain: Tokenizer,
    benchmarks: Sequence[Benchmark],
    generation_size: Mapping[str, int],
    max_cut_prompts: float,
) -> int:
    """Return how many tokens a prompt may have, so that the longest completion fits behind it.

    Prompts are also asked without the arm's rewriting (`plain`; use.py), and the longer form counts. lighteval cuts a
    longer prompt without a word. Raises UserError when that would happen to a greater share of the
    prompts of a benchmark than `max_cut_prompts`, or to the prompt and gold completion together.
    """
    window = json.loads((Path(checkpoint) / "config.json").read_text())["n_positions"]
    limit = window - max(generation_size[benchmark.style] for benchmark in benchmarks)
    for benchmark in benchmarks:
        texts = [item.prompt for item in benchmark.items]
        own, plainly = tokenizer(texts)["input_ids"], plain.encode_batch_fast(texts)
        prompts = [max(len(ids), len(encoding)) for ids, encoding in zip(own, plainly, strict=True)]
        golds = gold_lengths(tokenizer, benchmark)
        cut = sum(p > limit or p + (gold or 0) > window for p, gold in zip(prompts, golds, strict=True))
        if cut > max_cut_prompts * len(prompts):
            raise UserError(
                f"{checkpoint}: {cut} of {len(prompts)} prompts of {benchmark.name} do not fit the window of {window} "
                f"tokens with their completion (prompts have room for {limit}); raise pretrain.n_positions, lower "
                "eval.generation_size, or accept cut prompts by eval.max_cut_prompts"
            )
    return limit


def gold_over_budget(
    tokenizer: PreTrainedTokenizerBase, benchmarks: Sequence[Benchmark], generation_size: Mapping[str, int]
) -> dict[str, float | None]:
    """Return, by benchmark, the share of items whose gold completion is longer than a completion may be.

    None where a gold completion is not known.
    """
    shares: dict[str, float | None] = {}
    for benchmark in benchmarks:
        lengths = [length for length in gold_lengths(tokenizer, benchmark) if length is not None]
        over = sum(length > generation_size[benchmark.style] for length in lengths)
        shares[benchmark.name] = over / len(lengths) if len(lengths) == len(benchmark.items) else None
    return shares


def gold_lengths(tokenizer: PreTrainedTokenizerBase, benchmark: Benchmark) -> list[int | None]:
    """Return the tokens of each gold completion; None where it is not known."""
    golds = [gold_text(item, benchmark.style) for item in benchmark.items]
    ids = tokenizer([gold or "" for gold in golds])["input_ids"]
    return [None if gold is None else len(its) for gold, its in zip(golds, ids, strict=True)]


def warn_of(shares: Mapping[str, float | None], where: str) -> None:
    """Print a warning for each benchmark of which a notable share cannot be answered as its gold completion does."""
    for name, share in shares.items():
        if share is not None and share > NOTABLE:
            print(
                f"warning: {where}: the gold completion needs more tokens than eval.generation_size in {share:.1%} of "
                f"{name}: arms may differ there by what they compress alone"
            )
