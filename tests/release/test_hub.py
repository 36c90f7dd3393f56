"""Attempts and errors of the Hub's calls, without a Hub."""

from json import JSONDecodeError

import httpx2
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

from mulfact.errors import UserError
from mulfact.release import hub


def refusal(status: int, **headers: str) -> HfHubHTTPError:
    request = httpx2.Request("POST", "https://huggingface.co/api/repos/create")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HfHubHTTPError("refused", response=httpx2.Response(status, headers=named, request=request))


class Flaky:
    """A call that fails in the ways it is given, one after another, and then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self, name: str, exist_ok: bool) -> str:
        assert exist_ok
        if self.errors:
            raise self.errors.pop(0)
        return f"made {name}"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(hub.time, "sleep", found.append)
    return found


def test_a_passing_fault_is_waited_out(waits: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    flaky = Flaky(refusal(500), httpx2.ConnectError("no"), refusal(429, Retry_After="7"))
    assert hub.persist(flaky, "x", exist_ok=True) == "made x"
    assert hub.persist(Flaky(JSONDecodeError("a gateway's page", "<html>", 0)), "x", exist_ok=True) == "made x"
    assert waits == [0.5, 1.0, 7.0, 0.5]
    assert capsys.readouterr().err.splitlines()[1] == "the Hub did not answer (ConnectError); trying again in 1 s"


@pytest.mark.parametrize(
    ("status", "headers", "waited"),
    [
        (429, {"Retry_After": "100000"}, 300.0),
        (429, {"Retry_After": "soon"}, 0.5),
        (429, {"Retry_After": ""}, 0.5),
        (429, {"Retry_After": "Wed, 21 Oct 2026"}, 0.5),
        (429, {"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        (429, {"Retry_After": "Wed, 21 Oct 2099 07:28:00 GMT"}, 300.0),
        (429, {"ratelimit": '"api";r=0;t=55', "ratelimit-policy": '"fixed window";"api";q=500;w=300'}, 56.0),
        (429, {"RateLimit": '"api";r=0;t=299'}, 300.0),
        (429, {"ratelimit": '"api";r=0;t=55', "Retry_After": "7"}, 7.0),
        (429, {"ratelimit": "nonsense"}, 0.5),
        (500, {"ratelimit": '"api";r=400;t=55'}, 0.5),
    ],
)
def test_what_the_hub_asks_for_is_waited_for_within_bounds(
    waits: list[float], status: int, headers: dict[str, str], waited: float
) -> None:
    hub.persist(Flaky(refusal(status, **headers)), "x", exist_ok=True)
    assert waits == [waited]


@pytest.mark.parametrize(("status", "attempts"), [(400, 1), (401, 1), (403, 1), (404, 1), (500, 1 + len(hub.WAITS))])
def test_a_refusal_is_not_repeated_and_a_fault_that_stays_is_raised(
    waits: list[float], status: int, attempts: int
) -> None:
    with pytest.raises(HfHubHTTPError):
        hub.persist(Flaky(*[refusal(status)] * 9), "x", exist_ok=True)
    assert len(waits) == attempts - 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "log in with `hf auth login`, or correct HF_TOKEN"),
        (403, "use one with write access, or another ORG"),
        (404, "check ORG, SCALE and the names"),
        (429, "wait some minutes and run the same command again"),
        (500, "it goes on from what is there"),
    ],
)
def test_each_refusal_says_what_to_do(status: int, message: str) -> None:
    with pytest.raises(UserError, match="push to someone: ") as caught, hub.told_in_a_line("push to someone"):
        raise refusal(status)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "cause", "message"),
    [
        (LocalEntryNotFoundError("An error happened\nwhile"), refusal(403), r"pull: the token may not do this \(403"),
        (LocalEntryNotFoundError("An error happened\nwhile"), None, "pull: .* cannot be reached"),
        (OfflineModeIsEnabled("Cannot reach"), None, "pull: HF_HUB_OFFLINE is set; unset it"),
    ],
)
def test_what_did_not_come_is_told_by_its_reason(error: Exception, cause: Exception | None, message: str) -> None:
    with pytest.raises(UserError, match=message), hub.told_in_a_line("pull"):
        raise error from cause


@pytest.mark.parametrize("error", [ImportError("cannot import name x"), ValueError("the report: unsupported value")])
def test_what_is_no_matter_of_the_hub_is_not_laid_on_the_proxy(error: Exception) -> None:
    with pytest.raises(type(error)), hub.told_in_a_line("push to someone"):
        raise error


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ALL_PROXY": "socks5://127.0.0.1:9"}, "the proxy in ALL_PROXY, .* cannot be used .*(socks|SOCKS)"),
        ({"ALL_PROXY": "nonsense://127.0.0.1:9"}, "the proxy in ALL_PROXY, .* cannot be used"),
        ({"ALL_PROXY": "http://127.0.0.1:nine"}, "the proxy in ALL_PROXY, .* cannot be used"),
        ({"ALL_PROXY": "http://127.0.0.1:9"}, "https://hub.invalid cannot be reached .*; check the network, the proxy"),
        ({}, "https://hub.invalid cannot be reached .*; check the network"),
    ],
)
def test_a_way_to_the_hub_that_leads_nowhere_is_told(
    monkeypatch: pytest.MonkeyPatch, waits: list[float], variables: dict[str, str], message: str
) -> None:
    from huggingface_hub.utils import _http

    for name in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(hub.constants, "ENDPOINT", "https://hub.invalid")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", False)
    _http.close_session()
    try:
        expected = pytest.raises(UserError, match=f"push to someone: {message}")
        with expected as caught, hub.told_in_a_line("push to someone"):
            hub.persist(HfApi(endpoint="https://hub.invalid", token="t").whoami)
        assert "\n" not in str(caught.value)
    finally:
        _http.close_session()
