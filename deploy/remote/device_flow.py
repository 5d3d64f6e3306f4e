"""Signing in from a machine without a browser of its own, by RFC 8628: show a code, wait for somebody to approve it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.remote.api import Api
from deploy.remote.refused import Refused

CLIENT_ID = "switchyard-cli"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SLOWER_BY_S = 5  # RFC 8628, 3.5


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What the console answered: the code a person types, where, and how often to ask."""

    device_code: str = field(repr=False)
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in_s: int
    interval_s: int


@dataclass(frozen=True, slots=True)
class Granted:
    """The API token somebody approved."""

    token: str = field(repr=False)
    token_id: str
    user: str
    organization: str
    scope: str
    expires_in_s: int | None


def begin(api: Api, *, machine: str, scopes: Sequence[str], lifetime_s: int) -> DeviceCode:
    """Ask for a code. Raises Refused."""
    status, answer = api.post_form(
        "device/authorize",
        {
            "client_id": CLIENT_ID,
            "scope": " ".join(scopes),
            "machine": machine,
            "lifetime_seconds": str(lifetime_s),
        },
    )
    if status != 200:
        raise Refused(_told(status, answer), status=status)
    try:
        return DeviceCode(
            str(answer["device_code"]),
            str(answer["user_code"]),
            str(answer["verification_uri"]),
            str(answer.get("verification_uri_complete") or answer["verification_uri"]),
            int(answer["expires_in"]),
            max(1, int(answer.get("interval", SLOWER_BY_S))),
        )
    except (KeyError, TypeError, ValueError) as failure:
        raise Refused(f"{api.url} did not answer as a Switchyard console does") from failure


def wait(
    api: Api,
    code: DeviceCode,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Granted:
    """Ask until somebody has decided. Raises Refused when it was denied or nobody came."""
    ends_at, interval_s = clock() + code.expires_in_s, code.interval_s
    while clock() < ends_at:
        sleep(interval_s)
        try:
            status, answer = api.post_form(
                "device/token", {"grant_type": GRANT, "device_code": code.device_code, "client_id": CLIENT_ID}
            )
        except Refused as failure:
            # A console that restarts in these minutes must not cost the whole sign-in (RFC 8628, 3.5).
            if not failure.is_out_of_reach:
                raise
            interval_s = min(interval_s * 2, 60)
            continue
        if status == 200:
            return _granted(api, answer)
        match answer.get("error"):
            case "authorization_pending":
                continue
            case "slow_down":
                interval_s += SLOWER_BY_S
            case "access_denied":
                raise Refused("it was denied in the console")
            case "expired_token":
                break
            case _ if status >= 500 or status == 429:
                interval_s += SLOWER_BY_S
            case _:
                raise Refused(_told(status, answer), status=status)
    raise Refused("the code has expired before anybody approved it. Run `switchyard login` again")


def _granted(api: Api, answer: dict[str, Any]) -> Granted:
    try:
        expires_in = answer.get("expires_in")
        return Granted(
            str(answer["access_token"]),
            str(answer["token_id"]),
            str(answer["user"]),
            str(answer["organization"]),
            str(answer.get("scope", "")),
            None if expires_in is None else int(expires_in),
        )
    except (KeyError, TypeError, ValueError) as failure:
        raise Refused(f"{api.url} did not answer as a Switchyard console does") from failure


def _told(status: int, answer: dict[str, Any]) -> str:
    told = answer.get("error_description") or answer.get("detail") or answer.get("error") or "refused"
    return f"{status}: {told}"
