"""A signed POST of JSON. The receiver checks the signature, its age, and the id of the message against repeats."""

import hashlib
import hmac
import json
import time

import requests
from django.core.exceptions import ValidationError

from control_plane.alerts.channels.channel import (
    Channel,
    Destination,
    Message,
    NotDelivered,
    Parting,
    nothing_more,
)
from control_plane.credentials.destination import ForbiddenDestination
from control_plane.identity.outbound import GuardedSession, check_address

SIGNATURE = "x-switchyard-signature"
TIMESTAMP = "x-switchyard-timestamp"
EVENT = "x-switchyard-event"
IDEMPOTENCY = "idempotency-key"
TIMEOUT_S = (5.0, 10.0)
GONE = 410


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature's text: HMAC-SHA256 over timestamp, a dot and the very bytes of the body."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


def check(destination: Destination) -> None:
    if not destination.url:
        raise ValidationError({"url": "The address that is called, such as https://hooks.example.com/switchyard."})
    try:
        check_address(destination.url)
    except ForbiddenDestination as failure:
        raise ValidationError({"url": str(failure)}) from failure


def deliver(message: Message, destination: Destination) -> Parting:
    if not destination.secret:
        raise NotDelivered("The channel has no secret to sign with.", is_final=True)
    body = json.dumps(message.body, ensure_ascii=False, separators=(",", ":")).encode()
    timestamp = str(int(time.time()))
    headers = {
        "content-type": "application/json; charset=utf-8",
        "user-agent": "switchyard-alerts",
        EVENT: message.event,
        IDEMPOTENCY: message.id,
        TIMESTAMP: timestamp,
        SIGNATURE: sign(destination.secret, timestamp, body),
    }
    try:
        with GuardedSession() as session:
            answer = session.post(destination.url, data=body, headers=headers, timeout=TIMEOUT_S)
    except requests.RequestException as failure:
        raise NotDelivered(_in_words(failure)) from failure
    if not answer.ok:
        raise NotDelivered(f"The receiver answered {answer.status_code}.", is_final=answer.status_code == GONE)
    return nothing_more


def _in_words(failure: requests.RequestException) -> str:
    if failure.response is not None:
        return f"The receiver answered {failure.response.status_code}, which is neither a yes nor a no."
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ForbiddenDestination):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    if isinstance(failure, requests.exceptions.SSLError):
        return "The receiver's certificate was not accepted."
    if isinstance(failure, requests.Timeout):
        return "The receiver did not answer in time."
    return "The receiver could not be reached."


CHANNEL = Channel(type="webhook", label="Signed webhook", takes=("url",), check=check, deliver=deliver)
