"""Which windows a process reads: the same global batch whatever was launched, and the raw bytes behind it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_pretraining import write_tokenizer, write_tokens

from mulfact.data_builders.storage.token_stream import TokenStream
from mulfact.errors import UserError
from mulfact.modeling.pretraining.batches import RawBytes, plan_batches, read_step


def settings(tokens_per_step: int = 256, micro_batch_size: int = 2) -> SimpleNamespace:
    return SimpleNamespace(sequence_length=32, tokens_per_step=tokens_per_step, micro_batch_size=micro_batch_size)


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> TokenStream:
    folder = tmp_path_factory.mktemp("tokens")
    write_tokenizer(folder / "tokenizer")
    write_tokens(folder / "tokens", folder / "tokenizer")
    return TokenStream(folder / "tokens", "train", seed=0, allow_epochs=True)


@pytest.mark.parametrize("num_processes", [1, 2, 4])
@pytest.mark.parametrize("micro_batch_size", [1, 2, 8, 100])
def test_the_processes_together_read_the_windows_of_the_step_once(num_processes: int, micro_batch_size: int) -> None:
    plans = [plan_batches(settings(256, micro_batch_size), num_processes, rank) for rank in range(num_processes)]
    for step in (1, 2, 7):
        windows = [w for plan in plans for part in range(plan.micro_batches) for w in plan.windows(step, part)]
        assert sorted(windows) == list(range((step - 1) * 8, step * 8))


@pytest.mark.parametrize(
    ("tokens_per_step", "micro_batch_size", "num_processes", "named"),
    [
        (250, 2, 1, "tokens_per_step is 250"),
        (256, 2, 3, "num_processes is 3"),
        (256, 3, 1, "micro_batch_size"),
        (0, 1, 1, "0"),
    ],
)
def test_what_does_not_divide_is_the_users_error(
    tokens_per_step: int, micro_batch_size: int, num_processes: int, named: str
) -> None:
    with pytest.raises(UserError, match=named):
        plan_batches(settings(tokens_per_step, micro_batch_size), num_processes, 0)


def test_a_batch_is_the_stream_and_its_successor(stream: TokenStream) -> None:
    plan = plan_batches(settings(), num_processes=2, process_index=1)
    batches = list(read_step(stream, plan, 3, torch.device("cpu")))
    assert len(batches) == 2
    inputs, labels = batches[1]
    window = stream.window(2 * 8 + 4 + 2, 32)  # step 3, the second process, its second micro-batch
    assert inputs[0].tolist() == window[:-1].tolist()
    assert labels[0].tolist() == window[1:].tolist()


def test_raw_bytes_follow_the_order_of_the_documents(stream: TokenStream) -> None:
    raw_bytes, spans = RawBytes(stream), stream.spans()
    assert raw_bytes(0) == 0
    assert raw_bytes(int(spans.end[9])) == spans.bytes[:10].sum()
    assert raw_bytes(stream.tokens) == spans.bytes.sum()
    assert raw_bytes(2 * stream.tokens) == 2 * spans.bytes.sum()
    assert np.all(np.diff([raw_bytes(tokens) for tokens in range(0, 200, 7)]) >= 0)
