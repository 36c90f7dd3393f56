"""Build an arm's tokenizer: the base vocabulary, the arm's fact tokens, and the rewriting inside tokenizer.json.

    python tokenizers/build.py --config outputs/smoke/mulfact/recipes/tokenizer.yaml
    python tokenizers/build.py --output_dir /tmp/mulfact --base_tokenizer outputs/smoke/base_tokenizer --corpus none \\
        --mode weak

The folder is a complete Hugging Face tokenizer. facts.json beside it tells the other stages which tokens are facts.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers

from mulfact.errors import UserError, command
from mulfact.provenance import stage_output, write_json
from mulfact.settings import parse
from mulfact.tokenizers.base import END_OF_TEXT, PAD, corpus_texts, read_tokenizer
from mulfact.tokenizers.card import tokenizer_card
from mulfact.tokenizers.custom import read_settings
from mulfact.tokenizers.facts import FACTS_FILE, VOCAB_SIZE_MULTIPLE, Facts, FactSettings, padded_size
from mulfact.tokenizers.patterns.normalizer import fact_decoders, fact_normalizers
from mulfact.tokenizers.placebo import choose_pairs

DIGIT = re.compile("[0-9]")
SAMPLE_BYTES = 100_000_000  # compressed; counting words in all of a web corpus would take hours


@dataclass
class TokenizerArguments:
    output_dir: str = field(metadata={"help": "Folder for the tokenizer."})
    base_tokenizer: str = field(metadata={"help": "Folder of the base vocabulary, the same for every arm."})
    corpus: str = field(metadata={"help": "Corpus folder; the placebo arm counts its words there."})
    vocab_size: int = field(metadata={"help": "Rows of the model's embedding in every arm: a multiple of 64."})
    mode: str = field(metadata={"help": "none, weak (6*9), strict (6*9=54), placebo or custom."})
    operation: str = field(metadata={"help": "multiply or add (3+4): what weak and strict read."})
    max_operand: int = field(metadata={"help": "Largest operand of a fact, up to 20."})
    subset: dict = field(metadata={"help": "The facts that have a token: {share: 1.0, seed: 0, complement: false}."})
    canonical_order: bool = field(metadata={"help": "Write 9*6 as the token of 6*9 as well."})
    token_names: str = field(metadata={"help": "structured (<MUL_6_9>) or literal (6*9)."})
    surface_forms: list[str] = field(metadata={"help": "Spellings that are rewritten."})
    custom_tokens: list[dict] = field(metadata={"help": "With mode custom: a list of {patterns, name, text}."})
    digits: str = field(metadata={"help": "bpe, or split: each digit a token."})
    model_max_length: int = field(metadata={"help": "Positions of the model."})


@command
def main() -> None:
    arguments = parse(TokenizerArguments, section="tokenizer")
    placebo = arguments.mode == "placebo"
    inputs = [arguments.base_tokenizer, *([arguments.corpus] if placebo else [])]
    with stage_output(arguments.output_dir, arguments, inputs) as folder:
        base = read_tokenizer(Path(arguments.base_tokenizer) / "tokenizer.json")
        settings = read_settings(vars(arguments))
        pairs = choose_pairs(sample_texts(arguments.corpus), settings) if placebo else []
        if placebo:
            settings = replace(settings, custom_tokens=tuple(pair.token for pair in pairs))
        facts = fit_facts(settings, base, arguments.vocab_size)
        save(add_facts(base, facts), facts, arguments.model_max_length, folder)
        (folder / "README.md").write_text(tokenizer_card(facts, pairs), encoding="utf-8")
    print(f"{arguments.output_dir}: {len(facts.fact_tokens)} fact tokens, vocab_size {facts.vocab_size}")


def sample_texts(corpus: str) -> Iterator[str]:
    """Yield the training texts of the corpus, or of a large one evenly spread documents, about SAMPLE_BYTES in all."""
    size = sum(shard.stat().st_size for shard in Path(corpus).glob("train-*.parquet"))
    return islice(corpus_texts(corpus), None, None, 1 + size // SAMPLE_BYTES)


def fit_facts(settings: FactSettings, base: Tokenizer, vocab_size: int) -> Facts:
    """Return the arm's facts on top of the base vocabulary.

    Raises UserError for a padded size that is no multiple of 64 or too small, and for a token that exists already.
    """
    facts = Facts(settings.mode, vocab_size, base.get_vocab_size(), tuple(settings.tokens()), settings)
    if facts.vocab_size % VOCAB_SIZE_MULTIPLE:
        raise UserError(f"tokenizer.vocab_size is {facts.vocab_size}: it must be a multiple of {VOCAB_SIZE_MULTIPLE}")
    needed = facts.base_vocab_size + len(facts.fact_tokens)
    if needed > facts.vocab_size:
        raise UserError(
            f"tokenizer.vocab_size is {facts.vocab_size}, but the base vocabulary has {facts.base_vocab_size} tokens "
            f"and this arm adds {len(facts.fact_tokens)}: set it to at least {padded_size(needed)} for every arm"
        )
    for fact in facts.fact_tokens:
        existing = base.token_to_id(fact.token)
        if existing is not None:
            raise UserError(
                f"the base vocabulary already has {fact.token!r} (id {existing}), so it cannot be added as a fact "
                f"token; choose another name"
            )
        if base.normalizer is not None and base.normalizer.normalize_str(fact.token) != fact.token:
            raise UserError(
                f"the base vocabulary's own normalizer turns the name {fact.token!r} into "
                f"{base.normalizer.normalize_str(fact.token)!r}; choose another base"
            )
    return facts


def add_facts(tokenizer: Tokenizer, facts: Facts) -> Tokenizer:
    """Give `tokenizer` the fact tokens, the normalizer that writes them and the decoder that renders them as text."""
    if facts.settings.digits == "split":
        split_digits(tokenizer)
    steps = fact_normalizers(facts.settings)
    if steps:
        own = [tokenizer.normalizer] if tokenizer.normalizer is not None else []
        tokenizer.normalizer = normalizers.Sequence([*own, *steps])
    if facts.fact_tokens:
        tokenizer.decoder = decoders.Sequence([*fact_decoders(facts.settings), decoders.ByteLevel()])
        # special=False: TRL and lighteval decode with skip_special_tokens=True, and the facts must not vanish.
        # normalized=True: the names are looked for in the text that the normalizer wrote.
        tokenizer.add_tokens([AddedToken(fact.token, normalized=True, special=False) for fact in facts.fact_tokens])
    for token, index in facts.ids.items():
        assert tokenizer.token_to_id(token) == index, f"{token} has id {tokenizer.token_to_id(token)}, not {index}"
    return tokenizer


def split_digits(tokenizer: Tokenizer) -> None:
    """Let `tokenizer` merge nothing with a digit, so that no token but an added one holds a digit and more.

    The vocabulary stays as it is: tokens such as `54` are never reached. Text without a digit has the same tokens
    as before. A base that looks whole words up before it merges has its text cut around each digit instead, which is a
    second pass.
    """
    content = json.loads(tokenizer.to_str())
    if content["model"].get("ignore_merges"):
        digit = pre_tokenizers.Split(Regex(DIGIT.pattern), behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digit, *filter(None, [tokenizer.pre_tokenizer])])
        return
    merges = content["model"]["merges"]
    content["model"]["merges"] = [pair for pair in merges if not DIGIT.search("".join(pair))]
    tokenizer.model = Tokenizer.from_str(json.dumps(content)).model


def save(tokenizer: Tokenizer, facts: Facts, model_max_length: int, folder: Path) -> None:
    """Write the Hugging Face tokenizer and facts.json into `folder`."""
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=PAD,
        model_max_length=model_max_length,
        padding_side="left",  # as generation needs it; TRL pads training batches on the right by itself
        clean_up_tokenization_spaces=False,  # decoding must return the text as it was
    ).save_pretrained(folder)
    # transformers 5 writes its new name of the class, which transformers 4 does not know; both read the old one.
    config = folder / "tokenizer_config.json"
    write_json(config, json.loads(config.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"})
    write_json(folder / FACTS_FILE, facts.to_json())


if __name__ == "__main__":
    main()
