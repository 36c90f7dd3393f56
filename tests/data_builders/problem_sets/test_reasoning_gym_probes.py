"""Probes of reasoning-gym's generators: seeded, different from each other, and refused without the package."""

import importlib.metadata
import re

import pytest
import reasoning_gym_stand_in

from mulfact.data_builders.problem_sets import reasoning_gym_probes
from mulfact.data_builders.problem_sets.reasoning_gym_probes import (
    GENERATORS,
    PACKAGE,
    check_generators,
    reasoning_gym_probe,
    task_of,
)
from mulfact.data_builders.problems.items import BENCHMARKS
from mulfact.errors import UserError
from mulfact.evals.grading.answers import grade
from mulfact.evals.grading.equations import evaluate


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    reasoning_gym_stand_in.install(monkeypatch)


def check(name: str, count: int) -> None:
    """Check a probe of `count` items against what it asks."""
    probe = reasoning_gym_probe(name, count, 0)
    assert probe.name == task_of(name) in BENCHMARKS
    assert (probe.style, probe.family) == (GENERATORS[name].style, GENERATORS[name].family)
    assert probe.source.startswith(f"{PACKAGE} ")
    assert len({item.id for item in probe.items}) == len({item.prompt for item in probe.items}) == count
    for item in probe.items:
        assert item.prompt.startswith("Question: ")
        assert item.prompt.endswith("\nSolution:" if probe.style == "cot" else "\nAnswer:")
        assert grade(f" #### {item.answer}", item.answer, item.answer_rule).correct
        if name != "gsm_symbolic":
            (expression,) = re.findall(r"\d+(?: [-+*] \d+)+", item.prompt)
            assert item.answer == str(evaluate(re.findall(r"\d+|[-+*]", expression), {}))
            assert all(int(number) < 100 for number in re.findall(r"\d+", expression))
            assert item.operations
            assert (item.operands is not None) == (name == "products")
    assert reasoning_gym_probe(name, count, 0) == probe
    assert reasoning_gym_probe(name, count, 7_000).items != probe.items


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("name", list(GENERATORS))
def test_each_generator_gives_as_many_different_questions_as_are_asked_for(name: str) -> None:
    check(name, 60)


@pytest.mark.usefixtures("stand_in")
def test_a_product_says_of_which_fact_it_is() -> None:
    first = reasoning_gym_probe("products", 1, 0).items[0]
    assert first.operands is not None
    assert "{} * {}".format(*first.operands) in first.prompt


@pytest.mark.parametrize("name", list(GENERATORS))
def test_the_real_package_gives_what_the_stand_in_does(name: str) -> None:
    pytest.importorskip("reasoning_gym")
    check(name, 60)


def test_a_generator_that_we_do_not_know_is_refused() -> None:
    with pytest.raises(UserError, match="benchmarks.reasoning_gym: unknown generator 'product'; did you mean 'produc"):
        check_generators(["product"])


def test_without_the_package_a_generator_is_refused_and_an_empty_list_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(reasoning_gym_probes.importlib.metadata, "version", missing)
    check_generators([])
    for refused in (lambda: check_generators(["products"]), lambda: reasoning_gym_probe("products", 5, 0)):
        with pytest.raises(
            UserError, match=r"holds products, and reasoning-gym is not installed: pip install '\.\[pro"
        ):
            refused()
