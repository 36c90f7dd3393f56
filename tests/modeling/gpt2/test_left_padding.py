"""A left-padded row is scored as the text it is: what TRL's GRPO trainer computes equals the row without padding."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import BPE
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from transformers.models.gpt2.modeling_gpt2 import GPT2Model
from trl import GRPOConfig, GRPOTrainer

from mulfact.modeling.gpt2.left_padding import MARK, positions_follow_mask

PAD = 1


@pytest.fixture
def original(monkeypatch: pytest.MonkeyPatch):
    """GPT-2's own forward, whatever an import has done before, put back afterwards."""
    marked = hasattr(GPT2Model.forward, MARK)
    monkeypatch.setattr(GPT2Model, "forward", GPT2Model.forward.__wrapped__ if marked else GPT2Model.forward)


@pytest.fixture
def model(original) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=40, n_positions=32, n_embd=16, n_layer=2, n_head=2, pad_token_id=PAD)
    with torch.no_grad():
        model = GPT2LMHeadModel(config).eval()
        model.transformer.wpe.weight.normal_()  # positions that matter
    return model


def trl_scores(model: GPT2LMHeadModel, rows: list[list[int]], completion: int, folder: Path) -> list[torch.Tensor]:
    """Return TRL's log-probabilities of the last `completion` tokens of each row, left-padded to one length."""
    width = max(map(len, rows))
    ids = torch.tensor([[PAD] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(BPE(vocab={"<eos>": 0, "<pad>": PAD}, merges=[])),
        eos_token="<eos>",
        pad_token="<pad>",
    )
    settings = GRPOConfig(output_dir=str(folder), use_cpu=True, bf16=False, report_to="none", num_generations=2)
    trainer = GRPOTrainer(
        model, reward_funcs=lambda **_: [0.0], args=settings, processing_class=tokenizer,
        train_dataset=Dataset.from_list([{"prompt": "a"}] * 8),
    )  # fmt: skip
    with torch.no_grad():
        return list(trainer._get_per_token_logps_and_entropies(trainer.model.eval(), ids, mask, completion)[0])


@torch.no_grad()
def true_scores(model: GPT2LMHeadModel, row: list[int], completion: int) -> torch.Tensor:
    ids = torch.tensor([row])
    scores = model(ids).logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None])[0, :, 0]
    return scores[-completion:]


ROWS = [[5, 6, 7, 8, 9, 10, 11], [12, 13, 14, 15], [16, 17, 18]]


def test_trl_scores_left_padded_rows_as_the_texts_they_are(model: GPT2LMHeadModel, tmp_path: Path) -> None:
    expected = [true_scores(model, row, 2) for row in ROWS]
    positions_follow_mask()
    for scores, wanted in zip(trl_scores(model, ROWS, 2, tmp_path), expected, strict=True):
        torch.testing.assert_close(scores, wanted, atol=1e-5, rtol=0)


def test_without_it_padded_rows_are_scored_wrong(model: GPT2LMHeadModel, tmp_path: Path) -> None:
    expected = [true_scores(model, row, 2) for row in ROWS]
    first, second, _ = trl_scores(model, ROWS, 2, tmp_path)
    torch.testing.assert_close(first, expected[0], atol=1e-5, rtol=0)
    assert (second - expected[1]).abs().max() > 0.1


def test_rows_without_left_padding_and_cached_steps_stay_as_they_were(model: GPT2LMHeadModel) -> None:
    ids = torch.tensor([[5, 6, 7, PAD, PAD], [8, 9, 10, 11, 12]])
    mask = torch.tensor([[1, 1, 1, 0, 0], [1] * 5])

    def outputs() -> tuple[torch.Tensor, torch.Tensor]:
        generated = model.generate(ids[1:], attention_mask=mask[1:], max_new_tokens=4, do_sample=False)
        return model(ids, attention_mask=mask).logits[mask.bool()], generated

    before = outputs()
    positions_follow_mask()
    once = GPT2Model.forward
    positions_follow_mask()
    assert GPT2Model.forward is once
    for left, right in zip(before, outputs(), strict=True):
        torch.testing.assert_close(left, right, atol=0, rtol=0)


def test_importing_the_rewards_is_enough() -> None:
    code = (
        "import mulfact.evals.rewards\n"
        "from transformers.models.gpt2.modeling_gpt2 import GPT2Model\n"
        f"assert hasattr(GPT2Model.forward, {MARK!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
