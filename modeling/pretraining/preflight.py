"""What must hold before the first step: mistakes that would waste a night, found in a second."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from mulfact.data_builders.storage.token_stream import TokenStream
from mulfact.errors import UserError
from mulfact.finished import Hashes, why_not
from mulfact.modeling.pretrain_arguments import HOUSEKEEPING, PretrainArguments
from mulfact.provenance import input_hash, read_provenance
from mulfact.tokenizers.facts import read_facts


def is_finished(arguments: PretrainArguments) -> bool:
    """Return whether output_dir holds the run of these settings and inputs, whole, housekeeping aside."""
    return not why_not(Path(arguments.output_dir), asdict(arguments), Hashes(), HOUSEKEEPING)


def load_tokenizer(arguments: PretrainArguments) -> tuple[PreTrainedTokenizerBase, int, dict[str, Any]]:
    """Return the tokenizer, the model's vocabulary size and the manifest of the token shards.

    Raises UserError when the shards were not written with this tokenizer.
    """
    folder = Path(arguments.tokenizer)
    tokenizer_hash = input_hash(folder)
    vocab_size = read_facts(folder).vocab_size
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if len(tokenizer) > vocab_size:
        raise UserError(f"{folder}: the tokenizer has {len(tokenizer)} tokens, its facts.json says {vocab_size}")

    made_from = read_provenance(arguments.tokens)["inputs"]
    if tokenizer_hash not in made_from.values():
        raise UserError(
            f"{arguments.tokens} was not written with the tokenizer in {folder} (but with "
            f"{', '.join(made_from) or 'none'}): run data_builders/tokens.py again, or correct pretrain.tokens"
        )
    manifest = json.loads((Path(arguments.tokens) / "manifest.json").read_text())
    if manifest["eos_token_id"] != tokenizer.eos_token_id:
        raise UserError(
            f"{arguments.tokens} ends its documents with token {manifest['eos_token_id']}, the tokenizer in "
            f"{folder} with {tokenizer.eos_token_id}: run data_builders/tokens.py again"
        )
    return tokenizer, vocab_size, manifest


def check_supply(stream: TokenStream, max_steps: int, arguments: PretrainArguments) -> float:
    """Return the epochs that the run will read. Raises UserError when there are too few tokens for one."""
    needed = max_steps * arguments.tokens_per_step
    supply = stream.len_windows(arguments.sequence_length) * arguments.sequence_length
    if needed > supply and not arguments.allow_epochs:
        raise UserError(
            f"{arguments.tokens} holds {supply} training tokens in whole sequences, and {max_steps} steps of "
            f"pretrain.tokens_per_step are {needed}: build a larger corpus (corpus.target_bytes), train fewer steps, "
            "or set pretrain.allow_epochs to read it more than once"
        )
    return needed / stream.tokens
