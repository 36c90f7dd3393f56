"""An arm's tokenizer folder: complete, the same size in every arm, usable by people who do not have this package."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from recipe_defaults import defaults
from tiny_tokenizers import ARMS, BASE_VOCAB_SIZE, base_tokenizer, build, write_corpus
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from mulfact.errors import UserError
from mulfact.provenance import stage_output
from mulfact.tokenizers.base import load, train
from mulfact.tokenizers.build import add_facts, fit_facts, main
from mulfact.tokenizers.card import description
from mulfact.tokenizers.encode import BulkEncoder
from mulfact.tokenizers.facts import FactSettings, read_facts

TEXT = (
    "Each box has 6 × 9 = 54 pens; six times nine is fifty-four, out of the store.\n16*9=144 六九五十四 <|endoftext|>"
)

# A process that cannot import mulfact loads a folder, encodes, saves, loads again and encodes again.
STRANGER = """
import json, sys
sys.modules["mulfact"] = None
from transformers import AutoTokenizer
results = {}
for folder in sys.argv[2:]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(sys.argv[1])["input_ids"]
    tokenizer.save_pretrained(folder + "-again")
    again = AutoTokenizer.from_pretrained(folder + "-again")
    same = again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()
    results[folder] = [ids, again(sys.argv[1])["input_ids"], same, tokenizer.decode(ids, skip_special_tokens=True)]
print(json.dumps(results))
"""


@pytest.fixture
def base_folder(tmp_path: Path) -> Path:
    """A finished base_tokenizer stage."""
    with stage_output(tmp_path / "base_tokenizer", {}) as folder:
        (folder / "tokenizer.json").write_text(base_tokenizer())
    return tmp_path / "base_tokenizer"


def run_build(monkeypatch: pytest.MonkeyPatch, output: Path, base: Path, *flags: str) -> None:
    places = ["--output_dir", str(output), "--base_tokenizer", str(base), "--corpus", "none"]
    arguments = [*places, "--vocab_size", "768", *flags]
    monkeypatch.setattr(sys, "argv", ["build.py", *arguments])
    main()


def test_a_stranger_gets_our_ids(tmp_path: Path) -> None:
    folders = {}
    for arm in ("baseline", "weak", "strict", "literal", "custom", "sums", "plain", "half", "weak_digits"):
        folders[arm] = tmp_path / arm
        folders[arm].mkdir()
        for path in build(arm).iterdir():
            (folders[arm] / path.name).write_bytes(path.read_bytes())
    # as in a checkpoint, where transformers could guess another tokenizer class from the model's type
    (folders["weak"] / "config.json").write_text(
        json.dumps({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]})
    )
    command = [sys.executable, "-c", STRANGER, TEXT, *map(str, folders.values())]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    answers = json.loads(result.stdout)
    for arm, folder in folders.items():
        ids, again, same, text = answers[str(folder)]
        encoder = BulkEncoder(build(arm))
        assert ids == again == encoder.encode_batch([TEXT])[0], arm
        assert same, arm
        assert text == encoder.canonical(TEXT).replace("<|endoftext|>", ""), arm


def test_the_tokenizer_is_ready_for_the_hub() -> None:
    tokenizer = AutoTokenizer.from_pretrained(build("weak"))
    assert (tokenizer.eos_token, tokenizer.bos_token, tokenizer.pad_token) == (
        "<|endoftext|>",
        "<|endoftext|>",
        "<|pad|>",
    )
    assert tokenizer.eos_token_id != tokenizer.pad_token_id
    assert (tokenizer.padding_side, tokenizer.model_max_length) == ("left", 128)
    assert tokenizer.clean_up_tokenization_spaces is False
    assert tokenizer.chat_template is None
    config = json.loads((build("weak") / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"  # a name that transformers 4 knows as well
    assert tokenizer("a")["input_ids"] == tokenizer("a", add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_tokens_to_ids("<MUL_6_9>") == read_facts(build("weak")).ids["<MUL_6_9>"]


def test_facts_survive_decoding_without_special_tokens() -> None:
    tokenizer = AutoTokenizer.from_pretrained(build("strict"))
    ids = tokenizer("So 6*9=54<|endoftext|>")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "So 6*9=54"


def test_a_batch_is_padded_on_the_left_with_the_pad_token() -> None:
    tokenizer = AutoTokenizer.from_pretrained(build("weak"))
    short, long = tokenizer(["6*9", "Six boxes"], padding=True)["input_ids"]
    assert len(short) == len(long)
    assert short[0] == tokenizer.pad_token_id


def test_every_arm_has_the_base_vocabulary_first() -> None:
    base = Tokenizer.from_str(base_tokenizer()).get_vocab()
    for arm in ARMS:
        tokenizer, facts = Tokenizer.from_file(str(build(arm) / "tokenizer.json")), read_facts(build(arm))
        vocabulary = tokenizer.get_vocab()
        assert facts.base_vocab_size == BASE_VOCAB_SIZE
        assert facts.vocab_size == 768
        assert {token: vocabulary[token] for token in base} == base
        assert len(vocabulary) == len(base) + len(facts.fact_tokens)
        assert all(tokenizer.token_to_id(token) == index for token, index in facts.ids.items())


@pytest.mark.parametrize("arm", ["weak", "in_order_strict_12", "custom", "baseline", "sums", "digits"])
def test_the_card_lists_the_facts(arm: str, tmp_path: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ARMS[arm]
    flags = ["--mode", settings.mode, "--max_operand", str(settings.max_operand)]
    flags += ["--canonical_order", str(settings.canonical_order), "--operation", settings.operation]
    flags += ["--digits", settings.digits]
    if settings.custom_tokens:
        tokens = [{"patterns": list(t.patterns), "name": t.token, "text": t.text} for t in settings.custom_tokens]
        places = {"output_dir": str(tmp_path / "out"), "base_tokenizer": str(base_folder)}
        recipe = defaults("tokenizer", **places, vocab_size=768, mode="custom", custom_tokens=tokens)
        (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
        monkeypatch.setattr(sys, "argv", ["build.py", "--config", str(tmp_path / "recipe.yaml")])
        main()
    else:
        run_build(monkeypatch, tmp_path / "out", base_folder, *flags)
    card = (tmp_path / "out" / "README.md").read_text()
    facts = read_facts(tmp_path / "out")
    assert all(f"`{fact.token}`" in card for fact in facts.fact_tokens)
    assert "AutoTokenizer.from_pretrained" in card
    assert (tmp_path / "out" / "provenance.json").is_file()
    assert json.loads((tmp_path / "out" / "tokenizer.json").read_text()) == json.loads(
        (build(arm) / "tokenizer.json").read_text()
    )


def test_the_placebo_arm_is_built_from_the_corpus(
    tmp_path: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [
        f"word{a} other{b}".translate(str.maketrans("0123456789", "abcdefghij")) for a in range(20) for b in range(20)
    ]
    corpus = write_corpus(tmp_path / "corpus", [f"The {pair} said 6*9=54 and {a}*7." for a, pair in enumerate(pairs)])
    run_build(monkeypatch, tmp_path / "out", base_folder, "--mode", "placebo", "--corpus", str(corpus))
    facts = read_facts(tmp_path / "out")
    assert len(facts.fact_tokens) == 81
    assert "| pair | occurrences | in place of | occurrences |" in (tmp_path / "out" / "README.md").read_text()
    pair = facts.fact_tokens[0]
    assert BulkEncoder(tmp_path / "out").encode_batch([pair.text]) == [[facts.base_vocab_size]]


@pytest.mark.parametrize(
    ("settings", "vocab_size", "message"),
    [
        (FactSettings("weak"), 320, r"base vocabulary has 300 tokens and this arm adds 81: set it to at least 384"),
        (FactSettings("weak"), 700, r"tokenizer.vocab_size is 700: it must be a multiple of 64"),
    ],
)
def test_facts_that_do_not_fit_are_refused(settings: FactSettings, vocab_size: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        fit_facts(settings, Tokenizer.from_str(base_tokenizer()), vocab_size)


def test_a_token_that_the_base_vocabulary_has_is_refused() -> None:
    base = Tokenizer.from_str(base_tokenizer())
    base.add_tokens(["<MUL_6_9>"])
    with pytest.raises(UserError, match=r"the base vocabulary already has '<MUL_6_9>' \(id 300\).*choose another name"):
        fit_facts(FactSettings("weak"), base, 768)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--mode", "week"), "tokenizer.mode: found 'week'"),
        (("--mode", "weak", "--vocab_size", "256"), "set it to at least 384 for every arm"),
        (("--mode", "placebo", "--corpus", "nowhere"), "nowhere is missing"),
    ],
)
def test_bad_settings_are_one_line(
    flags: tuple[str, ...], message: str, tmp_path: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as exit_information:
        run_build(monkeypatch, tmp_path / "out", base_folder, *flags)
    assert str(exit_information.value).startswith("error: ")
    assert message in str(exit_information.value)
    assert not (tmp_path / "out").exists()


def test_text_without_facts_costs_every_arm_the_same() -> None:
    plain = "Nothing to see: 16*90=1440, 3x4 matrix, 13+4, boxes of pens."
    ids = {tuple(BulkEncoder(build(arm)).encode_batch([plain])[0]) for arm in ARMS if ARMS[arm].digits == "bpe"}
    assert len(ids) == 1


@pytest.mark.parametrize("whole_words_first", [False, True])
def test_digits_are_split_over_a_loaded_vocabulary_with_tokens_that_mix_them(
    tmp_path: Path, whole_words_first: bool
) -> None:
    """GPT-2 has tokens such as ` 2010`, `1st` and `x86`; split, none of them is left in a text.

    Llama 3's looks whole words up before it merges (`ignore_merges`).
    """
    texts = ["In 2010 the x86 came 1st at $15.99, 3rd in 2010. " * 8]
    train(texts, 330).model.save(str(tmp_path))
    mixed = [token for token in load(str(tmp_path)).get_vocab() if re.search("[0-9].|.[0-9]", token)]
    assert len(mixed) > 5
    whole, split = load(str(tmp_path)), load(str(tmp_path))
    whole.model.ignore_merges = split.model.ignore_merges = whole_words_first
    assert [token for token in whole.encode(texts[0]).tokens if token in mixed]
    add_facts(split, fit_facts(FactSettings("weak", digits="split"), split, 768))
    text = "In 2010 the x86 came 1st\tat $15.99,  3rd. 6 × 9 = 54"
    encoding = split.encode(text)
    assert split.decode(encoding.ids) == text.replace("6 × 9", "6*9")
    assert [t for t in encoding.tokens if re.search("[0-9]", t) and len(t) > 1] == ["<MUL_6_9>"]
    assert split.encode("In the came, at\tonce.  And").ids == whole.encode("In the came, at\tonce.  And").ids
    assert split.get_vocab_size() == whole.get_vocab_size() + 81


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        ("weak", "has a token for the operands of each product; the product itself stays in digits"),
        ("sums_strict", "has a token for each whole true equation of a sum"),
        ("plain", "adds no tokens, but writes every spelling of a product as 6*9"),
        ("plain_sums", "adds no tokens, but writes every spelling of a sum as 6+9"),
        ("half", "in digits, for a share of 0.5 of the facts, drawn by seed 1; the others are written as plain text"),
        ("other_half", "for all but a share of 0.5 of the facts, drawn by seed 1"),
        ("digits", "with the special tokens; each digit is a token"),
    ],
)
def test_an_arm_is_described_by_what_it_does(arm: str, words: str) -> None:
    assert words in description(ARMS[arm])
