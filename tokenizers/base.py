"""The base vocabulary under every arm: a byte-level BPE, trained on the corpus or loaded.

    python tokenizers/base.py --config outputs/smoke/recipes/base_tokenizer.yaml
    python tokenizers/base.py --output_dir /tmp/gpt2 --source <folder with encoder.json and vocab.bpe> --corpus none

Training reads the raw corpus, without any rewriting, so the vocabulary favours no arm; it is the same on every run.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from mulfact.errors import UserError, command, first_line
from mulfact.provenance import stage_output, write_json
from mulfact.settings import parse
from mulfact.tokenizers.lossless import changed_by

END_OF_TEXT, PAD = "<|endoftext|>", "<|pad|>"
VOCABULARY_FILES = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))


@dataclass
class BaseTokenizerArguments:
    output_dir: str = field(metadata={"help": "Folder for tokenizer.json and manifest.json."})
    source: str = field(
        metadata={"help": "train (on the corpus), a folder with a GPT-2 style vocabulary, or a Hub id."}
    )
    corpus: str = field(metadata={"help": "Corpus folder; not read when a vocabulary is loaded."})
    vocab_size: int = field(
        metadata={"help": "Tokens to train, with <|endoftext|> and <|pad|>; ignored unless trained."}
    )
    max_bytes: int | None = field(
        metadata={"help": "Train on the first documents, up to so many bytes; null: on all of them."}
    )


@command
def main() -> None:
    arguments = parse(BaseTokenizerArguments, section="base_tokenizer")
    trained = arguments.source == "train"
    local = [arguments.corpus] if trained else [arguments.source] * Path(arguments.source).is_dir()
    with stage_output(arguments.output_dir, arguments, inputs=local) as folder:
        if trained:
            texts = first_bytes(corpus_texts(arguments.corpus), arguments.max_bytes)
            tokenizer = train(texts, arguments.vocab_size)
        else:
            tokenizer = load(arguments.source)
        tokenizer.save(str(folder / "tokenizer.json"))
        manifest = {
            "source": arguments.source,
            "vocab_size": tokenizer.get_vocab_size(),
            "eos_token_id": tokenizer.token_to_id(END_OF_TEXT),
            "pad_token_id": tokenizer.token_to_id(PAD),
        }
        write_json(folder / "manifest.json", manifest)
    print(f"{arguments.output_dir}: {manifest['vocab_size']} tokens, source {arguments.source}")


def train(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Return GPT-2's kind of BPE trained on `texts`; smaller than asked for when they hold fewer pairs."""
    smallest = 256 + 2
    if vocab_size < smallest:
        raise UserError(
            f"base_tokenizer.vocab_size is {vocab_size}: a byte-level vocabulary has at least {smallest} tokens "
            f"(256 bytes, {END_OF_TEXT} and {PAD})"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return finish(tokenizer)


def corpus_texts(corpus: str | Path, split: str = "train") -> Iterator[str]:
    """Yield the documents of a corpus folder in order. Raises UserError when there are none."""
    shards = sorted(Path(corpus).glob(f"{split}-*.parquet"))
    if not shards:
        raise UserError(f"{corpus} holds no {split}-*.parquet: build the corpus first (make corpus)")
    for shard in shards:
        for batch in pq.ParquetFile(shard).iter_batches(batch_size=256, columns=["text"]):
            yield from batch.column("text").to_pylist()


def first_bytes(texts: Iterable[str], limit: int | None) -> Iterator[str]:
    """Yield texts up to the one that brings them to `limit` UTF-8 bytes; a corpus is mixed evenly all along."""
    left = math.inf if limit is None else limit
    for text in texts:
        if left <= 0:
            return
        left -= len(text.encode())
        yield text


def load(source: str) -> Tokenizer:
    """Return the tokenizer in a folder (tokenizer.json, or a GPT-2 style pair of files) or on the Hub.

    Raises UserError when there is none, or when it does not give every text back unchanged, with the part that does it.
    """
    tokenizer = find_tokenizer(source)
    if (found := changed_by(tokenizer)) is not None:
        raise UserError(
            f"base_tokenizer.source {source}: expected a byte-level tokenizer like GPT-2's; {found}, and every arm "
            "must return texts unchanged; choose another base, or correct that part of its tokenizer.json"
        )
    return finish(tokenizer)


def find_tokenizer(source: str) -> Tokenizer:
    """Return the tokenizer in a folder or on the Hub as it is."""
    folder = Path(source)
    if (folder / "tokenizer.json").is_file():
        return read_tokenizer(folder / "tokenizer.json")
    if folder.is_dir():
        return load_vocabulary(folder)
    if source.startswith((".", "/", "~")):
        raise UserError(f"base_tokenizer.source is {source}, and there is no such folder")
    try:
        return Tokenizer.from_pretrained(source)
    except Exception as error:  # the library raises its own and huggingface_hub's exceptions
        raise UserError(
            f"base_tokenizer.source is {source!r}, which is no local folder and could not be read from the Hub "
            f"({first_line(error)}); give a folder with {' or '.join(map(' + '.join, VOCABULARY_FILES))}"
        ) from error


def load_vocabulary(folder: Path) -> Tokenizer:
    """Return GPT-2's tokenizer from its two files. Raises UserError when they are missing or do not belong together."""
    for vocabulary, merges in VOCABULARY_FILES:
        if (folder / vocabulary).is_file() and (folder / merges).is_file():
            try:
                model = models.BPE.from_file(str(folder / vocabulary), str(folder / merges))
            except Exception as error:  # the library raises plain Exception
                raise UserError(f"{folder}: {vocabulary} and {merges} are not a BPE vocabulary: {error}") from error
            tokenizer = Tokenizer(model)
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            tokenizer.decoder = decoders.ByteLevel()
            return tokenizer
    expected = " or ".join(" + ".join(pair) for pair in (*VOCABULARY_FILES, ("tokenizer.json",)))
    raise UserError(f"{folder} holds no vocabulary: expected {expected}")


def read_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer in a tokenizer.json. Raises UserError when it is missing or damaged."""
    if not path.is_file():
        raise UserError(f"{path} does not exist: build the base tokenizer first (make tokenizer)")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise UserError(f"{path} is not a tokenizer.json of the tokenizers library: {error}") from error


def finish(tokenizer: Tokenizer) -> Tokenizer:
    """Give `tokenizer` distinct end-of-text and pad tokens, and let it add none by itself."""
    tokenizer.add_special_tokens([END_OF_TEXT, PAD])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


if __name__ == "__main__":
    main()
