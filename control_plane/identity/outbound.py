"""How the control plane talks to identity providers: only to addresses that the deployment allows.

An issuer is typed by a tenant's admin and dialled from inside the installation. So every new connection looks the name
up, checks all its addresses as a provider's are checked, and dials the very address that was checked; redirects are
not followed, the environment's proxies are not used, and answers have a size and a time.
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.connection import create_connection

from control_plane.credentials.destination import ForbiddenDestination, check_destination, resolve
from control_plane.identity.failures import ProviderUnreachable

TIMEOUT_S = (5.0, 10.0)
MAX_ANSWER_BYTES = 1024 * 1024


class AnswerTooLarge(requests.RequestException):
    """The identity provider sends more than any document of the protocol is long."""


class Redirected(requests.RequestException):
    """The identity provider points elsewhere; nothing in the protocols does."""


def check_address(url: str) -> None:
    """Raise ForbiddenDestination unless the deployment lets the control plane call this address."""
    check_destination(url.partition("?")[0], private_networks=settings.SWITCHYARD.private_networks)


def _checked_address(scheme: str, host: str, port: int) -> str:
    """An address of the host that may be dialled; raises ForbiddenDestination."""
    found: list[str] = []

    def remembered(name: str, number: int) -> Sequence[str]:
        found.extend(resolve(name, number))
        return found

    plain = host.strip("[]")
    literal = f"[{plain}]" if ":" in plain else plain
    check_destination(
        f"{scheme}://{literal}:{port}", private_networks=settings.SWITCHYARD.private_networks, resolver=remembered
    )
    return found[0] if found else plain


def _dial(connection: HTTPConnection, scheme: str) -> socket.socket:
    try:
        address = _checked_address(scheme, connection.host, connection.port or 0)
        timeout = connection.timeout if isinstance(connection.timeout, (int, float)) else None
        return create_connection((address, connection.port or 0), timeout)
    except ForbiddenDestination as failure:
        raise NewConnectionError(connection, str(failure)) from failure
    except TimeoutError as failure:
        raise ConnectTimeoutError(connection, f"{connection.host} did not answer in time") from failure
    except OSError as failure:
        raise NewConnectionError(connection, f"{connection.host}: {failure}") from failure


class _PlainConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _dial(self, "http")


class _SecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _dial(self, "https")


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _CheckedAdapter(HTTPAdapter):
    """Requests' transport over connections that check whom they dial."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}


class GuardedSession(requests.Session):
    """A session for identity providers. What django-allauth fetches goes through it too."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        adapter = _CheckedAdapter(max_retries=0)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        options["timeout"] = options.get("timeout") or TIMEOUT_S
        options["allow_redirects"] = False
        options["stream"] = True
        response = super().request(method, url, *args, **options)
        with response:
            if response.is_redirect:
                raise Redirected("The identity provider answered with a redirect.", response=response)
            body = b""
            for chunk in response.iter_content(64 * 1024):
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise AnswerTooLarge("The identity provider's answer is too large.", response=response)
        response._content = body
        return response


@contextmanager
def reaching(what: str) -> Iterator[GuardedSession]:
    """A session whose failures are told as ProviderUnreachable. what: the document that is asked for."""
    try:
        with GuardedSession() as session:
            yield session
    except requests.RequestException as failure:
        raise ProviderUnreachable("unreachable", f"{what} could not be read: {_in_words(failure)}") from failure


def fetch_text(url: str, what: str) -> str:
    """Read a document; raises ProviderUnreachable."""
    with reaching(what) as session:
        response = session.get(url, headers={"accept": "application/json, application/samlmetadata+xml, */*;q=0.5"})
        response.raise_for_status()
        return response.text


def _in_words(failure: requests.RequestException) -> str:
    if failure.response is not None and not failure.response.ok:
        return f"the answer was {failure.response.status_code}."
    if isinstance(failure, requests.exceptions.SSLError):
        return "its certificate was not accepted."
    if isinstance(failure, (AnswerTooLarge, Redirected)):
        return str(failure)
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ForbiddenDestination):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    if isinstance(failure, requests.exceptions.JSONDecodeError):
        return "it is no JSON."
    return "there was no answer."
