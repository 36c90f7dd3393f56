"""How many steps a run takes: the number itself, or what reaches a target of tokens or FLOPs."""

import math

from mulfact.errors import UserError
from mulfact.modeling.gpt2.flops import ModelShape, backward_flops, forward_flops
from mulfact.modeling.pretrain_arguments import PretrainArguments


def step_flops(arguments: PretrainArguments, vocab_size: int) -> int:
    """Return the FLOPs of one optimizer step, forward and backward."""
    shape = ModelShape(
        arguments.n_layer, arguments.n_embd, 4 * arguments.n_embd, vocab_size, n_positions=arguments.n_positions
    )
    sequences = arguments.tokens_per_step // arguments.sequence_length
    forward = forward_flops(shape, sequences, arguments.sequence_length)
    return forward + backward_flops(forward)


def resolve_steps(arguments: PretrainArguments, vocab_size: int) -> int:
    """Return the optimizer steps: the same in every arm, for the arms share shape and `vocab_size`.

    Raises UserError unless exactly one of max_steps, target_tokens and target_flops is set.
    """
    targets = ("max_steps", "target_tokens", "target_flops")
    given = [name for name in targets if getattr(arguments, name) is not None]
    if len(given) != 1:
        raise UserError(
            f"pretrain sets {', '.join(given) or 'none'} of {', '.join(targets)}: set one and leave the others null"
        )
    if arguments.max_steps is not None:
        return arguments.max_steps
    if arguments.target_tokens is not None:
        return math.ceil(arguments.target_tokens / arguments.tokens_per_step)
    assert arguments.target_flops is not None
    return math.ceil(arguments.target_flops / step_flops(arguments, vocab_size))
