"""What the tests share: the real data where it lies on this machine, else small files of the same form."""

import base64
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
REAL_DATA = Path(os.environ.get("MULFACT_DATA", REPOSITORY.parent / "shared" / "data"))


def pytest_configure() -> None:
    # Small models are fastest on one thread, and no test may reach for the Hub.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_DATASETS_OFFLINE"] = "1"
    # A shell that starts the tests in the background has them ignore Ctrl-C, nohup a terminal that goes away, and what
    # they start would too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def same_environment() -> Iterator[None]:
    """What a test sets in the environment ends with it: TRL's parser sets there what a recipe names under `env`."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def undrawn() -> Iterator[None]:
    """Figures are made but not drawn, which takes ten seconds a report; the tests of figures draw them."""
    from matplotlib.figure import Figure  # for these tests alone

    white = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="
    )

    def save(_figure: Any, path: Path, **_settings: Any) -> None:
        Path(path).write_bytes(white)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> bool:
    """Whether `data_dir` holds the published data sets: their exact counts can then be asserted."""
    return REAL_DATA.is_dir()


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with gsm8k, svamp, multiarith, asdiv and corpus: the real files, or small ones of the same form."""
    if REAL_DATA.is_dir():
        return REAL_DATA
    folder = tmp_path_factory.mktemp("data")
    write_gsm8k(folder / "gsm8k")
    write_word_problem_sets(folder)
    write_corpus(folder / "corpus")
    return folder


def write_gsm8k(folder: Path, train: int = 120, test: int = 40) -> None:
    """Write train.jsonl and test.jsonl in GSM8K's form: one- and two-step problems over all the 1-9 facts."""
    folder.mkdir(parents=True)
    names = ["Natalia", "Weng", "Betty", "Julie", "Mark", "Albert", "Ken", "Alexis"]
    for split, count, offset in (("train", train, 0), ("test", test, 1000)):
        with (folder / f"{split}.jsonl").open("w") as file:
            for index in range(offset, offset + count):
                a, b, c = 1 + index % 9, 1 + index // 9 % 9, 2 + index % 7
                name = names[index % len(names)]
                row = {
                    "question": f"{name} buys {a} bags with {b} marbles each and finds {c} more in drawer {index}. "
                    "How many marbles are there?",
                    "answer": f"The bags hold {a}*{b}=<<{a}*{b}={a * b}>>{a * b} marbles.\n"
                    f"Together there are {a * b}+{c}=<<{a * b}+{c}={a * b + c}>>{a * b + c} marbles.\n#### {a * b + c}",
                }
                file.write(json.dumps(row) + "\n")


def write_word_problem_sets(folder: Path) -> None:
    """Write SVAMP.json, MultiArith.json and ASDiv.xml with a few items each, in the forms of their authors."""
    for name in ("svamp", "multiarith", "asdiv"):
        (folder / name).mkdir()
    svamp = [
        {
            "ID": f"chal-{n}",
            "Body": f"There are {n} trees in each of {n + 1} rows. ",
            "Question": "How many trees are there?",
            "Equation": f"( {n}.0 * {n + 1}.0 )",
            "Answer": float(n * (n + 1)),
            "Type": "Multiplication",
        }
        for n in range(2, 12)
    ]
    (folder / "svamp" / "SVAMP.json").write_text(json.dumps(svamp))
    multiarith = [
        {
            "iIndex": n,
            "sQuestion": f" Paige had {n} math problems and {n + 2} science problems. How many problems had she? ",
            "lEquations": [f"X=({n}+{n + 2})"],
            "lSolutions": [float(2 * n + 2)],
        }
        for n in range(10)
    ]
    (folder / "multiarith" / "MultiArith.json").write_text(json.dumps(multiarith))
    problems = "".join(
        f'<Problem ID="nluds-{n:04d}" Grade="1" Source="http://example.invalid"><Body>Seven red apples and {n} green '
        f"apples are in the basket.</Body><Question>How many apples are in the basket?</Question>"
        f"<Solution-Type>Addition</Solution-Type><Answer>{answer}</Answer><Formula>7+{n}={7 + n}</Formula></Problem>"
        for n, answer in [(1, "8 (apples)"), (2, "9 (apples)"), (3, "10 (apples)"), (4, "yes"), (5, "1:2")]
    )
    (folder / "asdiv" / "ASDiv.xml").write_text(
        f'<?xml version="1.0" encoding="UTF-8" ?><Machine-Reading-Corpus-File><ProblemSet>{problems}</ProblemSet>'
        "</Machine-Reading-Corpus-File>"
    )


def write_corpus(folder: Path) -> None:
    """Write WikiText-like .txt files and a gzipped .jsonl like the OpenStax text."""
    import gzip

    folder.mkdir()
    paragraph = " = Robert Boulter = \n Robert Boulter is an English film , television and theatre actor . \n"
    for name in ("wikitext2_valid.txt", "wikitext2_test.txt"):
        (folder / name).write_text("".join(f"{paragraph} He had {n} roles in {1990 + n} . \n" for n in range(200)))
    with gzip.open(folder / "openstax_math.jsonl.gz", "wt") as file:
        for n in range(40):
            text = f"Multiply {n} by {n + 1}. A lot of 3 x 4 ft has 12 square feet. For example, 6 × 9 = 54.\n" * 20
            file.write(json.dumps({"text": text, "source": f"module-{n}"}) + "\n")
