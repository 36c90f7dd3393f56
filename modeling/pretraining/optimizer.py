"""AdamW, with weight decay on matrices only."""

import torch

from mulfact.modeling.pretrain_arguments import OptimizationArguments


def build_optimizer(model: torch.nn.Module, arguments: OptimizationArguments) -> torch.optim.AdamW:
    """Return fused AdamW over the parameters of `model`: decay on tensors of two dimensions, none on the others."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": arguments.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    betas = (arguments.adam_beta1, arguments.adam_beta2)
    return torch.optim.AdamW(groups, lr=arguments.learning_rate, betas=betas, fused=True)
