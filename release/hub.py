"""Talking to the Hub: what fails for a moment is tried again, what fails for good is told in one line.

    with told_in_a_line("push to someone"):
        persist(api.create_repo, "someone/model", private=True, exist_ok=True)

huggingface_hub 2.4 tries again by itself, with Retry-After, when it asks what to upload, sends a file or fetches one.
It does not when it makes a repository, a commit without Xet, a tag or a collection: `persist` is for these calls, each
of which may be repeated without harm.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from typing import TypeVar

import httpx2
from huggingface_hub import constants
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
)

from mulfact.errors import UserError

# Overloaded, rate-limited, or someone else wrote at the same moment (409, 412: what to commit is then found out anew).
TRANSIENT = (408, 409, 412, 429, 500, 502, 503, 504)
WAITS = (0.5, 1.0, 2.0)  # seconds before each further attempt, unless the Hub asks for another time
LONGEST_WAIT = 300.0  # seconds: the Hub counts requests over five minutes

Result = TypeVar("Result")


def persist(call: Callable[..., Result], *arguments: object, **settings: object) -> Result:
    """Return what `call` returns, after further attempts when the Hub is overloaded or the connection breaks."""
    for wait in WAITS:
        try:
            return call(*arguments, **settings)
        except HfHubHTTPError as error:
            if error.response.status_code not in TRANSIENT:
                raise
            wait, reason = asked_wait(error) or wait, f"answered {error.response.status_code}"
        except httpx2.TransportError as error:
            reason = f"did not answer ({type(error).__name__})"
        except JSONDecodeError:  # a gateway's page; the client reads the answer before it looks at the status
            reason = "did not answer in JSON"
        print(f"the Hub {reason}; trying again in {wait:g} s", file=sys.stderr, flush=True)
        time.sleep(wait)
    return call(*arguments, **settings)


def asked_wait(error: HfHubHTTPError) -> float | None:
    """Return the seconds that Retry-After asks for, at most LONGEST_WAIT; None without it or where it is a date."""
    value = error.response.headers.get("Retry-After", "").strip()
    return min(float(value), LONGEST_WAIT) if value.isdigit() else None


@contextmanager
def told_in_a_line(what: str) -> Iterator[None]:
    """Turn what the Hub refuses, or that it cannot be reached, into a UserError; `what` is what was tried."""
    endpoint = constants.ENDPOINT
    try:
        yield
    except LocalTokenNotFoundError as error:
        raise UserError(f"{what}: no Hub token; run `hf auth login`, or set HF_TOKEN to one that may write") from error
    except OfflineModeIsEnabled as error:
        raise UserError(f"{what}: HF_HUB_OFFLINE is set; unset it") from error
    except HFValidationError as error:
        raise UserError(f"{what}: not a name that the Hub allows; {error}") from error
    except (HfHubHTTPError, httpx2.TransportError, JSONDecodeError, LocalEntryNotFoundError) as error:
        # snapshot_download says that a file is not here, and keeps the reason why it could not be fetched.
        reason = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else error
        if isinstance(reason, HfHubHTTPError):
            raise UserError(f"{what}: {explain(reason)}") from error
        raise UserError(
            f"{what}: {endpoint} cannot be reached; check the network and HF_ENDPOINT, then run the same command "
            "again: it goes on from what is there"
        ) from error


def explain(error: HfHubHTTPError) -> str:
    """Return what a refusal of the Hub means and what to do, in one line."""
    status = error.response.status_code
    path = error.response.url.path
    if status == 401:
        return f"the Hub does not accept the token (401 at {path}); log in with `hf auth login`, or correct HF_TOKEN"
    if status == 403:
        return f"the token may not do this (403 at {path}); use one with write access, or another ORG"
    if status == 404:
        return f"nothing is there, or the token may not read it (404 at {path}); check ORG, SCALE and the names"
    if status == 429:
        return f"too many requests (429 at {path}); wait some minutes and run the same command again"
    message = (error.server_message or "no further message").splitlines()[0]
    return f"the Hub answered {status} at {path} ({message}); run the same command again: it goes on from what is there"
