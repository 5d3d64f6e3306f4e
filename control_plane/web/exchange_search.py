"""What the pages of exchanges look for: read from the address, with the filters and chips to show for it."""

from uuid import UUID

from django.utils import timezone

from control_plane.organizations.roles import Permission, can
from control_plane.usage import ulid
from control_plane.usage.labels import NONE
from control_plane.usage.selectors.exchanges import Exchange, ExchangeSearch, absent_columns
from control_plane.web.listing import Chip, Filter, without
from control_plane.web.names import Names
from control_plane.web.ranges import read_range
from control_plane.web.request import ConsoleRequest, scope, zone_of

STATUSES = (
    ("2xx", "Served (2xx)"),
    ("4xx", "Refused or wrong (4xx)"),
    ("429", "Too many (429)"),
    ("5xx", "Failed (5xx)"),
)
OUTCOMES = (
    ("served", "Served"),
    ("refused", "Refused by policy"),
    ("failed", "Failed upstream"),
    ("cancelled", "Client left"),
    ("internal", "Our own fault"),
)
OUTCOME_TONES = {"served": "works", "refused": "look", "failed": "stopped", "cancelled": "off", "internal": "stopped"}


def read_search(request: ConsoleRequest, names: Names) -> tuple[ExchangeSearch, tuple[Filter, ...], tuple[Chip, ...]]:
    """Read the address. A search text is a request's id when it looks like one, otherwise a session's."""
    asked = request.GET
    zone = zone_of(request)
    text = asked.get("q", "").strip()[:200]
    filters = [Filter("status", "Status", STATUSES), Filter("outcome", "Outcome", OUTCOMES)]
    if can(request.standing, Permission.EXCHANGES_READ):
        filters.append(Filter("user", "User", names.options("user"), "User: e-mail or name"))
        filters.append(Filter("provider", "Provider", names.options("provider"), "Provider: its name"))
    span = None
    if asked.get("range") or asked.get("from"):
        span = read_range(
            asked.get("range", ""),
            asked.get("from", ""),
            asked.get("to", ""),
            now=timezone.now(),
            zone=zone,
            default="7d",
        )
    is_request = _is_request_id(text)

    def given(name: str) -> str:
        value = asked.get(name, "")
        return "" if value == NONE else value

    search = ExchangeSearch(
        scope(request, Permission.EXCHANGES_READ),
        since=span.since if span else None,
        until=span.until if span else None,
        request_id=text if is_request else "",
        session_id=text if text and not is_request else asked.get("session", "")[:200],
        principal_id=_id(names, "user", given("user")),
        team_id=_id(names, "team", given("team")),
        key_id=given("key")[:12],
        provider_id=_id(names, "provider", given("provider")),
        model=given("model")[:200],
        client=given("client")[:200],
        status=_status(asked.get("status", "")),
        outcome=asked.get("outcome", "") if asked.get("outcome") in dict(OUTCOMES) else "",
        reason=given("reason")[:40],
        absent=absent_columns(asked.dict()),
    )
    shown: list[Chip] = []
    if text:
        shown.append(Chip("request" if is_request else "session", text, without(asked, "q")))
    if span:
        shown.append(Chip("time", span.label, without(asked, "range", "from", "to")))
    by_name = {one.name: one for one in filters}
    for name, label in (
        ("status", "status"),
        ("outcome", "outcome"),
        ("user", "user"),
        ("team", "team"),
        ("key", "key"),
        ("provider", "provider"),
        ("model", "model"),
        ("client", "tool"),
        ("session", "session"),
        ("reason", "reason"),
    ):
        value = asked.get(name, "")
        if value:
            told = value
            if value == NONE:
                told = names.of(name, NONE)
            elif name in by_name and by_name[name].options:
                told = by_name[name].label_of(value)
            elif name in Names.KINDS:
                told = names.of(name, names.find(name, value) or value)
            shown.append(Chip(label, told, without(asked, name)))
    return search, tuple(filters), tuple(shown)


def tone_of(exchange: Exchange) -> str:
    return OUTCOME_TONES.get(exchange.last.outcome, "off")


def _is_request_id(text: str) -> bool:
    """Ours are ULIDs; providers' begin with req or similar and hold no dash like a session's UUID."""
    try:
        ulid.day_of(text)
    except ulid.NotAUlid:
        return text.startswith(("req_", "chatcmpl-", "resp_", "msg_"))
    return True


def _status(text: str) -> str:
    return text if (len(text) == 3 and text[0].isdigit() and (text.isdigit() or text[1:] == "xx")) else ""


def _id(names: Names, kind: str, text: str) -> UUID | None:
    """The id that was chosen, or that of a name that was typed; what leads to nobody matches nothing."""
    if not text:
        return None
    try:
        return UUID(names.find(kind, text))
    except ValueError:
        return UUID(int=0)
