"""Bulk encoding gives the ids of tokenizer.json, without transformers, and notices a tokenizer of another version."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_tokenizers import ARMS, TEXTS, base_tokenizer, build
from tokenizers import Tokenizer, normalizers

from mulfact.errors import UserError
from mulfact.tokenizers.base import train
from mulfact.tokenizers.build import add_facts, fit_facts, save, split_digits
from mulfact.tokenizers.encode import BulkEncoder, plain_tokenizer
from mulfact.tokenizers.facts import FactSettings


@pytest.mark.parametrize("arm", list(ARMS))
def test_ids_are_those_of_tokenizer_json(arm: str) -> None:
    texts = [
        *TEXTS,
        "6*9<|endoftext|>6*9=<|pad|>54",
        "<|endoftext|>",
        "",
        "6*9<<|endoftext|>",
        "out loud of the café noir",
    ]
    tokenizer = Tokenizer.from_file(str(build(arm) / "tokenizer.json"))
    assert BulkEncoder(build(arm)).encode_batch(texts) == [tokenizer.encode(text).ids for text in texts]


@pytest.mark.parametrize("arm", list(ARMS))
def test_a_plain_tokenizer_reads_as_the_base_and_decodes_as_the_arm(arm: str) -> None:
    texts = [*TEXTS, "What is 6*9?", "6*9=54<|endoftext|>out loud -> of  the"]
    base, plain = Tokenizer.from_str(base_tokenizer()), plain_tokenizer(build(arm))
    own = Tokenizer.from_file(str(build(arm) / "tokenizer.json"))
    if ARMS[arm].digits == "split":
        split_digits(base)
    for text in texts:
        assert plain.encode(text).ids == base.encode(text).ids
        assert plain.decode(own.encode(text).ids) == own.decode(own.encode(text).ids)


def test_it_does_not_import_transformers_or_torch() -> None:
    code = "import sys, mulfact.tokenizers.encode; sys.exit('transformers' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_base_with_a_normalizer_of_its_own_keeps_it(tmp_path: Path) -> None:
    base = train(TEXTS, 300)
    base.normalizer = normalizers.NFKC()
    facts = fit_facts(FactSettings("weak"), base, 512)
    save(add_facts(base, facts), facts, 128, tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = "６*９=５４<|endoftext|>ﬁne ②"
    assert BulkEncoder(tmp_path).encode_batch([text]) == [tokenizer.encode(text).ids]
    assert tokenizer.decode(tokenizer.encode(text).ids) == "6*9=54fine 2"
    assert facts.ids["<MUL_6_9>"] in tokenizer.encode(text).ids


def test_a_base_that_changes_the_names_is_refused() -> None:
    base = train(TEXTS, 300)
    base.normalizer = normalizers.Lowercase()
    with pytest.raises(UserError, match="own normalizer turns the name '<MUL_1_1>' into '<mul_1_1>'"):
        fit_facts(FactSettings("weak"), base, 512)


def test_another_grammar_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(build("weak"), tmp_path / "old")
    path = tmp_path / "old" / "tokenizer.json"
    content = json.loads(path.read_text())
    content["normalizer"]["normalizers"][1]["pattern"]["Regex"] = "[*]"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"tokenizer\.json was built with another grammar .*build it again"):
        BulkEncoder(tmp_path / "old")


def test_a_missing_tokenizer_is_named(tmp_path: Path) -> None:
    shutil.copy(build("weak") / "facts.json", tmp_path)
    with pytest.raises(UserError, match=r"tokenizer\.json does not exist"):
        BulkEncoder(tmp_path)
