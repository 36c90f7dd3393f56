"""The base vocabulary: trained or loaded, deterministic, byte-level, with distinct special tokens."""

import subprocess
import sys
from pathlib import Path

import pytest
from tiny_tokenizers import TEXTS, write_corpus
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from mulfact.errors import UserError
from mulfact.tokenizers.base import corpus_texts, first_bytes, load, main, read_tokenizer, train


def test_the_command_trains_the_same_vocabulary_in_every_process(tmp_path: Path, repository: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", [f"{text} {number} more" for text in TEXTS for number in range(40)])
    for name in ("one", "two"):
        flags = ["--output_dir", str(tmp_path / name), "--corpus", str(corpus), "--vocab_size", "400"]
        command = [sys.executable, "tokenizers/base.py", *flags]
        result = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
    one, two = ((tmp_path / name / "tokenizer.json").read_bytes() for name in ("one", "two"))
    assert one == two
    tokenizer = read_tokenizer(tmp_path / "one" / "tokenizer.json")
    assert tokenizer.get_vocab_size() == 400
    assert (tokenizer.token_to_id("<|endoftext|>"), tokenizer.token_to_id("<|pad|>")) == (0, 1)
    assert (tmp_path / "one" / "provenance.json").is_file()


def test_documents_are_read_in_order(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", ["a", "b", "c", "d", "e"])
    assert list(corpus_texts(corpus)) == ["a", "c", "e", "b", "d"]


def test_the_vocabulary_is_trained_on_raw_text() -> None:
    tokenizer = train(["6*9 6*9 6*9 6*9"] * 50, 300)
    assert tokenizer.normalizer is None
    assert not any("MUL" in token for token in tokenizer.get_vocab())


def test_a_small_corpus_gives_a_small_vocabulary() -> None:
    assert train(["ab ab ab"], 1000).get_vocab_size() < 300


@pytest.mark.parametrize(("vocabulary", "merges"), [("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")])
def test_a_gpt2_style_vocabulary_is_loaded(vocabulary: str, merges: str, tmp_path: Path) -> None:
    original = train(TEXTS * 5, 320)
    saved_vocabulary, saved_merges = original.model.save(str(tmp_path))
    Path(saved_vocabulary).rename(tmp_path / vocabulary)
    Path(saved_merges).rename(tmp_path / merges)
    loaded = load(str(tmp_path))
    for text in TEXTS:
        assert loaded.encode(text).ids == original.encode(text).ids
        assert loaded.decode(loaded.encode(text).ids) == text
    assert loaded.token_to_id("<|pad|>") == original.token_to_id("<|pad|>")


def test_missing_special_tokens_are_added(tmp_path: Path) -> None:
    alphabet = {character: index for index, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    models.BPE(alphabet, []).save(str(tmp_path))
    loaded = load(str(tmp_path))
    assert loaded.token_to_id("<|endoftext|>") == 256
    assert loaded.token_to_id("<|pad|>") == 257
    assert loaded.encode("a<|endoftext|>b").ids.count(256) == 1


def test_a_tokenizer_json_is_loaded_and_adds_no_tokens_by_itself(tmp_path: Path) -> None:
    original = train(TEXTS * 5, 320)
    original.enable_padding(length=50)
    original.save(str(tmp_path / "tokenizer.json"))
    assert len(load(str(tmp_path)).encode("ab").ids) <= 2


def test_a_tokenizer_that_is_not_byte_level_is_refused(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.BPE({"a": 0}, []))
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match="expected a byte-level tokenizer like GPT-2's; it has a WordPiece decoder"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--corpus", "CORPUS", "--vocab_size", "100"), "vocab_size is 100: a byte-level vocabulary has at least 258"),
        (("--corpus", "EMPTY"), "holds no train-*.parquet: build the corpus first"),
        (("--corpus", "NOWHERE"), "is missing"),
        (("--source", "EMPTY"), "holds no vocabulary: expected vocab.json + merges.txt or encoder.json + vocab.bpe"),
        (("--source", "./nowhere"), "there is no such folder"),
        (("--source", "DAMAGED"), "vocab.json and merges.txt are not a BPE vocabulary"),
    ],
)
def test_bad_input_is_one_line(
    flags: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path / "CORPUS", ["a"])
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "DAMAGED").mkdir()
    (tmp_path / "DAMAGED" / "vocab.json").write_text("{")
    (tmp_path / "DAMAGED" / "merges.txt").write_text("")
    paths = {"CORPUS", "EMPTY", "NOWHERE", "DAMAGED"}
    flags = tuple(str(tmp_path / flag) if flag in paths else flag for flag in flags)
    monkeypatch.setattr(sys, "argv", ["base.py", "--output_dir", str(tmp_path / "out"), "--corpus", "none", *flags])
    with pytest.raises(SystemExit) as exit_information:
        main()
    assert str(exit_information.value).startswith("error: ")
    assert message in str(exit_information.value)
    assert not (tmp_path / "out").exists()


def test_an_unreachable_hub_is_named() -> None:
    with pytest.raises(UserError, match=r"source is 'nobody/nothing'.* could not be read from the Hub .*give a folder"):
        load("nobody/nothing")


def test_training_stops_at_a_limit_of_bytes() -> None:
    assert list(first_bytes(["aé", "bb", "c"], 3)) == ["aé"]
    assert list(first_bytes(["aé", "bb", "c"], 4)) == ["aé", "bb"]
    assert list(first_bytes(["aé", "bb", "c"], None)) == ["aé", "bb", "c"]
