"""A POST that is repeated under the same Idempotency-Key is done once and answered alike.

What the request does and the keeping of its answer are one transaction. A repeat that arrives meanwhile waits at the
unique key for the first to commit, then gives its answer again; if the first failed, the repeat does the work.
"""

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.rest.caller import Caller, caller_of
from control_plane.rest.models import IdempotentAnswer
from control_plane.rest.problems import Conflict

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
KEPT_FOR = timedelta(hours=24)
LONGEST_KEY = 255
_INFO = b"switchyard/idempotent-answer/v1"

_CLAIM = """
INSERT INTO rest_idempotentanswer (organization_id, user_id, key_digest, request_digest, sealing_key_version, nonce,
                                   sealed, created_at)
VALUES (%s, %s, %s, %s, 0, '', '', %s)
ON CONFLICT (organization_id, user_id, key_digest) DO NOTHING
RETURNING id
"""


def once(request: Request, act: Callable[[], Response]) -> Response:
    """Do `act` in a transaction, or give the answer of the first time; raises Conflict and ValidationError."""
    key = request.headers.get(HEADER, "")
    if not key:
        with transaction.atomic():
            return act()
    if len(key) > LONGEST_KEY or not key.isprintable():
        raise ValidationError({HEADER: f"At most {LONGEST_KEY} printable characters."})
    caller = caller_of(request)
    asked = _digest_of(request)
    now = timezone.now()
    key_digest = sha256(key.encode()).digest()
    kept = IdempotentAnswer.objects.filter(
        organization_id=caller.organization_id, user_id=caller.user.id, key_digest=key_digest
    )
    with transaction.atomic():
        kept.filter(created_at__lt=now - KEPT_FOR).delete()
        row_id = _claim(caller, key_digest, asked, now)
        if row_id is not None:
            response = act()
            _keep(row_id, key, key_digest, response)
            return response
        answer = kept.get()
    if bytes(answer.request_digest) != asked:
        raise Conflict("This Idempotency-Key was used for another request.")
    return _again(answer, key, key_digest)


def prune(*, now: datetime) -> int:
    """Forget answers that are older than a day."""
    return IdempotentAnswer.objects.filter(created_at__lt=now - KEPT_FOR).delete()[0]


def _claim(caller: Caller, key_digest: bytes, asked: bytes, now: datetime) -> int | None:
    """Take the key. None: it was taken before, by a request that has committed."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [caller.organization_id, caller.user.id, key_digest, asked, now])
        row = cursor.fetchone()
    return None if row is None else row[0]


def _digest_of(request: Request) -> bytes:
    body = orjson.dumps(request.data, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return sha256(b"\n".join([str(request.method).encode(), request.path.encode(), body])).digest()


def _keep(row_id: int, key: str, key_digest: bytes, response: Response) -> None:
    version, sealing_key = settings.SWITCHYARD.sealing_keys.newest
    nonce = os.urandom(12)
    headers = {name: response[name] for name in ("Location", "ETag") if response.has_header(name)}
    body = JSONRenderer().render(response.data) if response.data is not None else b"null"
    text = orjson.dumps({"status": response.status_code, "headers": headers, "body": body.decode()})
    sealed = AESGCM(_derived(sealing_key, key)).encrypt(nonce, text, key_digest)
    IdempotentAnswer.objects.filter(id=row_id).update(sealing_key_version=version, nonce=nonce, sealed=sealed)


def _again(answer: IdempotentAnswer, key: str, key_digest: bytes) -> Response:
    sealing_key = settings.SWITCHYARD.sealing_keys.by_version.get(answer.sealing_key_version)
    try:
        if sealing_key is None:
            raise InvalidTag
        text = AESGCM(_derived(sealing_key, key)).decrypt(bytes(answer.nonce), bytes(answer.sealed), key_digest)
    except InvalidTag as failure:
        raise Conflict("This was done already, but its answer can no longer be read.") from failure
    kept = orjson.loads(text)
    response = Response(orjson.loads(kept["body"]), status=kept["status"], headers=kept["headers"])
    response[REPLAYED_HEADER] = "true"
    return response


def _derived(sealing_key: bytes, key: str) -> bytes:
    return HKDF(SHA256(), length=32, salt=key.encode(), info=_INFO).derive(sealing_key)
