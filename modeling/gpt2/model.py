"""GPT-2 as it is trained: an ordinary `GPT2LMHeadModel`, and the objective that is computed on it.

model = build_model(config, seed=0)                          # what is saved
objective = Objective(model, loss="chunked", precision="bf16")   # what is trained
loss = objective(tokens[:, :-1], tokens[:, 1:])
"""

from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerBase
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP

from mulfact.modeling.gpt2.attention import CAUSAL_WITHOUT_MASK
from mulfact.modeling.gpt2.loss import linear_cross_entropy, token_cross_entropy
from mulfact.modeling.pretrain_arguments import ModelArguments

# What Inductor is told, by pretrain.compile_mode.
COMPILE_OPTIONS: dict[str, dict[str, Any] | None] = {
    "default": None,
    "tuned": {"max_autotune_gemm": True, "triton.enable_persistent_tma_matmul": True},
    "graphs": {"triton.cudagraphs": True},
}


def gpt2_config(shape: ModelArguments, vocab_size: int, tokenizer: PreTrainedTokenizerBase) -> GPT2Config:
    """Return GPT-2's own config with tied embeddings and without dropout.

    TRL's GRPO generates in train mode, where dropout would corrupt the rollouts.
    """
    return GPT2Config(
        vocab_size=vocab_size,
        n_positions=shape.n_positions,
        n_embd=shape.n_embd,
        n_layer=shape.n_layer,
        n_head=shape.n_head,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def build_model(config: GPT2Config, seed: int) -> GPT2LMHeadModel:
    """Return a float32 model initialised as GPT-2 was: normal(0.02), residual projections scaled by 1/sqrt(2 n_layer).

    The weights are a function of the config's shape and the seed: all arms of a seed start from the same ones.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return GPT2LMHeadModel(config).float()


class Objective(torch.nn.Module):
    """Next-token cross-entropy of a causal language model on full windows."""

    def __init__(self, model: GPT2LMHeadModel, loss: str, precision: str, bf16_residual: bool = False) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.autocast_dtype = torch.bfloat16 if precision == "bf16" else None
        if bf16_residual and self.autocast_dtype is not None:
            # Autocast leaves the sum of the embeddings in float32, and with it everything that is added to it.
            model.transformer.drop.register_forward_hook(lambda *call: call[-1].to(torch.bfloat16))
        model.set_attn_implementation(CAUSAL_WITHOUT_MASK)
        for module in model.modules():
            if isinstance(module, GPT2MLP):  # the same function as gelu_new, in one kernel instead of eight
                module.act = torch.nn.GELU(approximate="tanh")

    def hidden_states(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return the final hidden states (batch x length, width) of (batch, length) ids."""
        # Given ids, transformers looks for padding in them, and the host waits for the GPU to answer.
        embeddings = self.model.transformer.wte(input_ids)
        output = self.model.transformer(inputs_embeds=embeddings, use_cache=False)
        return output.last_hidden_state.flatten(0, 1)

    # The autocast lies inside the module, not in the launcher: DDP, DeepSpeed and one process then compute alike,
    # with float32 weights in all of them.
    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss in nats over (batch, length) labels, those of -100 not counted."""
        with torch.autocast(input_ids.device.type, self.autocast_dtype, enabled=self.autocast_dtype is not None):
            hidden = self.hidden_states(input_ids)
            return linear_cross_entropy(hidden, self.model.lm_head.weight, labels.flatten(), self.loss)

    @torch.no_grad()
    def token_losses(self, input_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss in nats of each of (batch, length) labels; 0 where the label is -100."""
        with torch.autocast(input_ids.device.type, self.autocast_dtype, enabled=self.autocast_dtype is not None):
            hidden = self.hidden_states(input_ids)
            return token_cross_entropy(hidden, self.model.lm_head.weight, labels.flatten()).view_as(labels)
