"""AdamW with weight decay on matrices only, and the learning rate as a pure function of the step.

cosine: linear warmup, then half a cosine down to the floor at the last step (Loshchilov & Hutter 2017).
wsd:    linear warmup, a plateau, then a linear decay to the floor (warmup-stable-decay, Hu et al. 2024).
Resuming needs no scheduler state.
"""

import math

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


def learning_rate(step: int, max_steps: int, arguments: OptimizationArguments) -> float:
    """Return the learning rate of optimizer step `step`, counted from 1 to `max_steps`."""
    peak, floor = arguments.learning_rate, arguments.min_learning_rate_ratio
    warmup = min(arguments.warmup_steps, max_steps)
    if step <= warmup:
        return peak * step / warmup
    if arguments.schedule == "cosine":
        progress = (step - warmup) / (max_steps - warmup)
        return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))
    decay = min(round(arguments.decay_ratio * max_steps), max_steps - warmup)
    remaining = max_steps - step
    return peak if remaining >= decay else peak * (floor + (1 - floor) * remaining / decay)
