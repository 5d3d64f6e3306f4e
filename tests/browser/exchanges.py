"""One exchange of the browser tests' organization: a tool, a model, tokens, money and an ending, by chance."""

import random
from datetime import datetime
from uuid import UUID

from control_plane.catalog.selectors import price_for
from control_plane.credentials.models import Provider
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Organization
from switchyard_contract.pricing import Billed, Price, cost_of
from switchyard_contract.usage import TokenCounts
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.sessions.booked import uncached
from tests.control_plane.usage.events import an_event, an_exchange_id

TOOLS = {
    "claude-code": ("2.1.329", "anthropic_messages", ("claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5")),
    "codex": ("0.169.0", "openai_responses", ("gpt-5.1", "gpt-5.1-codex-mini")),
    "gemini-cli": ("0.61.0", "gemini_content", ("gemini-2.5-pro", "gemini-2.5-flash")),
    "opencode": ("1.18.33", "anthropic_messages", ("claude-sonnet-4-6",)),
}
VENDOR_OF = {"claude": "anthropic", "gpt": "openai", "gemini": "gemini"}


class Prices:
    """Looks each price up once."""

    def __init__(self, organization: Organization, at: datetime) -> None:
        self._organization, self._at = organization, at
        self._found: dict[tuple[str, str], Price | None] = {}

    def of(self, vendor: str, model: str) -> Price | None:
        if (vendor, model) not in self._found:
            self._found[vendor, model] = price_for(self._organization.id, vendor, model, self._at)
        return self._found[vendor, model]


def exchange_event(
    chance: random.Random,
    number: int,
    moment: datetime,
    organization: Organization,
    key: VirtualKey,
    owner: UUID,
    providers: dict[str, Provider],
    prices: Prices,
    is_bot: bool,
) -> usage_pb2.UsageEvent:
    client = "claude-code" if is_bot else chance.choices(tuple(TOOLS), (6, 3, 1, 2))[0]
    version, protocol, models = TOOLS[client]
    model = "claude-haiku-4-5" if is_bot else chance.choice(models)
    vendor = next(vendor for family, vendor in VENDOR_OF.items() if model.startswith(family))
    provider = providers[vendor]
    prompt = int(chance.lognormvariate(10.6, 0.8))
    tokens = TokenCounts(
        input_fresh=int(prompt * 0.06),
        cache_read=int(prompt * 0.88),
        cache_write_5m=int(prompt * 0.06) if vendor == "anthropic" else 0,
        output=int(chance.lognormvariate(5.6, 0.9)),
        reasoning=int(chance.lognormvariate(5, 1)) if chance.random() < 0.4 else 0,
    )
    price = prices.of(vendor, model)
    cost = cost_of(tokens, price, Billed()).amount if price else 0
    saved = cost_of(uncached(tokens), price, Billed()).amount - cost if price else 0
    duration_us = int(chance.lognormvariate(15.6, 0.7))
    kind = chance.random()
    common = {
        "organization_id": organization.id.hex,
        "key_id": key.key_id,
        "principal_id": owner.hex,
        "principal_kind": usage_pb2.PRINCIPAL_KIND_OF_EVENT_SERVICE_ACCOUNT
        if is_bot
        else usage_pb2.PRINCIPAL_KIND_OF_EVENT_USER,
        "team_id": key.team_id.hex,
        "tags": dict(key.tags),
        "request_tags": {"repository": chance.choice(("engine", "notes", "compiler"))},
        "protocol": protocol,
        "requested_model": model,
        "model": model,
        "client": client,
        "client_version": version,
        "session_id": f"{owner.hex[:8]}-{moment:%m%d}-{client}",
        "pod_id": chance.choice(("pod-1", "pod-2")),
        "policy_version": 12,
        "traceparent": f"00-{chance.getrandbits(128):032x}-{chance.getrandbits(64):016x}-01",
        "request_bytes": prompt * 4,
    }
    exchange_id = an_exchange_id(number, moment)
    if kind < 0.02:
        return an_event(
            number,
            at=moment,
            **common | {"model": ""},
            exchange_id=exchange_id,
            attempt=0,
            outcome=usage_pb2.OUTCOME_REFUSED,
            reason="model_not_allowed",
            client_status=403,
            upstream_status=0,
            provider_id="",
            provider_name="",
            vendor="",
            first_token_us=0,
            first_byte_us=0,
            duration_us=700,
            tokens=usage_pb2.Tokens(),
            cost_nano_usd=0,
            price_version="",
        )
    upstream = {
        "provider_id": provider.id.hex,
        "provider_name": provider.name,
        "vendor": vendor,
        "account": provider.account,
        "host": provider.base_url.removeprefix("https://"),
        "gateway_us": chance.randrange(500, 1600),
        "first_byte_us": duration_us // 9,
    }
    if kind < 0.055:
        return an_event(
            number,
            at=moment,
            **common,
            **upstream,
            exchange_id=exchange_id,
            outcome=usage_pb2.OUTCOME_FAILED,
            reason="upstream_failed",
            client_status=529,
            upstream_status=529,
            first_token_us=0,
            duration_us=duration_us // 8,
            error_type="overloaded_error",
            error_text="Overloaded",
            tokens=usage_pb2.Tokens(),
            cost_nano_usd=0,
            price_version="",
        )
    return an_event(
        number,
        at=moment,
        **common,
        **upstream,
        exchange_id=exchange_id,
        outcome=usage_pb2.OUTCOME_CANCELLED if kind < 0.08 else usage_pb2.OUTCOME_SERVED,
        kind=usage_pb2.USAGE_KIND_COUNTED if kind < 0.08 else usage_pb2.USAGE_KIND_FINAL,
        first_token_us=duration_us // 8,
        duration_us=duration_us,
        response_bytes=tokens.output * 5,
        chunks=tokens.output // 3,
        stop_reason="tool_use" if chance.random() < 0.7 else "end_turn",
        upstream_request_id=f"req_{number:024d}",
        tokens=usage_pb2.Tokens(
            input_fresh=tokens.input_fresh,
            cache_read=tokens.cache_read,
            cache_write_5m=tokens.cache_write_5m,
            output=tokens.output,
            reasoning=tokens.reasoning,
        ),
        cost_nano_usd=cost,
        saved_cache_nano_usd=saved,
        price_version=price.id if price else "",
    )
