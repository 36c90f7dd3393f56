"""What each arm of a comparison adds to the vocabulary, in words that need no other page."""

from collections.abc import Mapping
from typing import Any

from mulfact.evals.comparison.runs import Run
from mulfact.layout import output_of
from mulfact.tokenizers.card import description
from mulfact.tokenizers.facts import read_facts


def describe_arms(runs: Mapping[tuple[str, int], Run]) -> dict[str, dict[str, Any]]:
    """Return for each arm its tokenizer's mode, what that means, how many tokens it adds, and the first and last."""
    described = {}
    for (condition, _), run in runs.items():
        if condition not in described:
            facts = read_facts(output_of(run.folder, run.stages[-1]))
            ends = dict.fromkeys((*facts.fact_tokens[:1], *facts.fact_tokens[-1:]))
            described[condition] = {
                "mode": facts.mode,
                "description": description(facts.settings),
                "added_tokens": len(facts.fact_tokens),
                "examples": [{"token": fact.token, "text": fact.text} for fact in ends],
            }
    return described
