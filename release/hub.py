"""Talking to the Hub: what fails for a moment is tried again, what fails for good is told in one line.

    with told_in_a_line("push to someone"):
        persist(api.create_repo, "someone/model", private=True, exist_ok=True)

huggingface_hub 2.4 tries again by itself, with Retry-After, when it asks what to upload, sends a file or fetches one.
It does not when it makes a repository, a commit without Xet, a tag or a collection: `persist` is for these calls, each
of which may be repeated without harm.
"""

import re
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
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
from huggingface_hub.utils import parse_ratelimit_headers

from mulfact.errors import UserError, first_line

# Overloaded, rate-limited, or someone else wrote at the same moment (409, 412: what to commit is then found out anew).
TRANSIENT = (408, 409, 412, 429, 500, 502, 503, 504)
WAITS = (0.5, 1.0, 2.0)  # seconds before each further attempt, unless the Hub asks for another time
LONGEST_WAIT = 300.0  # seconds: the Hub counts requests over five minutes

# What a connection that fails raises: the Hub's client, and the sockets under it.
CONNECTION = (httpx2.TransportError, httpx2.DecodingError, ConnectionError, TimeoutError, ssl.SSLError)
# A SOCKS proxy without its package, a scheme that no client knows, an address that is none.
PROXY_OR_ADDRESS = re.compile(r"proxy|socks|URL|\bport\b", re.IGNORECASE)

Result = TypeVar("Result")


def persist(call: Callable[..., Result], *arguments: object, **settings: object) -> Result:
    """Return what `call` returns, after further attempts when the Hub is overloaded or the connection breaks."""
    for wait in WAITS:
        try:
            return call(*arguments, **settings)
        except HfHubHTTPError as error:
            if error.response.status_code not in TRANSIENT:
                raise
            asked = asked_wait(error)
            wait, reason = wait if asked is None else asked, f"answered {error.response.status_code}"
        except CONNECTION as error:
            reason = f"did not answer ({type(error).__name__})"
        except JSONDecodeError:  # a gateway's page; the client reads the answer before it looks at the status
            reason = "did not answer in JSON"
        print(f"the Hub {reason}; trying again in {wait:g} s", file=sys.stderr, flush=True)
        time.sleep(wait)
    return call(*arguments, **settings)


def asked_wait(error: HfHubHTTPError) -> float | None:
    """Return the seconds that the answer asks for, at most LONGEST_WAIT; None where it says nothing of it.

    Retry-After names seconds or a date; the Hub's own `ratelimit` header says when its count of requests begins anew.
    """
    headers = error.response.headers
    value = headers.get("Retry-After", "").strip()
    limit = parse_ratelimit_headers(headers) if error.response.status_code == 429 else None
    if re.fullmatch("[0-9]+", value):
        wait = float(value)
    elif limit is not None:
        wait = limit.reset_in_seconds + 1.0  # as huggingface_hub does: the header is rounded
    else:
        try:
            wait = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(wait, 0.0), LONGEST_WAIT)


@contextmanager
def told_in_a_line(what: str) -> Iterator[None]:
    """Turn what the Hub refuses, or that it cannot be reached, into a UserError; `what` is what was tried."""
    try:
        yield
    except LocalTokenNotFoundError as error:
        raise UserError(f"{what}: no Hub token; run `hf auth login`, or set HF_TOKEN to one that may write") from error
    except OfflineModeIsEnabled as error:
        raise UserError(f"{what}: HF_HUB_OFFLINE is set; unset it") from error
    except HFValidationError as error:
        raise UserError(f"{what}: not a name that the Hub allows; {error}") from error
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        if isinstance(error, JSONDecodeError):
            raise unreachable(what, error) from error
        if not PROXY_OR_ADDRESS.search(f"{type(error).__name__} {error}"):
            raise
        raise UserError(
            f"{what}: the proxy in ALL_PROXY, HTTPS_PROXY or HTTP_PROXY, or HF_ENDPOINT, cannot be used "
            f"({first_line(error)}); correct or unset it"
        ) from error
    except (HfHubHTTPError, httpx2.HTTPError, LocalEntryNotFoundError, *CONNECTION) as error:
        # snapshot_download says that a file is not here, and keeps the reason why it could not be fetched.
        reason = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else error
        if isinstance(reason, HfHubHTTPError):
            raise UserError(f"{what}: {explain(reason)}") from error
        raise unreachable(what, reason or error) from error


def unreachable(what: str, error: BaseException) -> UserError:
    return UserError(
        f"{what}: {constants.ENDPOINT} cannot be reached ({first_line(error)}); check the network, the proxy and "
        "HF_ENDPOINT, then run the same command again: it goes on from what is there"
    )


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
