"""The documents say what is there: each command, file, link, setting and message that they name exists.

Commands are checked without running them: make targets by `make -n`, our modules by their own parsers, recipe
overrides by composing them. The end-to-end tests run the road itself.
"""

import ast
import importlib
import os
import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

from mulfact.recipe import compose

REPOSITORY = Path(__file__).resolve().parent.parent
DOCUMENTS = [REPOSITORY / "README.md", *REPOSITORY.glob("C*.md"), *sorted((REPOSITORY / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What starts a line of a block that is a command; anything else in a block without a language is a picture or output.
PROGRAMS = (
    "make",
    "python",
    "accelerate",
    "trl",
    "pip",
    "hf",
    "sbatch",
    "tensorboard",
    "trackio",
    "git",
    "export",
    "cd",
)
OTHER_PROGRAMS = {
    "pip",
    "hf",
    "git",
    "tensorboard",
    "trackio",
    "export",
    "cd",
}  # not ours: only that they are spelled so
OPTIONAL = {"lm_eval"}  # another project's module, which docs/other_harnesses.md tells how to install
# Where a document names what appears only after a run, or what a user has.
MADE_BY_RUNS = re.compile(r"^(outputs|data|path|lm_eval_out)/|[<>*{}$]|^(train|test)\.jsonl$")
PATH = re.compile(r"^[\w.-]+(/[\w.-]+)*/?$")


def commands(document: Path) -> list[str]:
    """Return the commands of a document's blocks, continued lines joined and comments removed."""
    found = []
    for language, block in FENCE.findall(document.read_text()):
        if language not in ("", "bash", "sh", "console"):
            continue
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.match(r"^[A-Z_]+=", words[0]):
                words = words[1:]
            if words and words[0] in PROGRAMS:
                found.append(shlex.join(words))
    return found


COMMANDS = sorted(
    {(document.relative_to(REPOSITORY).as_posix(), line) for document in DOCUMENTS for line in commands(document)}
)


def test_the_documents_have_commands() -> None:
    assert {"README.md", "docs/running.md"} <= {document for document, _ in COMMANDS}
    assert len(COMMANDS) > 25


@pytest.mark.parametrize(("document", "line"), COMMANDS)
def test_a_command_exists_and_takes_its_arguments(document: str, line: str, tmp_path: Path) -> None:
    words = shlex.split(line)
    if words[0] == "make":
        check_make(words[1:], tmp_path)
    elif words[0] == "python":
        check_python(words[1:])
    elif words[0] == "sbatch":
        script = next(word for word in words[1:] if not word.startswith("--"))
        assert (REPOSITORY / script).is_file()
    elif words[0] == "accelerate":
        assert (REPOSITORY / words[words.index("--config_file") + 1]).is_file()
    else:
        assert words[0] in {"trl", *OTHER_PROGRAMS}


def check_make(words: list[str], tmp_path: Path) -> None:
    """Make accepts the targets, each variable is one that the Makefile knows, and the recipes compose."""
    makefile = (REPOSITORY / "Makefile").read_text()
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    for name in settings:
        assert re.search(rf"\b{name}\b", makefile), f"the Makefile has no variable {name}"
    dry = ["make", "--dry-run", "VENV=", *words, f"OUTPUTS={tmp_path}"]
    result = subprocess.run(dry, cwd=REPOSITORY, capture_output=True, text=True, check=False, env=environment())
    known_only_when_composed = "No rule to make target" in result.stderr and "recipes/" in result.stderr
    assert result.returncode == 0 or known_only_when_composed, result.stderr
    for arm in settings.get("CONDITIONS", settings.get("CONDITION", "mulfact")).split():
        if is_arm(arm):
            compose(
                REPOSITORY / "recipes",
                settings.get("SCALE", "smoke"),
                arm,
                0,
                shlex.split(settings.get("OVERRIDES", "")),
            )


def is_arm(name: str) -> bool:
    """Return whether an arm is in recipes/; docs/adding_an_arm.md shows files that a user would write."""
    shown = re.findall(
        r"^# recipes/arms/(\w+)\.yaml$", (REPOSITORY / "docs/adding_an_arm.md").read_text(), re.MULTILINE
    )
    assert name in shown or (REPOSITORY / "recipes/arms" / f"{name}.yaml").is_file(), f"there is no arm {name}"
    return name not in shown


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}


def check_python(words: list[str]) -> None:
    """The module exists, and each flag is written in its source or is a setting of its dataclass."""
    if words[0] == "-c":
        ast.parse(words[1])
        return
    if words[0] == "-m":
        name = words[1]
        if name.split(".")[0] in OPTIONAL:
            return
        words = words[1:]
    else:
        assert (REPOSITORY / words[0]).is_file(), words[0]
        name = "mulfact." + words[0].removesuffix(".py").replace("/", ".")
        if words[0].startswith(("benchmarks/", "tests/")):
            source = (REPOSITORY / words[0]).read_text()
            assert all(word in source for word in words[1:] if word.startswith("--"))
            return
    module = importlib.import_module(name)
    assert hasattr(module, "main"), name
    source = Path(str(module.__file__)).read_text()
    for word in words[1:]:
        if word.startswith("--") and word not in ("--config", "--help"):
            assert f'"{word}"' in source or f"    {word[2:]}: " in source, f"{name} has no {word}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_links_to_and_names_is_there(document: Path) -> None:
    text = document.read_text()
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not link.startswith(("http://", "https://", "mailto:", "../../actions/")):  # GitHub's page of the workflows
            assert (document.parent / link).exists(), f"{document.name} links to {link}"
    for name in re.findall(r"`([^`\n]+)`", FENCE.sub("", text)):
        if "/" in name and PATH.match(name) and not MADE_BY_RUNS.search(name) and looks_like_a_file(name):
            assert any((folder / name).exists() for folder in (REPOSITORY, document.parent)), (
                f"{document.name} names {name}"
            )


def looks_like_a_file(name: str) -> bool:
    """Return whether a name is meant as a path of this repository: its first folder exists here, or it has a suffix."""
    first = name.split("/")[0]
    return (REPOSITORY / first).is_dir() and (name.endswith("/") or "." in name.split("/")[-1])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_yaml_in_a_document_composes(document: Path, tmp_path: Path) -> None:
    blocks = [block for language, block in FENCE.findall(document.read_text()) if language in ("yaml", "yml")]
    if not any("recipes/" in block for block in blocks):
        assert all(yaml.safe_load(block) is not None for block in blocks)
        return
    shutil.copytree(REPOSITORY / "recipes", tmp_path / "recipes")
    for block in blocks:
        path = re.match(r"# (recipes/(arms|scales)/(\w+)\.yaml)", block)
        assert path, f"a block of {document.name} does not say which file it is"
        (tmp_path / path[1]).write_text(block)
        compose(tmp_path / "recipes", *(("smoke", path[3]) if path[2] == "arms" else (path[3], "mulfact")), 0)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_settings_that_a_document_names_exist(document: Path) -> None:
    stages = compose(REPOSITORY / "recipes", "smoke", "mulfact", 0)
    for section, key in re.findall(rf"`({'|'.join(stages)})\.(\w+)(?:=[^`]*)?`", document.read_text()):
        assert key in stages[section] or key in ("py", "json"), f"{document.name} names {section}.{key}"


@cache
def messages() -> list[str]:
    """Return every string of our code, with … for what is filled in."""
    found = []
    for folder in ("mulfact", "tokenizers", "data_builders", "modeling", "evals", "release"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    found.append("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return [*found, (REPOSITORY / "Makefile").read_text()]


def quoted_messages() -> list[str]:
    section = (REPOSITORY / "docs/running.md").read_text().split("## Troubleshooting by message")[1]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


@pytest.mark.parametrize("message", quoted_messages())
def test_a_message_in_the_troubleshooting_table_is_one_that_the_code_prints(message: str) -> None:
    pattern = re.compile(".*?".join(re.escape(part.strip()) for part in message.split("…")), re.DOTALL)
    assert any(pattern.search(text) for text in messages()), message
