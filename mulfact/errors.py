"""Mistakes of the user, told in one line.

    @command
    def main() -> None: ...

ends with exit status 1 and `error: <what, where, what to do>` when a UserError is raised, and with a traceback when the
program itself is wrong.
"""

import difflib
import functools
import sys
from collections.abc import Callable, Iterable


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


def command(main: Callable[[], None]) -> Callable[[], None]:
    """Wrap a command's `main`: a UserError, a full disk or an interrupt ends with a message, not with a traceback."""

    @functools.wraps(main)
    def run() -> None:
        try:
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
