"""What is asked at every point of a curve: each fact's answer in two prompt forms, and what follows a token of words.

    probes = fact_probes(9)          # 6*9= -> 54; What is 6 times 9? -> 54; 3+4= -> 7; What is 3 plus 4? -> 7

Prompts and answers are texts, the same ones in every arm. A fact without operands, such as a word pair or a token of
the user's own, has no answer; of it the next words are asked, at places of the validation text where it stands.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, product

from transformers import PreTrainedTokenizerBase

from mulfact.data_builders.posttrain import format_prompt
from mulfact.tokenizers.custom import is_whole
from mulfact.tokenizers.facts import Facts, FactToken

PLAIN, QUESTION, CONTEXT = "plain", "question", "context"
ANSWER_MARK = " ####"  # stands in the prompt: that it comes is no part of knowing the fact
OPERATIONS = {"products": ("*", "times", lambda a, b: a * b), "sums": ("+", "plus", lambda a, b: a + b)}
LEAST_OPERAND = 9  # every arm is asked the tables up to here, whatever its own tokens are
NEXT_WORDS = re.compile(r"[^\S\n]*\S+(?:[^\S\n]+\S+)?")
CONTEXT_CHARACTERS = 200  # in front of a token of words


@dataclass(frozen=True)
class Probe:
    """One answer to be scored: `unit` is the fact, as `6*9` or as the text of a token of words."""

    task: str
    unit: str
    form: str
    prompt: str
    answer: str
    operands: tuple[int, int] | None = None

    @property
    def equation(self) -> str:
        """The text that holds the fact's token in an arm that has one."""
        return f"{self.unit}={self.answer.strip()}" if self.operands else self.unit


def fact_probes(largest_operand: int) -> list[Probe]:
    """Return the products and the sums of 1 to `largest_operand`, each as an equation and as a question in words."""
    probes = []
    for (task, (sign, word, value)), a, b in product(
        OPERATIONS.items(), *2 * [range(1, max(largest_operand, LEAST_OPERAND) + 1)]
    ):
        unit, answer = f"{a}{sign}{b}", str(value(a, b))
        question = format_prompt(f"What is {a} {word} {b}?", "direct") + ANSWER_MARK
        probes += [
            Probe(task, unit, PLAIN, f"{unit}=", answer, (a, b)),
            Probe(task, unit, QUESTION, question, f" {answer}", (a, b)),
        ]
    return probes


def context_probes(tokens: Iterable[FactToken], texts: Sequence[str], most: int) -> list[Probe]:
    """Return at most `most` places of each token of words in `texts`: the two words that follow it in its line."""
    probes: list[Probe] = []
    for token in tokens:
        places = (probe for text in texts for probe in places_of(token, text))
        probes += islice(places, most)
    return probes


def places_of(token: FactToken, text: str) -> Iterable[Probe]:
    """Yield a probe for each place where a pattern of the token stands in `text` and words follow."""
    for match in re.finditer("|".join(map(re.escape, token.patterns)), text):
        rest = NEXT_WORDS.match(text, match.end())
        if rest and is_whole(text, match.start(), match[0]):
            prompt = text[max(0, match.end() - CONTEXT_CHARACTERS) : match.end()]
            yield Probe("words", token.text.strip(), CONTEXT, prompt, rest[0])


def added_token(probe: Probe, tokenizer: PreTrainedTokenizerBase, facts: Facts) -> str | None:
    """Return the name of the added token by which an arm writes a probe's fact; None where it has none."""
    if probe.operands is None:
        texts = {fact.text.strip(): fact.token for fact in facts.fact_tokens if fact.operands is None}
        return texts.get(probe.unit)
    names = (facts.by_id[token] for token in tokenizer.encode(probe.equation) if token in facts.by_id)
    return next((fact.token for fact in names), None)
