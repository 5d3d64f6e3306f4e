"""How ids, money and tags are written."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from switchyard_contract.quantity import NanoUsd, usd_text


@extend_schema_field({"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "32 hex digits."})
class HexId(serializers.UUIDField):
    """A UUID as 32 hex digits; read with or without dashes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="hex", **kwargs)


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class Tags(serializers.DictField):
    """Small text facts that end up on every usage event."""

    child = serializers.CharField(max_length=256, allow_blank=True)


@extend_schema_field(OpenApiTypes.STR)
class Reference(serializers.Field[Any, str, str, Any]):
    """Another object of the caller's organization, by id or by name; written as its name.

    rows: given the caller, the objects that may be named.
    """

    default_error_messages = {"unknown": "There is no such one in this organization.", "text": "A name or an id."}

    def __init__(self, rows: Callable[[Any], QuerySet[Any]], *, names: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._rows, self._names = rows, names

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or not data or "\x00" in data:
            self.fail("text")
        condition = Q()
        for name in self._names:
            condition |= Q(**{name: data})
        with suppress(ValueError):
            condition |= Q(id=UUID(data))
        row = self._rows(self.context["request"].auth).filter(condition).first()
        if row is None:
            self.fail("unknown")
        return row

    def to_representation(self, value: Any) -> str:
        return str(getattr(value, self._names[0]))


def money(amount: int) -> str:
    """Dollars with full precision: "0.015734500"."""
    return usd_text(NanoUsd(amount))
