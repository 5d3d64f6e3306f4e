"""REST: exchanges, one row per client request; `exchanges/{id}` with its attempts and the sum behind its cost."""

import json
from collections.abc import Iterator
from typing import Any

from django.http import Http404, HttpResponseBase
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.organizations.roles import Permission
from control_plane.rest.caller import caller_of
from control_plane.rest.fields import money
from control_plane.rest.pagination import cursor_of, limit_of, next_link
from control_plane.rest.renderers import CsvRenderer
from control_plane.usage import entries
from control_plane.usage.api.cost_parts import CostOut, cost_out
from control_plane.usage.api.explain import ExplanationOut, explanation_out
from control_plane.usage.api.parameters import (
    RANGE_PARAMETERS,
    instant_of,
    key_of,
    principal_of,
    provider_of,
    query,
    scope_of,
    team_of,
    zone_of,
)
from control_plane.usage.api.series import TokensOut
from control_plane.usage.api.streams import csv_answer, wants_csv
from control_plane.usage.entries import LedgerRow
from control_plane.usage.labels import NONE
from control_plane.usage.selectors import (
    Exchange,
    ExchangeSearch,
    cost_explained,
    exchange_by_id,
    exchanges_page,
)
from control_plane.usage.selectors.exchanges import absent_columns
from control_plane.usage.selectors.explanation import exchange_explained
from control_plane.usage.selectors.names import Names, names_of
from switchyard_contract.usage import KINDS as TOKEN_KINDS

SAME = (
    *("attempt", "kind", "revision", "outcome", "reason", "vendor", "account", "host", "region", "model"),
    *("client_status", "upstream_status", "streamed", "request_bytes", "response_bytes", "chunks", "stop_reason"),
    *("error_type", "error_text", "upstream_request_id", "web_searches", "service_tier", "inference_geo"),
    *("usage_is_inconsistent", "is_subscription", "cost_nano_usd", "price_version"),
)
"""What an attempt shows exactly as the ledger has it."""


CSV_PAGE = 500
CSV_COLUMNS = (
    *("id", "started_at", "status", "outcome", "reason", "user", "service_account", "team", "key", "key_name"),
    *("client", "client_version", "protocol", "operation", "requested_model", "provider", "model", "session"),
    *("attempts", "kind", *TOKEN_KINDS, "cost_usd", "cost_nano_usd", "is_subscription", "price_version"),
    *("first_token_ms", "duration_ms", "gateway_ms", "metadata"),
)


class ExchangeOut(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="Also on the response header x-switchyard-request-id.")
    started_at = serializers.DateTimeField()
    status = serializers.IntegerField(help_text="What the client got.")
    outcome = serializers.ChoiceField(entries.OUTCOMES)
    client = serializers.CharField()
    client_version = serializers.CharField()
    protocol = serializers.CharField()
    operation = serializers.CharField()
    requested_model = serializers.CharField()
    provider = serializers.CharField()
    provider_id = serializers.CharField(allow_null=True)
    model = serializers.CharField()
    session = serializers.CharField()
    user = serializers.CharField(allow_null=True, help_text="E-mail; null for a service account.")
    service_account = serializers.CharField(allow_null=True)
    principal_id = serializers.CharField(allow_null=True)
    team = serializers.CharField(allow_null=True)
    team_id = serializers.CharField(allow_null=True)
    key = serializers.CharField(help_text="The key's public id.")
    key_name = serializers.CharField(allow_null=True)
    metadata = serializers.DictField(child=serializers.CharField(), help_text="Tags of key and owner win over headers.")
    tokens = TokensOut()
    cost_nano_usd = serializers.IntegerField()
    cost_usd = serializers.CharField()
    is_subscription = serializers.BooleanField(help_text="The caller's own account paid.")
    price_version = serializers.CharField()
    kind = serializers.ChoiceField([entries.FINAL, entries.COUNTED, entries.ESTIMATED, entries.ORPHAN_ESTIMATED])
    attempts = serializers.IntegerField()
    first_token_ms = serializers.FloatField(allow_null=True)
    duration_ms = serializers.FloatField()
    gateway_ms = serializers.FloatField()
    reason = serializers.CharField(help_text="Why it was refused, or failed by us.")


@extend_schema_serializer(many=False)
class ExchangePageOut(serializers.Serializer[Any]):
    results = ExchangeOut(many=True)
    next = serializers.URLField(allow_null=True)


class AttemptOut(serializers.Serializer[Any]):
    attempt = serializers.IntegerField()
    kind = serializers.CharField()
    revision = serializers.IntegerField()
    outcome = serializers.CharField()
    reason = serializers.CharField()
    started_at = serializers.DateTimeField()
    provider = serializers.CharField()
    vendor = serializers.CharField()
    account = serializers.CharField()
    host = serializers.CharField()
    region = serializers.CharField()
    model = serializers.CharField()
    client_status = serializers.IntegerField()
    upstream_status = serializers.IntegerField()
    streamed = serializers.BooleanField()
    gateway_ms = serializers.FloatField()
    first_byte_ms = serializers.FloatField()
    first_token_ms = serializers.FloatField()
    duration_ms = serializers.FloatField()
    request_bytes = serializers.IntegerField()
    response_bytes = serializers.IntegerField()
    chunks = serializers.IntegerField()
    stop_reason = serializers.CharField()
    error_type = serializers.CharField()
    error_text = serializers.CharField()
    upstream_request_id = serializers.CharField()
    tokens = TokensOut()
    web_searches = serializers.IntegerField()
    service_tier = serializers.CharField()
    inference_geo = serializers.CharField()
    usage_is_inconsistent = serializers.BooleanField()
    is_subscription = serializers.BooleanField()
    cost_nano_usd = serializers.IntegerField()
    cost_usd = serializers.CharField()
    price_version = serializers.CharField()
    cost = CostOut(allow_null=True, help_text="The sum done again; null: unpriced.")


class ExchangeDetailOut(ExchangeOut):
    request_metadata = serializers.DictField(child=serializers.CharField())
    policy_version = serializers.CharField(help_text="<epoch>.<version>")
    pod = serializers.CharField()
    path = serializers.CharField()
    traceparent = serializers.CharField()
    agent = serializers.CharField()
    parent_session = serializers.CharField()
    session_is_derived = serializers.BooleanField()
    attempt_list = AttemptOut(many=True)


class ExchangeViewSet(viewsets.GenericViewSet[Any]):
    """What came through the gateway; a member sees the own ones. No prompt or answer is stored anywhere."""

    rights = {
        "list": Permission.EXCHANGES_READ,
        "retrieve": Permission.EXCHANGES_READ,
        "explain": Permission.EXCHANGES_READ,
    }
    serializer_class = ExchangeOut
    filter_backends = ()
    pagination_class = None
    renderer_classes = (JSONRenderer, CsvRenderer)
    lookup_value_regex = "[^/]+"

    @extend_schema(
        parameters=[
            *RANGE_PARAMETERS,
            query("request", "Ours or the provider's request id."),
            query("session"),
            query("user", "E-mail, name of a service account, or id."),
            query("team"),
            query("key"),
            query("provider"),
            query("model", "Requested or answered."),
            query("client"),
            query("protocol"),
            query("status", "A number such as 429, or a class such as 4xx."),
            query("outcome", enum=list(entries.OUTCOMES)),
            query("reason"),
            query("kind", enum=[entries.FINAL, entries.COUNTED, entries.ESTIMATED]),
            query("limit"),
            query("cursor"),
            query("format", "csv: all exchanges asked for as CSV, like Accept: text/csv.", enum=["json", "csv"]),
        ],
        responses={(200, "application/json"): ExchangePageOut, (200, "text/csv"): str},
    )
    def list(self, request: Request) -> HttpResponseBase:
        """Newest first. Without `from`, the last 31 days are searched."""
        if wants_csv(request):
            return csv_answer("exchanges", CSV_COLUMNS, _csv_rows(_search(request), cursor_of(request)))
        page = exchanges_page(_search(request), before=cursor_of(request), limit=limit_of(request))
        names = names_of_exchanges(page.exchanges)
        return Response(
            {
                "results": [exchange_out(exchange, names) for exchange in page.exchanges],
                "next": next_link(request, page.before),
            }
        )

    @extend_schema(responses=ExchangeDetailOut)
    def retrieve(self, request: Request, pk: str) -> Response:
        exchange = _found(request, pk)
        return Response(exchange_detail_out(exchange, names_of_exchanges([exchange])))

    @extend_schema(responses=ExplanationOut)
    @action(detail=True, methods=["get"])
    def explain(self, request: Request, pk: str) -> Response:
        """Why it was allowed, refused, moved or charged so. Rules that did not match say why not."""
        return Response(explanation_out(exchange_explained(_found(request, pk))))


def _csv_rows(search: ExchangeSearch, before: str) -> Iterator[list[object]]:
    """A page at a time: no transaction is held open while a slow reader reads."""
    while True:
        page = exchanges_page(search, before=before, limit=CSV_PAGE)
        names = names_of_exchanges(page.exchanges)
        for exchange in page.exchanges:
            told = exchange_out(exchange, names)
            told |= told["tokens"] | {"metadata": json.dumps(told["metadata"], ensure_ascii=False)}
            yield ["" if told[name] is None else told[name] for name in CSV_COLUMNS]
        if not page.before:
            return
        before = page.before


def _found(request: Request, exchange_id: str) -> Exchange:
    exchange = exchange_by_id(scope_of(caller_of(request), Permission.EXCHANGES_READ), exchange_id)
    if exchange is None:
        raise Http404
    return exchange


def _search(request: Request) -> ExchangeSearch:
    given = request.query_params
    zone = zone_of(request)

    def text(name: str) -> str:
        found = given.get(name, "")[:300].replace("\x00", "")
        return "" if found == NONE else found

    status = text("status").lower()
    if status and not (len(status) == 3 and (status.isdigit() or (status[0] in "12345" and status[1:] == "xx"))):
        raise ValidationError({"status": "A number such as 429, or a class such as 4xx."})
    return ExchangeSearch(
        scope=scope_of(caller_of(request), Permission.EXCHANGES_READ),
        since=instant_of(request, "from", zone),
        until=instant_of(request, "to", zone),
        request_id=text("request"),
        session_id=text("session"),
        principal_id=principal_of(request, text("user")) if text("user") else None,
        team_id=team_of(request, text("team")) if text("team") else None,
        key_id=key_of(request, text("key")) if text("key") else "",
        provider_id=provider_of(request, text("provider")) if text("provider") else None,
        model=text("model"),
        client=text("client"),
        protocol=text("protocol"),
        status=status,
        outcome=text("outcome"),
        reason=text("reason"),
        kind=text("kind"),
        absent=absent_columns(given.dict()),
    )


def names_of_exchanges(exchanges: Any) -> Names:
    rows = [exchange.last for exchange in exchanges]
    if not rows:
        return Names()
    return names_of(
        rows[0].organization_id,
        principal_ids=[row.principal_id for row in rows],
        team_ids=[row.team_id for row in rows],
        key_ids=[row.key_id for row in rows],
    )


def exchange_out(exchange: Exchange, names: Names) -> dict[str, Any]:
    last = exchange.last
    tokens = exchange.tokens
    tags, request_tags = (json.loads(text) for text in exchange.metadata)
    is_user = last.principal_kind != entries.SERVICE_ACCOUNT
    return {
        "id": exchange.id,
        "started_at": exchange.started_at.isoformat(),
        "status": last.client_status,
        "outcome": last.outcome,
        "client": last.client,
        "client_version": last.client_version,
        "protocol": last.protocol,
        "operation": last.operation,
        "requested_model": last.requested_model,
        "provider": last.provider_name,
        "provider_id": _hex(last.provider_id),
        "model": last.model,
        "session": last.session_id,
        "user": names.principal(last.principal_id) if is_user else None,
        "service_account": None if is_user else names.principal(last.principal_id),
        "principal_id": _hex(last.principal_id),
        "team": names.teams.get(last.team_id) if last.team_id else None,
        "team_id": _hex(last.team_id),
        "key": last.key_id,
        "key_name": names.keys.get(last.key_id),
        "metadata": {**request_tags, **tags},
        "tokens": {kind: getattr(tokens, kind) for kind in TOKEN_KINDS},
        "cost_nano_usd": exchange.cost_nano_usd,
        "cost_usd": money(exchange.cost_nano_usd),
        "is_subscription": exchange.is_subscription,
        "price_version": exchange.price_version,
        "kind": exchange.kind,
        "attempts": exchange.attempt_count,
        "first_token_ms": _ms(exchange.first_token_us),
        "duration_ms": _ms(exchange.duration_us),
        "gateway_ms": _ms(exchange.gateway_us),
        "reason": last.reason,
    }


def exchange_detail_out(exchange: Exchange, names: Names) -> dict[str, Any]:
    last = exchange.last
    return {
        **exchange_out(exchange, names),
        "request_metadata": json.loads(last.request_tags),
        "policy_version": f"{last.policy_epoch}.{last.policy_version}",
        "pod": last.pod_id,
        "path": last.path,
        "traceparent": last.traceparent,
        "agent": last.agent_id,
        "parent_session": last.parent_session_id,
        "session_is_derived": last.session_is_derived,
        "attempt_list": [_attempt_out(row) for row in exchange.attempts],
    }


def _attempt_out(row: LedgerRow) -> dict[str, Any]:
    explained = cost_explained(row)
    return {
        **{name: getattr(row, name) for name in SAME},
        "provider": row.provider_name,
        "started_at": row.started_at.isoformat(),
        "gateway_ms": _ms(row.gateway_us),
        "first_byte_ms": _ms(row.first_byte_us),
        "first_token_ms": _ms(row.first_token_us),
        "duration_ms": _ms(row.duration_us),
        "tokens": {kind: getattr(row, kind) for kind in TOKEN_KINDS},
        "cost_usd": money(row.cost_nano_usd),
        "cost": None if explained is None else cost_out(explained),
    }


def _ms(duration_us: int | None) -> float | None:
    return None if duration_us is None else duration_us / 1000


def _hex(value: Any) -> str | None:
    return value.hex if value else None
