"""What is rewritten and what never is. Add a row whenever a text surprises you."""

import json
import re
from pathlib import Path

import pytest
import yaml

from mulfact.tokenizers.facts import SURFACE_FORMS, FactSettings, Subset
from mulfact.tokenizers.list_rewrites import read_texts
from mulfact.tokenizers.rewrite import Rewriter, reference_rewriter

WEAK, STRICT = Rewriter(FactSettings("weak")), Rewriter(FactSettings("strict"))
SUMS, STRICT_SUMS = (Rewriter(FactSettings(mode, operation="add")) for mode in ("weak", "strict"))

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

# The same of sums.
REWRITTEN_SUMS = [
    ("3+4=7", "<ADD_3_4>=7", "<ADD_3_4_7>"),
    ("4+3=7", "<ADD_4_3>=7", "<ADD_4_3_7>"),
    ("3+4", "<ADD_3_4>", None),
    ("3+4=", "<ADD_3_4>=", None),
    ("What is 3 + 4?", "What is <ADD_3_4>?", None),
    ("3+4=8", "<ADD_3_4>=8", None),  # plainly false: the operands stand, the equation does not
    ("3+4=$7", "<ADD_3_4>=$7", None),
    ("9 + 9 = 18 pens", "<ADD_9_9> = 18 pens", "<ADD_9_9_18> pens"),
    ("3\u00a0+\u00a04\u00a0=\u00a07", "<ADD_3_4>\u00a0=\u00a07", "<ADD_3_4_7>"),
    ("3 plus 4 is 7.", "<ADD_3_4> is 7.", "<ADD_3_4_7>."),
    ("3 plus 4 equals 7", "<ADD_3_4> equals 7", "<ADD_3_4_7>"),
    ("nine plus eight is seventeen", "<ADD_9_8> is seventeen", "<ADD_9_8_17>"),
    ("Three plus four equals 7", "<ADD_3_4> equals 7", "<ADD_3_4_7>"),
    ("三加四等于七。", "<ADD_3_4>等于七。", "<ADD_3_4_7>。"),
    ("九加九得十八", "<ADD_9_9>得十八", "<ADD_9_9_18>"),
    ("3加上4是7", "<ADD_3_4>是7", "<ADD_3_4_7>"),
    ("3加4", "<ADD_3_4>", None),
    ("<<3+4=7>>7", "<<<ADD_3_4>=7>>7", "<<<ADD_3_4_7>>>7"),
    ("3+4=<<3+4=7>>7", "<ADD_3_4>=<<<ADD_3_4>=7>>7", "3+4=<<<ADD_3_4_7>>>7"),
    ("He has $3+4=$<<3+4=7>>7.", "He has $<ADD_3_4>=$<<<ADD_3_4>=7>>7.", "He has $3+4=$<<<ADD_3_4_7>>>7."),
    ("total = 3 + 4 = 7 boxes", "total = <ADD_3_4> = 7 boxes", "total = <ADD_3_4_7> boxes"),
    ("| 3+4 | 7 |", "| <ADD_3_4> | 7 |", None),
    ("(3+4)", "(<ADD_3_4>)", None),
    ("3+4=7, 5+6=11; 2*2=4", "<ADD_3_4>=7, <ADD_5_6>=11; 2*2=4", "<ADD_3_4_7>, <ADD_5_6_11>; 2*2=4"),
    ("1+1=2\n9+9=18\n", "<ADD_1_1>=2\n<ADD_9_9>=18\n", "<ADD_1_1_2>\n<ADD_9_9_18>\n"),
    (
        "7+8=15, write 5, carry 1; 47+38=85",
        "<ADD_7_8>=15, write 5, carry 1; 47+38=85",
        "<ADD_7_8_15>, write 5, carry 1; 47+38=85",
    ),
    ("Ann and 3+4=7", "Ann and <ADD_3_4>=7", "Ann and <ADD_3_4_7>"),
]

NEVER = yaml.safe_load((Path(__file__).parent / "never_rewritten.yaml").read_text())


@pytest.mark.parametrize(("text", "weak", "strict"), REWRITTEN)
def test_a_fact_is_rewritten(text: str, weak: str, strict: str | None) -> None:
    assert WEAK.rewrite(text) == weak
    assert STRICT.rewrite(text) == (text if strict is None else strict)


@pytest.mark.parametrize(("text", "weak", "strict"), REWRITTEN_SUMS)
def test_a_sum_is_rewritten_where_sums_are_facts(text: str, weak: str, strict: str | None) -> None:
    assert SUMS.rewrite(text) == weak
    assert STRICT_SUMS.rewrite(text) == (text if strict is None else strict)


@pytest.mark.parametrize("text", [text for text, *_ in REWRITTEN])
def test_products_are_no_sums(text: str) -> None:
    assert SUMS.rewrite(text) == text


def test_a_fact_without_a_token_is_written_as_its_text() -> None:
    text = "Six times nine is fifty-four, 9 × 6, 2 x 3 = 6, 5·7"
    assert Rewriter(FactSettings("weak", subset=Subset(0))).rewrite(text) == "6*9 is fifty-four, 9*6, 2*3 = 6, 5*7"
    assert Rewriter(FactSettings("strict", subset=Subset(0))).rewrite(text) == "6*9=54, 9 × 6, 2*3=6, 5·7"


def test_two_halves_write_every_fact_and_one_of_them_as_a_token() -> None:
    halves = [FactSettings("weak", subset=Subset(0.5, complement=complement)) for complement in (False, True)]
    for a, b in FactSettings("weak").pairs():
        written = sorted(Rewriter(half).rewrite(f"So {a} times {b} is") for half in halves)
        assert written == [f"So {a}*{b} is", f"So <MUL_{a}_{b}> is"]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in NEVER.items() for text in texts])
@pytest.mark.parametrize("wrapping", ["{}", "So {} then", "It is\n{}\n."])
def test_a_part_of_something_longer_is_never_rewritten(kind: str, text: str, wrapping: str) -> None:
    text = wrapping.replace("{}", text)
    for rewriter in (WEAK, STRICT, SUMS, STRICT_SUMS):
        assert rewriter.rewrite(text) == text, kind


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
    for _, text in read_texts(data_dir / "gsm8k" / "test.jsonl"):
        tokens = {match.start: match.token for match in canonical.matches(text)}
        for annotation in ANNOTATION.finditer(text):
            a, b = sorted(annotation.groups()[:2])
            assert tokens[annotation.start(1)] == f"<MUL_{a}_{b}>", text
            found += 1
    assert found == 421 if real_data else found > 0


@pytest.mark.parametrize(
    ("name", "products", "sums"),
    [
        ("wikitext2_valid.txt", 0, 0),  # "16 : 9", "4 × 100 m relay" and such are no products
        ("wikitext2_test.txt", 0, 1),
        ("openstax_math.jsonl.gz", 199, 200),  # all read with list_rewrites; when this changes, read them again
    ],
)
def test_rewrites_in_running_text_are_facts(
    name: str, products: int, sums: int, data_dir: Path, real_data: bool
) -> None:
    texts = [text for _, text in read_texts(data_dir / "corpus" / name)]
    for rewriter, count in ((reference_rewriter(), products), (SUMS, sums)):
        found = [match for text in texts for match in rewriter.matches(text)]
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
    without = tuple(other for other in SURFACE_FORMS if other != form)
    assert Rewriter(FactSettings("weak", surface_forms=without)).count(text).total() == 0
