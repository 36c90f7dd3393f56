"""How many steps a run takes: the number itself, or what reaches a target of tokens or FLOPs."""

import json
import math
from pathlib import Path

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


def resolve_steps(arguments: PretrainArguments, vocab_size: int, factor: float = 1.0) -> int:
    """Return the optimizer steps: the same in every arm, for the arms share shape and `vocab_size`.

    Times steps_factor and `factor`, which are 1 in every arm: other ones belong to a declared control.
    Raises UserError unless exactly one of max_steps, target_tokens and target_flops is set.
    """
    targets = ("max_steps", "target_tokens", "target_flops")
    given = [name for name in targets if getattr(arguments, name) is not None]
    if len(given) != 1:
        raise UserError(
            f"pretrain sets {', '.join(given) or 'none'} of {', '.join(targets)}: set one and leave the others null"
        )
    if arguments.max_steps is not None:
        steps = arguments.max_steps
    elif arguments.target_tokens is not None:
        steps = math.ceil(arguments.target_tokens / arguments.tokens_per_step)
    else:
        assert arguments.target_flops is not None
        steps = math.ceil(arguments.target_flops / step_flops(arguments, vocab_size))
    factor *= arguments.steps_factor
    steps = steps if factor == 1.0 else round(factor * steps)
    if steps < 1:
        raise UserError(f"pretrain.{given[0]} is {getattr(arguments, given[0])}: expected at least one step")
    return steps


def bytes_factor(arguments: PretrainArguments) -> float:
    """Return by how much more steps than planned read as many raw bytes as the arm in bytes_as does; 1 without one."""
    if arguments.bytes_as is None:
        return 1.0
    own, other = (bytes_per_token(Path(folder)) for folder in (arguments.tokens, arguments.bytes_as))
    return other / own


def bytes_per_token(folder: Path) -> float:
    """Return the raw bytes of a token of an arm's training text. Raises UserError where its tokens are missing."""
    try:
        split = json.loads((folder / "manifest.json").read_text())["splits"]["train"]
        return float(split["bytes"] / split["tokens"])
    except (OSError, ValueError, LookupError) as error:
        raise UserError(
            f"{folder} cannot be read ({error!r}): run make tokens CONDITION={folder.parent.name} first"
        ) from error
