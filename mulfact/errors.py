"""Mistakes of the user, told in one line.

    @command
    def main() -> None: ...

ends with exit status 1 and `error: <what, where, what to do>` when a UserError is raised, and with a traceback when the
program itself is wrong.
"""

import difflib
import functools
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path


class UserError(Exception):
    """The input is wrong: the message names the file or key, what was found, what was expected and what to do."""


def unknown(kind: str, name: str, valid: Iterable[str], where: str) -> UserError:
    """Return the error for a name that does not exist, with the nearest one that does."""
    valid = sorted(valid)
    nearest = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"valid: {', '.join(valid)}"
    return UserError(f"{where}: unknown {kind} {name!r}; {hint}")


def first_line(error: BaseException) -> str:
    """Return what an exception says, in one line: its class, and its first line of text."""
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), 'no message')}"


def check_home(script: Path) -> None:
    """Raise UserError where a checkout's script would run the modules of another one."""
    root, home = Path(__file__).resolve().parents[1], script.resolve()
    if root not in home.parents:
        raise UserError(
            f"{script} would run the modules in {root}, which this environment has installed: say make, or "
            f"PYTHONPATH={home.parents[1]}, or install the checkout of {script.name} in an environment of its own"
        )


def command(main: Callable[[], None]) -> Callable[[], None]:
    """Wrap a command's `main`: a UserError, a full disk or an interrupt ends with a message, not with a traceback."""

    @functools.wraps(main)
    def run() -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            check_home(Path(main.__code__.co_filename))
            main()
        except UserError as error:
            sys.exit(f"error: {error}")
        except OSError as error:
            if error.strerror is None:
                raise
            where = f" ({error.filename})" if error.filename else ""
            sys.exit(f"error: {error.strerror}{where}")
        except KeyboardInterrupt:
            sys.exit("interrupted; the same command goes on from what is finished")

    return run
