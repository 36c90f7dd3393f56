"""The view of a text in several arms: the same counts in the terminal and on the page, and nothing to fetch for it."""

import re
import sys
from pathlib import Path

import pytest
from tiny_tokenizers import build

from mulfact.tokenizers.inspect_text import main, view_text, web_page

TEXT = "Each box has 6 × 9 = 54 pens & <b>six</b> é\nin all"


def test_pieces_put_together_are_the_canonical_text() -> None:
    view = view_text(build("weak"), TEXT)
    assert "".join(piece.text for piece in view.pieces) == TEXT.replace("6 × 9", "6*9")
    assert sum(len(piece.ids) for piece in view.pieces) == view.tokens
    assert [piece.tokens for piece in view.pieces if piece.is_fact] == [("<MUL_6_9>",)]
    assert view.bytes_per_token == pytest.approx(len(TEXT.encode()) / view.tokens)
    assert (view.name, view.facts) == ("weak", 1)


def test_a_character_of_several_tokens_is_shown_once() -> None:
    (piece,) = [piece for piece in view_text(build("baseline"), "a 龘").pieces if "龘" in piece.text]
    assert len(piece.ids) > 1


def test_a_replacement_character_in_the_text_is_shown() -> None:
    for text in ("a\ufffdb", "\ufffd龘\ufffdß"):
        assert "".join(piece.text for piece in view_text(build("baseline"), text).pieces) == text


def test_the_terminal_shows_every_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [str(build(arm)) for arm in ("baseline", "weak", "strict")]
    page = tmp_path / "pages" / "inspect.html"
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(sys, "argv", ["inspect", "--text", TEXT, "--html", str(page), "--tokenizers", *folders])
    main()
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("baseline", "weak", "strict", "6*9=54", "bytes per token"))
    assert page.is_file()
    assert "6*9|" in shown  # a pipe has no colours, so a mark stands between tokens
    monkeypatch.setenv("FORCE_COLOR", "1")
    main()
    assert "6*9|" not in capsys.readouterr().out


def test_the_page_is_self_contained_and_escaped() -> None:
    page = web_page(TEXT, [view_text(build(arm), TEXT) for arm in ("baseline", "weak")])
    assert "<b>" not in page
    assert "&lt;" in page
    assert not re.search(r"(src|href)=|url\(|@import|<script", page)
    assert page.count('class="fact"') == 1


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["inspect", "--text", "a", "--tokenizers", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"error: .*facts\.json does not exist"):
        main()
