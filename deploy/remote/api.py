"""The admin REST API as the command line calls it. Loaded only when something has to be asked."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode, urlsplit

from deploy.remote.refused import Refused

TIMEOUT_S = 30.0
FILE_TIMEOUT_S = 120.0
LARGEST_ANSWER = 8 * 1024 * 1024


class _StaysHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token goes to the console that was named, nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


NO_REDIRECTS = urllib.request.build_opener(_StaysHere)


@dataclass(frozen=True, slots=True)
class Api:
    """The REST API of one console. token empty: nobody is signed in yet."""

    url: str
    token: str = ""

    def __repr__(self) -> str:
        return f"Api({self.url})"

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> Any:
        """Send one request; give back the JSON of the answer. Raises Refused."""
        data = None if body is None else json.dumps(body).encode()
        status, raw = self._send(method, path, data, "application/json", timeout_s)
        if status >= 400 or 300 <= status < 400:
            raise Refused(f"{status}: {_problem_text(raw)}", status=status)
        return self._json(raw)

    def post_form(self, path: str, fields: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Send a form, as OAuth endpoints want it; give back status and JSON object. Raises Refused."""
        status, raw = self._send(
            "POST", path, urlencode(fields).encode(), "application/x-www-form-urlencoded", TIMEOUT_S
        )
        found = self._json(raw)
        if not isinstance(found, dict):
            raise Refused(f"{self.url} did not answer as a Switchyard console does")
        return status, found

    def send_file(
        self, method: str, path: str, body: bytes | None, kind: str, extra: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send a file; give back status and body as they come. extra: headers besides. Raises Refused."""
        return self._send(method, path, body, kind, FILE_TIMEOUT_S, extra or {})

    def _send(
        self,
        method: str,
        path: str,
        data: bytes | None,
        kind: str,
        timeout_s: float,
        extra: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": kind, "Accept": "application/json", "User-Agent": "switchyard-cli", **extra}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked where the address comes in
            f"{self.url}/api/v1/{path}", method=method, data=data, headers=headers
        )
        try:
            with NO_REDIRECTS.open(request, timeout=timeout_s) as answer:
                return answer.status, answer.read(LARGEST_ANSWER)
        except urllib.error.HTTPError as failure:
            return failure.code, failure.read(LARGEST_ANSWER)
        except (urllib.error.URLError, TimeoutError, OSError) as failure:
            reason = getattr(failure, "reason", failure)
            raise Refused(f"{self.url} cannot be reached: {reason}", is_out_of_reach=True) from failure

    def _json(self, raw: bytes) -> Any:
        try:
            return json.loads(raw or b"null")
        except ValueError as failure:
            raise Refused(f"{self.url} did not answer in JSON; is it a Switchyard console?") from failure


def checked_url(text: str, *, named: str) -> str:
    """An address without a slash at its end. Raises Refused, which names where it came from."""
    try:
        parts = urlsplit(text.strip())
        has_credentials = parts.username is not None or parts.password is not None
    except ValueError as failure:
        raise Refused(f"{named}: {text!r} is no address") from failure
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused(f"{named}: {text!r} is neither http:// nor https://")
    if has_credentials or parts.query or parts.fragment:
        raise Refused(f"{named}: the console's address has no user, query or fragment")
    return text.strip().rstrip("/")


def _problem_text(raw: bytes) -> str:
    """Tell a problem document, an OAuth error, or whatever came instead, in one line."""
    try:
        problem = json.loads(raw)
        details = [f"{error.get('field')}: {error.get('message')}" for error in problem.get("errors", [])]
        told = problem.get("detail") or problem.get("error_description") or problem.get("title") or "refused"
        return "; ".join([str(told), *details])
    except (ValueError, AttributeError):
        return raw[:200].decode(errors="replace")
