"""Errors as `application/problem+json` (RFC 9457), `errors[{field, message}]` for what was wrong with the input."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions, status
from rest_framework.response import Response

log = structlog.get_logger(__name__)

PROBLEM_JSON = "application/problem+json"
TITLES = {
    400: "The request could not be understood",
    401: "Authentication is needed",
    403: "Not allowed",
    404: "Not found",
    405: "This method is not offered here",
    406: "No such representation",
    409: "In conflict with what is there",
    412: "It has changed meanwhile",
    413: "Too large",
    415: "Unsupported media type",
    429: "Too many requests",
    503: "Out of reach for the moment",
}


class Conflict(exceptions.APIException):
    """What is asked cannot be done as things stand."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "This is in conflict with what is there."
    default_code = "conflict"


class FieldConflict(exceptions.ValidationError):
    """A field of the input is in conflict with what is there; told by field, unlike Conflict."""

    status_code = status.HTTP_409_CONFLICT


class PreconditionFailed(exceptions.APIException):
    """The object is no longer the one the caller saw."""

    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "The object has changed since you read it. Read it again."
    default_code = "precondition_failed"


class ReauthenticationRequired(exceptions.PermissionDenied):
    """What hands out power, asked for by a console session whose person has not proved lately who they are."""

    default_detail = "Nothing was changed. Confirm in the console that it is you, then send it again."
    default_code = "reauthentication_required"
    members: Mapping[str, str] = {"code": default_code, "confirm_at": "/confirm"}
    """Of the problem, besides the usual ones. confirm_at: the page of the console (control_plane/web/urls.py)."""


def problem(status_code: int, detail: str, errors: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """Write the body of a problem."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES.get(status_code, "It failed"),
        "status": status_code,
        "detail": detail,
    }
    if errors:
        body["errors"] = list(errors)
    return body


def handle_exception(failure: Exception, context: Mapping[str, Any]) -> Response | None:
    """Turn what a view raised into a problem; None: unforeseen, Django's business."""
    known = _known(failure)
    if known is None:
        return None
    errors: list[dict[str, str]] = []
    if isinstance(known, exceptions.ValidationError):
        # What a resource calls a field may differ from what its service calls it.
        names: Mapping[str, str] = getattr(context.get("view"), "field_names", {})
        errors = [{"field": names.get(field, field), "message": message} for field, message in _flat(known.detail, "")]
        detail = errors[0]["message"] if len(errors) == 1 else f"{len(errors)} fields are wrong."
    else:
        detail = str(known.detail)
    body = {**problem(known.status_code, detail, errors), **getattr(known, "members", {})}
    response = Response(body, status=known.status_code, content_type=PROBLEM_JSON)
    if challenge := getattr(known, "auth_header", None):
        response["WWW-Authenticate"] = challenge
    wait_s = getattr(known, "wait", None)
    if known.status_code == status.HTTP_503_SERVICE_UNAVAILABLE:
        wait_s = 5
    if wait_s:
        response["Retry-After"] = str(int(wait_s))
    return response


class Unavailable(exceptions.APIException):
    """The database is out of reach. Never told as a 401: clients take that as final."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The database is out of reach. Try again."
    default_code = "unavailable"


def _known(failure: Exception) -> exceptions.APIException | None:
    match failure:
        case exceptions.APIException():
            return failure
        case Http404():
            return exceptions.NotFound("There is no such object here.")
        case PermissionDenied():
            return exceptions.PermissionDenied(str(failure) or None)
        case DjangoValidationError() if getattr(failure, "is_conflict", False):
            return FieldConflict(_fields_of(failure))
        case DjangoValidationError():
            return exceptions.ValidationError(_fields_of(failure))
        case DataError():
            # A number or a time that Python can hold and the database cannot; no field is at hand to name.
            return exceptions.ValidationError({"": "A value is beyond what can be stored or compared."})
        case OperationalError() | InterfaceError():
            log.warning("database out of reach", why=type(failure).__name__)
            return Unavailable()
        case _:
            return None


def _fields_of(failure: DjangoValidationError) -> dict[str, list[str]]:
    if hasattr(failure, "error_dict"):
        return {("" if name == NON_FIELD_ERRORS else name): list(texts) for name, texts in failure.message_dict.items()}
    return {"": list(failure.messages)}


def _flat(detail: Any, path: str) -> Iterator[tuple[str, str]]:
    """Walk nested errors: names joined by dots, positions in brackets."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _flat(inner, _inner_path(path, name))
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            if nested and not inner:
                continue
            yield from _flat(inner, f"{path}[{position}]" if nested else path)
    else:
        yield path, str(detail)


def _inner_path(path: str, name: object) -> str:
    if isinstance(name, int):
        return f"{path}[{name}]"
    if name in ("", "non_field_errors"):
        return path
    return f"{path}.{name}" if path else str(name)


def not_found(request: HttpRequest, path: str = "") -> JsonResponse:
    """An address below /api/v1/ that does not exist."""
    return JsonResponse(
        problem(404, f"There is nothing at {request.path[:200]}."), status=404, content_type=PROBLEM_JSON
    )
