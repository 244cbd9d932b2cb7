"""HTTP as the client of a served model: time-outs, retries where they are safe, errors that name URL and answer."""

import ipaddress
import json
import os
import time
import weakref
from typing import Any
from urllib.parse import urlsplit

from pytest_cropdet.errors import DetectorError
from pytest_cropdet.terms import one_line

__all__ = ["AnswerError", "Service"]

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0  # unless the description has a timeout
ATTEMPTS = 4
FIRST_WAIT, LONGEST_WAIT = (
    0.25,
    4.0,
)  # seconds between attempts, twice as long each time, and a random part of the first
AGAIN = (429, 502, 503, 504)  # statuses of a server that is busy, or of a gateway before one that is not there yet
SHOWN = 200  # bytes of an answer that an error shows
AUTHORIZATION = "CROPDET_SERVING_AUTHORIZATION"  # the environment variable with the header of that name


class AnswerError(DetectorError):
    """An answer that is of no use; ``status`` is that of HTTP."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class _NotNow(Exception):  # noqa: N818  (never leaves this module)
    """What another attempt may cure."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class Service:
    """What answers JSON below one address. Redirects are never followed, and loopback never goes through a proxy."""

    def __init__(self, url: str, timeout: float | None = None) -> None:
        try:
            import httpx
            import stamina
        except ImportError as error:
            raise DetectorError(
                f"a detector behind HTTP needs httpx and stamina ({error}): pip install 'pytest-cropdet[serving]'"
            ) from error
        self._httpx, self._stamina = httpx, stamina
        self._seconds = ANSWER_SECONDS if timeout is None else timeout
        authorization = os.environ.get(AUTHORIZATION)
        self._client = httpx.Client(
            timeout=httpx.Timeout(self._seconds, connect=min(CONNECT_SECONDS, self._seconds)),
            follow_redirects=False,
            verify=urlsplit(url).scheme == "https",  # without, certificates are loaded that nothing uses
            trust_env=not is_loopback(urlsplit(url).hostname or ""),
            headers={"Accept": "application/json", **({"Authorization": authorization} if authorization else {})},
        )
        weakref.finalize(self, self._client.close)

    def get(self, url: str) -> Any:
        """Return the JSON that is at ``url``."""
        return self._read("GET", url, None, {})

    def post(self, url: str, body: bytes, headers: dict[str, str] | None = None) -> Any:
        """Return the JSON that answers ``body``, which is JSON unless ``headers`` say otherwise.

        Calls of a model change nothing, so that a second attempt is safe.
        """
        return self._read("POST", url, body, {"Content-Type": "application/json", **(headers or {})})

    def _read(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Any:
        attempts = 0
        try:
            for attempt in self._stamina.retry_context(
                on=_NotNow,
                attempts=ATTEMPTS,
                timeout=None,
                wait_initial=FIRST_WAIT,
                wait_max=LONGEST_WAIT,
                wait_jitter=FIRST_WAIT,
            ):
                with attempt:
                    attempts += 1
                    return self._once(method, url, body, headers)
        except _NotNow as error:
            times = f"after {attempts} attempts" if attempts > 1 else "at the first attempt"
            raise AnswerError(f"{method} {url}: {error}, {times}; is the server up?", error.status) from None
        raise AnswerError(f"{method} {url}: was not sent")

    def _once(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Any:
        httpx = self._httpx
        try:
            with self._client.stream(method, url, content=body, headers=headers) as response:
                content = self._content(response)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.RemoteProtocolError, httpx.ReadError) as error:
            raise _NotNow(f"no answer ({type(error).__name__}: {one_line(error)})") from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise AnswerError(
                f"{method} {url}: no answer within {self._seconds:g} s; --cropdet-detector timeout=SECONDS waits "
                "longer, batch=1 sends less"
            ) from error
        except httpx.HTTPError as error:
            raise AnswerError(f"{method} {url}: {type(error).__name__}: {one_line(error)}") from error
        status = response.status_code
        if status in AGAIN:
            raise _NotNow(f"status {status} {response.reason_phrase}: {_shown(content)}", status)
        if 300 <= status < 400:
            raise AnswerError(
                f"{method} {url}: status {status}, which points to {one_line(response.headers.get('location', '?'))}; "
                "redirects are not followed: give the URL where the model is",
                status,
            )
        if status != 200:
            text = f"{method} {url}: status {status} {response.reason_phrase}: {_shown(content)}"
            raise AnswerError(text, status)
        try:
            return json.loads(content)
        except ValueError as error:
            raise AnswerError(
                f"{method} {url}: status {status}, and the answer is no JSON: {_shown(content)}", status
            ) from error

    def _content(self, response: Any) -> bytes:
        """Return the body of an answer; ``TimeoutError`` if all of it takes longer than a call may."""
        end, parts = time.monotonic() + self._seconds, []
        for part in response.iter_bytes():
            parts.append(part)
            if time.monotonic() > end:
                raise TimeoutError
        return b"".join(parts)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name or address.

    >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("::1"), is_loopback("example.org")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _shown(content: bytes) -> str:
    """Return the first bytes of an answer in one line, and what they look like."""
    text = one_line(content[:SHOWN].decode("utf-8", "replace").strip()) or "an empty answer"
    more = f" ... ({len(content)} bytes)" if len(content) > SHOWN else ""
    page = " (an HTML page: is the URL that of a proxy or of another service?)" if text.startswith("<") else ""
    return f"{text}{more}{page}"
