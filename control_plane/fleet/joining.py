"""How a pod proves that it belongs to the fleet."""

from collections import OrderedDict
from hashlib import sha256
from typing import Any

import grpc
from django.db import Error as DatabaseFailure

from control_plane.fleet.database import DatabaseThreads
from control_plane.keys.models import PodToken
from control_plane.keys.services import pod_token_authenticate

REMEMBERED_TOKENS = 64


class PodGate:
    """Checks join tokens."""

    def __init__(self, database: DatabaseThreads) -> None:
        self._database = database
        self._accepted: OrderedDict[bytes, PodToken] = OrderedDict()
        """By digest, for the time in which the database is away."""

    @staticmethod
    def may_be(token: PodToken, pod_id: str) -> bool:
        """Whether a bearer of the token may call itself by this pod id."""
        return token.may_be(pod_id)

    async def authenticate(self, context: Any) -> PodToken | None:
        """Give the token's row when the call carries one that is in force, else None.

        While the database is away, what was accepted before is accepted again; other calls end UNAVAILABLE, because
        a pod must not take an outage for a no.
        """
        text = bearer_of(context.invocation_metadata() or ())
        if text is None:
            return None
        mark = sha256(text.encode()).digest()
        try:
            token = await self._database.run(pod_token_authenticate, text)
        except DatabaseFailure:
            if mark in self._accepted:
                return self._accepted[mark]
            await context.abort(grpc.StatusCode.UNAVAILABLE, "join tokens cannot be checked right now")
        if token is None:
            self._accepted.pop(mark, None)
            return None
        self._accepted[mark] = token
        while len(self._accepted) > REMEMBERED_TOKENS:
            self._accepted.popitem(last=False)
        return token


def bearer_of(metadata: Any) -> str | None:
    """The token of `authorization: Bearer …`; None when there is none."""
    for name, value in metadata:
        if name == "authorization" and isinstance(value, str):
            scheme, _, token = value.partition(" ")
            return token.strip() if scheme.lower() == "bearer" else None
    return None
