"""What may not stand in the source: code from a model's repository, pickles, shells built from strings, tokens."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

# Calls that run what a file or a string says.
FORBIDDEN_CALLS = {
    "eval", "exec", "os.system", "os.popen", "torch.load", "pickle.load", "pickle.loads", "joblib.load", "dill.load",
    "yaml.load", "yaml.unsafe_load", "pandas.read_pickle", "pd.read_pickle", "marshal.loads", "shelve.open",
}  # fmt: skip


@pytest.fixture(scope="module")
def sources(repository: Path) -> dict[str, str]:
    """Every tracked text of the project but the tests, by path."""
    tracked = subprocess.run(["git", "ls-files"], cwd=repository, capture_output=True, text=True, check=True)
    paths = [repository / name for name in tracked.stdout.splitlines()]
    wanted = {".py", ".yaml", ".sh", ".toml", ".cfg", ".j2", ".md", ""}
    return {
        str(path.relative_to(repository)): path.read_text(encoding="utf-8")
        for path in paths
        if path.is_file() and not path.is_symlink() and path.suffix in wanted and path.parts[-2] != "tests"
    }


def calls(text: str) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]


def code(sources: dict[str, str]) -> dict[str, str]:
    found = {path: text for path, text in sources.items() if path.endswith(".py") and not path.startswith("tests/")}
    assert len(found) > 80
    return found


def test_no_code_of_a_model_is_ever_trusted(sources: dict[str, str]) -> None:
    assert {"Makefile", "recipes/base.yaml", "release/push.py"} <= sources.keys()
    assert [path for path, text in sources.items() if "trust_remote_code" in text] == []


def is_safe_yaml(call: ast.Call) -> bool:
    """Return whether a call reads YAML that can make no objects but plain ones."""
    return ast.unparse(call.func) == "yaml.load" and ast.unparse(call.args[-1]).endswith("SafeLoader")


def test_nothing_is_unpickled_or_evaluated(sources: dict[str, str]) -> None:
    found = [
        f"{path}:{call.lineno} {ast.unparse(call.func)}"
        for path, text in code(sources).items()
        for call in calls(text)
        if ast.unparse(call.func) in FORBIDDEN_CALLS and not is_safe_yaml(call)
    ]
    assert found == []


def test_no_shell_is_built_from_strings(sources: dict[str, str]) -> None:
    """A command is a list of arguments; make's own recipes hold no value of a YAML recipe."""
    for path, text in code(sources).items():
        for call in calls(text):
            if ast.unparse(call.func).startswith("subprocess."):
                assert not [k for k in call.keywords if k.arg in ("shell", "executable")], f"{path}:{call.lineno}"
                given = [*call.args[:1], *(k.value for k in call.keywords if k.arg == "args")]
                assert not any(isinstance(a, ast.Constant | ast.JoinedStr | ast.BinOp) for a in given), (
                    f"{path}:{call.lineno}"
                )
    makefile = sources["Makefile"]
    assert not re.search(r"\$\(shell .*(yaml|recipe)", makefile)
    assert not re.search(r"(^|\s)(eval|source|\.)\s+\"?\$", makefile, re.MULTILINE)


def test_only_safetensors_are_written_and_read_as_weights(sources: dict[str, str]) -> None:
    loads = 0
    for path, text in code(sources).items():
        for call in calls(text):
            name, keywords = ast.unparse(call.func), {k.arg: ast.unparse(k.value) for k in call.keywords}
            if name.endswith("save_pretrained"):
                assert "safe_serialization" not in keywords, f"{path}:{call.lineno}"
            if name.startswith("AutoModel"):
                loads += 1
                assert keywords.get("use_safetensors") == "True", f"{path}:{call.lineno}"
    assert loads >= 2, "the evaluation and the stranger load models"


def test_no_token_stands_in_the_source(sources: dict[str, str]) -> None:
    assert [path for path, text in sources.items() if re.search(r"\bhf_[A-Za-z0-9]{30,}", text)] == []
