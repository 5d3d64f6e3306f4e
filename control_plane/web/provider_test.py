"""Tries a provider from the control plane: is the address there, and does it speak HTTP?

The control plane never opens a credential (only pods can), so the question is asked without one: an answer of any
status proves the way; 401 and 403 are what a working provider says to a stranger.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from control_plane.credentials.destination import ForbiddenDestination, Network, check_destination

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Reached:
    """The provider answered. status: an HTTP status; any proves that the address is right."""

    status: int
    took_ms: int


@dataclass(frozen=True, slots=True)
class NotReached:
    """Nothing answered. why: in words for people."""

    why: str


TestResult = Reached | NotReached


def try_provider(base_url: str, *, private_networks: Sequence[Network], is_private: bool) -> TestResult:
    """Ask `GET <base>/v1/models` without a credential; never raises for what the network does.

    The address is checked anew: its name may resolve to something else than when it was saved.
    """
    parts = urlsplit(base_url)
    assert parts.hostname is not None
    try:
        check_destination(base_url, private_networks=private_networks if is_private else ())
    except ForbiddenDestination as failure:
        return NotReached(str(failure))
    began_s = time.monotonic()
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=TIMEOUT_S, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
    try:
        connection.connect()
        peer = ip_address(connection.sock.getpeername()[0])
        # The name was looked up once more for this connection: what was checked above must be what is talked to.
        if not (peer.is_global or (is_private and any(peer in network for network in private_networks))):
            return NotReached(f"{parts.hostname} leads to {peer}, where no provider may live.")
        connection.request("GET", f"{parts.path}/v1/models", headers={"accept": "application/json"})
        status = connection.getresponse().status
    except TimeoutError:
        return NotReached(f"{parts.netloc} did not answer within {TIMEOUT_S:.0f} seconds.")
    except ssl.SSLError as failure:
        return NotReached(f"The certificate of {parts.netloc} was not accepted: {failure.reason or failure}.")
    except socket.gaierror:
        return NotReached(f"The name {parts.hostname} does not resolve.")
    except (OSError, http.client.HTTPException) as failure:
        return NotReached(f"{parts.netloc} could not be reached: {failure or type(failure).__name__}.")
    finally:
        connection.close()
    return Reached(status, round((time.monotonic() - began_s) * 1000))
