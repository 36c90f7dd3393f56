"""What is rewritten and what never is. Add a row whenever a text surprises you."""

import json
import re
from pathlib import Path

import pytest
import yaml

from mulfact.tokenizers.facts import FactSettings
from mulfact.tokenizers.list_rewrites import read_texts
from mulfact.tokenizers.rewrite import Rewriter, reference_rewriter

WEAK, STRICT = Rewriter(FactSettings("weak")), Rewriter(FactSettings("strict"))

# text, in weak mode, in strict mode (None: as it is)
REWRITTEN = [
    ("6*9=54", "<MUL_6_9>=54", "<MUL_6_9_54>"),
    ("9*6=54", "<MUL_9_6>=54", "<MUL_9_6_54>"),
    ("6*9", "<MUL_6_9>", None),
    ("6*9=", "<MUL_6_9>=", None),
    ("6 * 9 = ", "<MUL_6_9> = ", None),
    ("What is 6*9?", "What is <MUL_6_9>?", None),
    ("6*9=55", "<MUL_6_9>=55", None),  # plainly false: the operands stand, the equation does not
    ("6*9=$54", "<MUL_6_9>=$54", None),
    ("6*9=_____", "<MUL_6_9>=_____", None),
    ("6 × 9 = 54 pens", "<MUL_6_9> = 54 pens", "<MUL_6_9_54> pens"),
    ("6×9=54.", "<MUL_6_9>=54.", "<MUL_6_9_54>."),
    ("6\u00a0×\u00a09\u00a0=\u00a054", "<MUL_6_9>\u00a0=\u00a054", "<MUL_6_9_54>"),
    ("6·9=54", "<MUL_6_9>=54", "<MUL_6_9_54>"),
    ("6 ⋅ 9 = 54", "<MUL_6_9> = 54", "<MUL_6_9_54>"),
    ("6x9=54", "<MUL_6_9>=54", "<MUL_6_9_54>"),
    ("6 x 9 = $54", "<MUL_6_9> = $54", None),
    ("6 x 9 = ?", "<MUL_6_9> = ?", None),
    ("6 x 9 = <<6*9=54>>54", "<MUL_6_9> = <<<MUL_6_9>=54>>54", "6 x 9 = <<<MUL_6_9_54>>>54"),
    ("6 times 9 is 54.", "<MUL_6_9> is 54.", "<MUL_6_9_54>."),
    ("6 times 9 equals 54", "<MUL_6_9> equals 54", "<MUL_6_9_54>"),
    ("What is 6 times 9?", "What is <MUL_6_9>?", None),
    ("six times nine is fifty-four", "<MUL_6_9> is fifty-four", "<MUL_6_9_54>"),
    ("Six times nine is fifty four.", "<MUL_6_9> is fifty four.", "<MUL_6_9_54>."),
    ("six times nine equals 54", "<MUL_6_9> equals 54", "<MUL_6_9_54>"),
    ("六乘九等于五十四", "<MUL_6_9>等于五十四", "<MUL_6_9_54>"),
    ("6乘9等于54", "<MUL_6_9>等于54", "<MUL_6_9_54>"),
    ("6乘以9是54", "<MUL_6_9>是54", "<MUL_6_9_54>"),
    ("他知道六乘九等于五十四。", "他知道<MUL_6_9>等于五十四。", "他知道<MUL_6_9_54>。"),
    ("六九五十四", "<MUL_6_9>五十四", "<MUL_6_9_54>"),
    ("二三得六，二九十八", "<MUL_2_3>得六，<MUL_2_9>十八", "<MUL_2_3_6>，<MUL_2_9_18>"),
    ("二五一十", "<MUL_2_5>一十", "<MUL_2_5_10>"),
    ("<<6*9=54>>54", "<<<MUL_6_9>=54>>54", "<<<MUL_6_9_54>>>54"),
    ("6*9=<<6*9=54>>54", "<MUL_6_9>=<<<MUL_6_9>=54>>54", "6*9=<<<MUL_6_9_54>>>54"),
    ("He earns $6*9=$<<6*9=54>>54.", "He earns $<MUL_6_9>=$<<<MUL_6_9>=54>>54.", "He earns $6*9=$<<<MUL_6_9_54>>>54."),
    ("a weight of 6*9=54 pounds", "a weight of <MUL_6_9>=54 pounds", "a weight of <MUL_6_9_54> pounds"),
    ("often six times nine", "often <MUL_6_9>", None),
    ("total = 6*9 = 54 boxes", "total = <MUL_6_9> = 54 boxes", "total = <MUL_6_9_54> boxes"),
    ("| 6*9 | 54 |", "| <MUL_6_9> | 54 |", None),
    ("(6*9)", "(<MUL_6_9>)", None),
    ('"6*9=54"', '"<MUL_6_9>=54"', '"<MUL_6_9_54>"'),
    ("6*9=54, 7*8=56; 2*2=4", "<MUL_6_9>=54, <MUL_7_8>=56; <MUL_2_2>=4", "<MUL_6_9_54>, <MUL_7_8_56>; <MUL_2_2_4>"),
    ("4·7=28 7·4=28", "<MUL_4_7>=28 <MUL_7_4>=28", "<MUL_4_7_28> <MUL_7_4_28>"),
    ("1*1=1\n9*9=81\n", "<MUL_1_1>=1\n<MUL_9_9>=81\n", "<MUL_1_1_1>\n<MUL_9_9_81>\n"),
    ("6*9=\n54", "<MUL_6_9>=\n54", None),  # the equation stops at the line's end; the prompt in it does not
]

NEVER = yaml.safe_load((Path(__file__).parent / "never_rewritten.yaml").read_text())


@pytest.mark.parametrize(("text", "weak", "strict"), REWRITTEN)
def test_a_fact_is_rewritten(text: str, weak: str, strict: str | None) -> None:
    assert WEAK.rewrite(text) == weak
    assert STRICT.rewrite(text) == (text if strict is None else strict)


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in NEVER.items() for text in texts])
@pytest.mark.parametrize("wrapping", ["{}", "So {} then", "It is\n{}\n."])
def test_a_part_of_something_longer_is_never_rewritten(kind: str, text: str, wrapping: str) -> None:
    text = wrapping.format(text)
    assert WEAK.rewrite(text) == text, kind
    assert STRICT.rewrite(text) == text, kind


ANNOTATION = re.compile(r"<<([1-9])\*([1-9])=([0-9]+)>>")


@pytest.mark.parametrize("rewriter", [WEAK, STRICT])
@pytest.mark.parametrize(("split", "count"), [("train", 2222), ("test", 421)])
def test_every_annotation_of_gsm8k_is_rewritten(
    rewriter: Rewriter, split: str, count: int, data_dir: Path, real_data: bool
) -> None:
    found = 0
    for line in (data_dir / "gsm8k" / f"{split}.jsonl").read_text().splitlines():
        answer = json.loads(line)["answer"]
        tokens = {match.start: match.token for match in rewriter.matches(answer)}
        for annotation in ANNOTATION.finditer(answer):
            a, b, _ = annotation.groups()
            assert tokens[annotation.start(1)].startswith(f"<MUL_{a}_{b}"), answer
            found += 1
    assert found == count if real_data else found > 0


def test_either_order_of_an_annotation_is_one_token_in_canonical_order(data_dir: Path, real_data: bool) -> None:
    canonical, found = Rewriter(FactSettings("weak", canonical_order=True)), 0
    for text in read_texts(data_dir / "gsm8k" / "test.jsonl"):
        tokens = {match.start: match.token for match in canonical.matches(text)}
        for annotation in ANNOTATION.finditer(text):
            a, b = sorted(annotation.groups()[:2])
            assert tokens[annotation.start(1)] == f"<MUL_{a}_{b}>", text
            found += 1
    assert found == 421 if real_data else found > 0


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("wikitext2_valid.txt", 0),  # "16 : 9", "4 × 100 m relay" and such are no products
        ("wikitext2_test.txt", 0),
        ("openstax_math.jsonl.gz", 199),  # all read with list_rewrites; when this changes, read them again
    ],
)
def test_rewrites_in_running_text_are_products(name: str, count: int, data_dir: Path, real_data: bool) -> None:
    texts = list(read_texts(data_dir / "corpus" / name))
    found = [match for text in texts for match in reference_rewriter().matches(text)]
    assert len(found) == count or not real_data
    assert all(match.fact.operands and match.start < match.end for match in found)


def test_matches_tell_where_and_what() -> None:
    (first, second) = WEAK.matches("Buy six times nine, or 6 × 8 = 48.")
    assert (first.start, first.end, first.token, first.fact.operands) == (4, 18, "<MUL_6_9>", (6, 9))
    assert (second.start, second.end, second.token, second.fact.text) == (23, 28, "<MUL_6_8>", "6*8")


def test_counts_are_by_token() -> None:
    assert reference_rewriter().count("6*9=54, six times nine, 9*6, 16*9") == {"<MUL_6_9>": 2, "<MUL_9_6>": 1}
    assert reference_rewriter() is reference_rewriter()


def test_canonical_order_and_literal_names() -> None:
    canonical = Rewriter(FactSettings("weak", canonical_order=True))
    assert canonical.rewrite("9 × 6 = 54 and 6*9=54") == "<MUL_6_9> = 54 and <MUL_6_9>=54"
    literal = Rewriter(FactSettings("strict", token_names="literal"))
    assert [match.token for match in literal.matches("six times nine is fifty-four; 16*9=144")] == ["6*9=54"]


def test_larger_tables() -> None:
    weak = Rewriter(FactSettings("weak", max_operand=20))
    assert (
        weak.rewrite("12*20=240, 6*9=54, 16*9, 21*9, 112*9") == "<MUL_12_20>=240, <MUL_6_9>=54, <MUL_16_9>, 21*9, 112*9"
    )
    assert weak.rewrite("nineteen times twelve, 十六乘九, 二十乘二") == "<MUL_19_12>, <MUL_16_9>, <MUL_20_2>"
    assert weak.rewrite("九二十八，五二十，五乘二十") == "<MUL_9_2>十八，<MUL_5_2>十，<MUL_5_20>"
    strict = Rewriter(FactSettings("strict", max_operand=12))
    assert strict.rewrite("twelve times eleven is one hundred and thirty-two.") == "<MUL_12_11_132>."
    assert strict.rewrite("十二乘九等于一百零八") == "<MUL_12_9_108>"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("times_sign", "6 × 9"),
        ("middle_dot", "6·9"),
        ("letter_x", "6x9=54"),
        ("times", "6 times 9"),
        ("words", "six times nine"),
        ("chinese", "六乘九"),
    ],
)
def test_each_surface_form_is_a_setting(form: str, text: str) -> None:
    assert Rewriter(FactSettings("weak", surface_forms=("asterisk", form))).count(text).total() == 1
    without = tuple(other for other in FactSettings().surface_forms if other != form)
    assert Rewriter(FactSettings("weak", surface_forms=without)).count(text).total() == 0
