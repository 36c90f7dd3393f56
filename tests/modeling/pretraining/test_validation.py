"""Bits per byte, counted by hand."""

import math

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from tiny_pretraining import EOS, VOCAB_SIZE, write_tokenizer, write_tokens

from mulfact.data_builders.storage.token_stream import TokenStream
from mulfact.errors import UserError
from mulfact.modeling.pretraining.validation import ValidationSet

LENGTH = 32


class KnownLosses:
    """Stands for the objective: the loss of a token is its id / 100, and the pairs it was asked about are kept."""

    def __init__(self) -> None:
        self.pairs: list[tuple[int, int]] = []

    def token_losses(self, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        counted = labels != -100
        self.pairs += zip(inputs[counted].tolist(), labels[counted].tolist(), strict=True)
        return torch.where(counted, labels / 100, 0.0)


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TokenStream]:
    folder = tmp_path_factory.mktemp("tokens")
    write_tokenizer(folder / "tokenizer")
    write_tokens(folder / "tokens", folder / "tokenizer")
    return {split: TokenStream(folder / "tokens", split, None) for split in ("validation", "canonical")}


def validation_set(streams: dict[str, TokenStream], raw_bytes: int) -> ValidationSet:
    return ValidationSet(*streams.values(), ["synthetic", "web"], EOS, LENGTH, raw_bytes)


def test_bits_per_byte_of_all_fact_free_and_each_source(streams: dict[str, TokenStream]) -> None:
    stream = streams["validation"]
    spans = stream.spans()
    documents = int(np.searchsorted(np.cumsum(spans.bytes), 700, side="right"))
    ids = stream.window(0, stream.tokens - 1)
    sums = np.array([ids[s:e].sum() / 100 for s, e in zip(spans.start, spans.end, strict=True)])[:documents]
    part_bytes, free = spans.bytes[:documents], spans.fact_free[:documents]

    objective = KnownLosses()
    result = validation_set(streams, 700).evaluate(objective, Accelerator(cpu=True), batch_size=4)

    assert result["bits_per_byte"] == pytest.approx(sums.sum() / math.log(2) / part_bytes.sum())
    assert result["bits_per_byte_fact_free"] == pytest.approx(sums[free].sum() / math.log(2) / part_bytes[free].sum())
    web = spans.source[:documents] == 1
    assert result["bits_per_byte_by_source"]["web"] == pytest.approx(
        sums[web].sum() / math.log(2) / part_bytes[web].sum()
    )
    assert result["loss"] == pytest.approx(sums.sum() / spans.end[documents - 1])
    # every token of these documents is predicted once, from the token before it, the first from an end of text
    expected = ids[: spans.end[documents - 1]].tolist()
    assert sorted(objective.pairs[: len(expected)]) == sorted(zip([EOS, *expected[:-1]], expected, strict=True))


def test_canonical_bits_are_of_the_same_documents_with_the_bytes_of_their_canonical_text(
    streams: dict[str, TokenStream],
) -> None:
    documents = int(np.searchsorted(np.cumsum(streams["validation"].spans().bytes), 700, side="right"))
    stream = streams["canonical"]
    spans, ids = stream.spans(), stream.window(0, stream.tokens - 1)
    nats = ids[: spans.end[documents - 1]].sum() / 100
    result = validation_set(streams, 700).evaluate(KnownLosses(), Accelerator(cpu=True), batch_size=4)
    expected = nats / math.log(2) / spans.bytes[:documents].sum()
    assert result["canonical_bits_per_byte"] == pytest.approx(expected)
    assert result["canonical_bits_per_byte"] != pytest.approx(result["bits_per_byte"])


def test_a_uniform_model_has_the_entropy_of_its_vocabulary(streams: dict[str, TokenStream]) -> None:
    class Uniform:
        def token_losses(self, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return torch.where(labels != -100, math.log(VOCAB_SIZE), 0.0)

    scored = validation_set(streams, 700)
    result = scored.evaluate(Uniform(), Accelerator(cpu=True), batch_size=8)  # type: ignore[arg-type]
    assert result["loss"] == pytest.approx(math.log(VOCAB_SIZE))
    assert result["bits_per_byte"] == pytest.approx(math.log2(VOCAB_SIZE) * scored.raw.tokens / scored.raw.bytes.sum())


def test_a_part_without_documents_has_no_number(streams: dict[str, TokenStream]) -> None:
    first = validation_set(streams, int(streams["validation"].spans().bytes[0]))
    result = first.evaluate(KnownLosses(), Accelerator(cpu=True), 8)
    assert result["bits_per_byte_by_source"]["web"] is None


@pytest.mark.parametrize("raw_bytes", [3, 10**9])
def test_too_little_text_is_the_users_error(streams: dict[str, TokenStream], raw_bytes: int) -> None:
    with pytest.raises(UserError, match="eval_bytes"):
        validation_set(streams, raw_bytes)
