"""A base that changes a text is refused with the part that does it; one that only splits is taken."""

import json
from collections.abc import Callable

import pytest
from tiny_tokenizers import TEXTS
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from mulfact.errors import UserError
from mulfact.tokenizers.base import load, main, train
from mulfact.tokenizers.lossless import changed_by

GPT4 = Regex(r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+| ?\p{L}+")


def byte_level(**settings: bool) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(**{"add_prefix_space": False, **settings})


def with_part(name: str, part: object) -> Callable[[Tokenizer], object]:
    return lambda tokenizer: setattr(tokenizer, name, part)


def with_json(change: Callable[[dict], object]) -> Callable[[Tokenizer], Tokenizer]:
    def build(tokenizer: Tokenizer) -> Tokenizer:
        content = json.loads(tokenizer.to_str())
        change(content)
        return Tokenizer.from_str(json.dumps(content))

    return build


def changed(change: Callable[[Tokenizer], object]) -> Tokenizer:
    tokenizer = train(TEXTS * 5, 320)
    result = change(tokenizer)
    return result if isinstance(result, Tokenizer) else tokenizer


@pytest.mark.parametrize(
    "change",
    [
        lambda tokenizer: None,
        with_part("normalizer", normalizers.Sequence([])),
        with_part("pre_tokenizer", pre_tokenizers.Sequence([pre_tokenizers.Split(GPT4, "isolated"), byte_level()])),
        with_part("pre_tokenizer", pre_tokenizers.Sequence([pre_tokenizers.Digits(True), byte_level(use_regex=False)])),
        lambda tokenizer: tokenizer.add_tokens(["  ", "   ", "</s>"]),
        lambda tokenizer: tokenizer.enable_padding(length=50),
        lambda tokenizer: tokenizer.enable_truncation(4),
    ],
)
def test_a_base_that_only_splits_is_taken(change: Callable) -> None:
    assert changed_by(changed(change)) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            with_part("pre_tokenizer", byte_level(add_prefix_space=True)),
            "pre-tokenizer (ByteLevel with add_prefix_space)",
        ),
        (with_part("pre_tokenizer", pre_tokenizers.Whitespace()), "pre-tokenizer (Whitespace) removes"),
        (
            with_part("pre_tokenizer", pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), byte_level()])),
            "pre-tokenizer (WhitespaceSplit) removes",
        ),
        (
            with_part("pre_tokenizer", pre_tokenizers.Sequence([pre_tokenizers.Split(" ", "removed"), byte_level()])),
            "pre-tokenizer (Split) removes",
        ),
        (
            with_part("pre_tokenizer", pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), byte_level()])),
            "pre-tokenizer (Metaspace)",
        ),
        (with_part("pre_tokenizer", pre_tokenizers.BertPreTokenizer()), "pre-tokenizer (BertPreTokenizer) removes"),
        (with_part("pre_tokenizer", pre_tokenizers.Digits()), "turns text into bytes 0 times"),
        (with_part("pre_tokenizer", pre_tokenizers.Sequence([byte_level(), byte_level()])), "into bytes 2 times"),
        (with_json(lambda content: content.update(pre_tokenizer=None)), "turns text into bytes 0 times"),
        (with_part("normalizer", normalizers.Lowercase()), "normalizer (Lowercase) makes 'abc straße"),
        (with_part("normalizer", normalizers.NFKC()), "normalizer (NFKC) makes"),
        (with_part("normalizer", normalizers.NFC()), "normalizer (NFC) makes"),
        (with_part("normalizer", normalizers.Strip()), "normalizer (Strip) makes '6 × 9 ="),
        (with_part("normalizer", normalizers.Prepend("▁")), "normalizer (Prepend) makes '▁6*9=54.'"),
        (with_part("normalizer", normalizers.Replace("rare word", "")), "normalizer (Replace) may change texts"),
        (
            with_part("normalizer", normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])),
            "normalizer (NFD, StripAccents) makes",
        ),
        (with_part("normalizer", normalizers.BertNormalizer()), "normalizer (BertNormalizer) makes"),
        (with_part("decoder", decoders.WordPiece()), "it has a WordPiece decoder"),
        (with_part("decoder", decoders.Metaspace()), "it has a Metaspace decoder"),
        (
            with_part("decoder", decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])),
            "a Sequence decoder",
        ),
        (with_json(lambda content: content.update(decoder=None)), "it has no decoder"),
        (with_json(lambda content: content["model"].update(dropout=0.1)), "model has dropout 0.1"),
        (with_json(lambda content: content["model"].update(end_of_word_suffix="</w>")), "end_of_word_suffix: '</w>'"),
        (with_part("model", models.BPE({"a": 0, "b": 1}, [])), "vocabulary lacks 254 of the 256 bytes"),
        (with_part("model", models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]")), "model is WordLevel, not BPE"),
        (
            with_part(
                "post_processor",
                processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]),
            ),
            "post-processor (TemplateProcessing) adds <|endoftext|> to every text",
        ),
        (
            with_part("post_processor", processors.BertProcessing(("<|pad|>", 1), ("<|endoftext|>", 0))),
            "post-processor (BertProcessing) adds <|endoftext|> <|pad|> to every text",
        ),
        (
            lambda tokenizer: tokenizer.add_tokens([AddedToken("<mask>", lstrip=True)]),
            "'<mask>' makes 'a<mask> b'",
        ),
        (lambda tokenizer: tokenizer.add_tokens([AddedToken("<m>", rstrip=True)]), "added token '<m>' makes 'a <m>b'"),
        (lambda tokenizer: tokenizer.add_tokens(["é"]), "added token 'é' makes"),
    ],
)
def test_the_part_that_changes_a_text_is_named(change: Callable, message: str) -> None:
    assert message in (changed_by(changed(change)) or "")


def test_the_command_refuses_such_a_base(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(with_part("pre_tokenizer", byte_level(add_prefix_space=True))).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match="puts a space in front of a text, and every arm must return texts unchanged"):
        load(str(tmp_path))
    monkeypatch.setattr(
        "sys.argv", ["base.py", "--output_dir", str(tmp_path / "out"), "--source", str(tmp_path), "--corpus", "none"]
    )
    with pytest.raises(SystemExit, match="error: base_tokenizer.source .* add_prefix_space"):
        main()
    assert not (tmp_path / "out").exists()


def test_two_files_without_all_bytes_are_refused(tmp_path) -> None:
    models.BPE({"a": 0, "b": 1}, []).save(str(tmp_path))
    with pytest.raises(UserError, match="vocabulary lacks 254 of the 256 bytes"):
        load(str(tmp_path))
