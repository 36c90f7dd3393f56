"""The benchmarks as lighteval tasks: ready-made prompts, greedy completions of a fixed length, our own metrics.

    python -c "from mulfact.evals.evaluation.tasks import read_benchmarks; \
        print([(b.name, len(b.items)) for b in read_benchmarks('outputs/smoke/benchmarks')])"

Whatever the benchmarks folder holds becomes a task; nothing here knows an arm or a checkpoint.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from lighteval.metrics.metrics import Metrics
from lighteval.metrics.metrics_sample import SampleLevelComputation
from lighteval.metrics.utils.metric_utils import Metric, SampleLevelMetric, SampleLevelMetricGrouping
from lighteval.models.model_output import ModelResponse
from lighteval.tasks.lighteval_task import LightevalTaskConfig
from lighteval.tasks.requests import Doc, SamplingMethod

from mulfact.data_builders.problems.items import Benchmark, Item
from mulfact.data_builders.problems.prompts import format_completion
from mulfact.data_builders.storage.rows import read_jsonl
from mulfact.errors import UserError
from mulfact.evals.grading.answers import grade
from mulfact.tokenizers.canonical import canonical_text

FAMILIES = ("gsm8k", "arithmetic", "word_problem")
VERDICTS = ("correct", "correct_strict", "correct_flexible")
GOLD_BITS = "gold_bits_per_character"
SPLIT = "test"


def read_benchmarks(folder: str | Path) -> list[Benchmark]:
    """Return the benchmarks that the folder's manifest names, in its order.

    Raises UserError when the manifest is missing or names no benchmark or an unknown family, when a benchmark holds
    another number of items than it says, and for a row with other keys than an Item.
    """
    path = Path(folder) / "manifest.json"
    if not path.is_file():
        raise UserError(f"{path} is missing: make benchmarks writes it")
    entries = json.loads(path.read_text())["benchmarks"]
    if not entries:
        raise UserError(f"{path} names no benchmark: run make benchmarks again")
    return [read_benchmark(path, name, entry) for name, entry in entries.items()]


def read_benchmark(manifest: Path, name: str, entry: Mapping[str, Any]) -> Benchmark:
    """Return one benchmark of a manifest. Raises UserError as `read_benchmarks`."""
    path = manifest.with_name(f"{name}.jsonl")
    if entry["family"] not in FAMILIES:
        raise UserError(f"{manifest}: {name} is of the family {entry['family']!r}; valid: {', '.join(FAMILIES)}")
    items = []
    for number, row in read_jsonl(path):
        try:
            items.append(Item(**row))
        except TypeError as error:
            raise UserError(f"{path}, line {number}: not an item ({error}); run make benchmarks again") from error
    if len(items) != entry["items"]:
        raise UserError(
            f"{path} holds {len(items)} items, its manifest says {entry['items']}; run make benchmarks again"
        )
    return Benchmark(name, entry["family"], entry["style"], entry["source"], entry["description"], items)


def gold_text(item: Item, style: str) -> str | None:
    """Return the completion that a perfect model would give; None when its chain of thought is not known."""
    if item.answer_rule == "number":
        return item.answer
    if style != "cot":
        return format_completion("", item.answer, "direct")
    return format_completion(item.solution, item.answer, "cot") if item.solution else None


@dataclass(frozen=True)
class Gold:
    """A gold completion in canonical text: what is `given` behind the prompt, and what of it is `scored`.

    `characters` are those that bits are counted on: the space that joins a direct answer to its mark is not one.
    """

    given: str
    scored: str
    characters: int


def scored_gold(item: Item, style: str) -> Gold | None:
    """Return how a gold completion is scored; None when it is not known.

    Of a direct answer the mark in front of it is given, not scored: it is the same in every item, and its easy
    characters would thin out the bits of the answer.
    """
    text = gold_text(item, style)
    if text is None:
        return None
    text = canonical_text(text)
    if item.answer_rule == "number" or style == "cot":
        return Gold("", text, len(text))
    mark, _, answer = text.rpartition(" ")
    return Gold(mark, f" {answer}", len(answer))


def task_config(
    benchmark: Benchmark, generation_size: int, stop_sequences: Sequence[str], score_gold: bool = True
) -> LightevalTaskConfig:
    """Return a benchmark as a lighteval task: zero-shot, greedy, at most `generation_size` tokens for each item.

    With `score_gold` the gold completions are scored as well, where all of them are known.
    """

    def make_doc(item: dict[str, Any], task_name: str) -> Doc:
        gold = scored_gold(item["item"], benchmark.style)
        # `choices` is what the log-likelihood is taken of; the metrics read the item itself.
        choices = [item["item"].answer if gold is None else gold.scored]
        specific = item | {"gold": gold}
        return Doc(query=item["item"].prompt, choices=choices, gold_index=0, specific=specific, task_name=task_name)

    metrics: list[Metric | Metrics] = [exact_match()]
    if score_gold and all(gold_text(item, benchmark.style) is not None for item in benchmark.items):
        metrics.append(gold_bits_per_character())
    return LightevalTaskConfig(
        name=benchmark.name,
        prompt_function=make_doc,
        hf_repo="",  # the items are handed over in memory (harness.py)
        hf_subset="",
        hf_avail_splits=[SPLIT],
        evaluation_splits=[SPLIT],
        few_shots_split=SPLIT,  # never drawn from: every task is zero-shot
        generation_size=generation_size,
        stop_sequence=list(stop_sequences),  # lighteval adds it to a list
        metrics=metrics,
    )


class ExactMatch(SampleLevelComputation):
    """Whether the answer in the completion is the gold one, by each rule of `mulfact.evals.grading.answers`."""

    def compute(self, doc: Doc, model_response: ModelResponse, **_: Any) -> dict[str, bool]:
        verdict = grade(model_response.text[0], item_of(doc).answer, item_of(doc).answer_rule)
        return {name: getattr(verdict, name) for name in VERDICTS}


class GoldBits(SampleLevelComputation):
    """Bits per character of the gold completion given the prompt, on canonical text: comparable between tokenizers."""

    def compute(self, doc: Doc, model_response: ModelResponse, **_: Any) -> float:
        return -model_response.logprobs[0] / math.log(2) / gold_of(doc).characters


def exact_match() -> SampleLevelMetricGrouping:
    """Return the metric for completions. lighteval's own for GSM8K is more lenient than the authors of GSM8K."""
    return SampleLevelMetricGrouping(
        metric_name=list(VERDICTS),
        higher_is_better=dict.fromkeys(VERDICTS, True),  # type: ignore[arg-type]  # annotated as callables
        category=SamplingMethod.GENERATIVE,
        sample_level_fn=ExactMatch(),
        corpus_level_fn=dict.fromkeys(VERDICTS, fmean),
    )


def gold_bits_per_character() -> SampleLevelMetric:
    """Return the continuous companion: it moves long before the exact match does."""
    return SampleLevelMetric(
        metric_name=GOLD_BITS,
        higher_is_better=False,
        category=SamplingMethod.LOGPROBS,
        sample_level_fn=GoldBits(),
        corpus_level_fn=fmean,
    )


def gold_of(doc: Doc) -> Gold:
    """Return how the gold completion behind a lighteval document is scored."""
    assert doc.specific is not None
    return doc.specific["gold"]


def item_of(doc: Doc) -> Item:
    """Return the benchmark's item behind a lighteval document."""
    assert doc.specific is not None
    return doc.specific["item"]
