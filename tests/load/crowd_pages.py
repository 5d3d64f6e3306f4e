"""Every address of the console and of the REST API that is asked of a crowd.

Each name of `web/urls.py` is here with one id that exists and has much behind it, or aside with the reason why not;
tests/control_plane/web/test_crowd_pages.py holds that.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.urls import reverse

POSTED_TO = {"sign-out"}
"""Answers a GET with what it does."""
NOT_MEASURED: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "alert-channel-test",
            "audit-sign",
            "budget-raise-end",
            "budget-request-withdraw",
            "confirm-sso",
            "connection-activity",
            "connection-person-unlink",
            "connection-test",
            "key-undo",
            "missing-accept",
            "orphan-accept",
            "provider-test",
            "quarantine-dismiss",
            "quarantine-retry",
            "repricing-drop",
            "rule-undo",
            "session-end",
            "team-person-remove",
            "unusual-spend-mark",
            "unusual-unmute",
        ),
        "is posted to",
    ),
    **dict.fromkeys(
        ("sso-begin", "sso-callback", "sso-acs", "sso-finish", "sso-metadata", "sign-in-organization"),
        "is of the sign-in: an identity provider's turn",
    ),
}


def pages() -> Iterator[str]:
    """Every page, of each kind with an id one that exists, and the ways in which the great ones are looked at."""
    from control_plane.web.urls import urlpatterns

    known = ids()
    for pattern in urlpatterns:
        name = str(pattern.name)
        converters = list(pattern.pattern.converters)
        if name in POSTED_TO or name in NOT_MEASURED:
            continue
        if not converters:
            yield reverse(f"web:{name}")
            continue
        for values in known.get(name, known.get(",".join(converters), list))():
            yield reverse(f"web:{name}", kwargs=dict(zip(converters, values, strict=True)))
    yield from (
        "/keys?q=key+0123",
        "/keys?state=expired",
        "/members?q=person01",
        "/keys?sort=name",
        "/palette?q=pers",
    )


def looks() -> Iterator[str]:
    """The pages of usage as people narrow, group and take them away."""
    for group in ("user", "team", "key", "client", "client_version", "failure", "rule", "metadata.repository"):
        yield f"/spend?by={group}"
    yield from (
        "/spend?by=user&compare=1",
        "/spend?by=user&metric=tokens",
        "/spend?by=team&range=7d",
        "/spend?by=user&range=1h",
        "/spend?by=user&range=6h",
        "/spend?by=user&range=24h&compare=1",
        "/spend?by=model&range=24h&compare=1",
        "/spend?by=metadata.repository&range=24h",
        "/spend?by=requested_model&model=(none)",
        "/spend?by=model&range=1h",
        "/spend?by=model&range=year",
        "/spend?by=user&range=90d",
    )
    for page in ("/latency", "/errors", "/cache", "/sessions", "/sessions/outcomes"):
        yield f"{page}?range=30d"
    yield from (
        "/latency?range=1h",
        "/latency?range=24h&compare=1",
        "/errors?range=1h",
        "/cache?by=team",
        "/cache?by=repository",
        "/cache?by=session",
        "/sessions?sort=-avoidable",
        "/sessions?sort=-cost",
        "/sessions?flagged=yes",
        "/sessions?finding=loop",
        "/exchanges?outcome=failed",
        "/exchanges?status=4xx",
        "/exchanges?model=claude-haiku-4-5",
        "/exchanges?q=no-such-session",
        "/budgets?q=month",
        "/forecast?q=month",
    )
    csv = ("/spend?by=user", "/spend?by=model", "/exchanges?", "/sessions?", "/cache?", "/errors?", "/latency?")
    for page in csv:
        yield f"{page}&format=csv"


def lists() -> Iterator[str]:
    from control_plane.project.api_urls import router

    for prefix, _, _ in router.registry:
        yield f"/api/v1/{prefix}?limit=200"
    yield from (
        "/api/v1/usage?interval=day&group_by=user",
        "/api/v1/usage?interval=day&group_by=key",
        "/api/v1/usage?interval=day&group_by=team",
        "/api/v1/usage?interval=day&group_by=metadata.repository",
        "/api/v1/usage?interval=hour&group_by=model",
        "/api/v1/usage?interval=total&group_by=user,model",
        "/api/v1/completeness",
        "/api/v1/statements",
        "/api/v1/unpriced-models",
        "/api/v1/metrics",
    )


def ids() -> dict[str, Callable[[], list[tuple[Any, ...]]]]:
    """For a name, or for the converters of an address, what is put into it. Nothing is there: nothing is measured."""
    from django.db.models import Model

    from control_plane.access.models import AccessRule
    from control_plane.alerts.models import AlertChannel
    from control_plane.audit.models import Change
    from control_plane.budgets.models import Budget, BudgetRequest
    from control_plane.catalog.models import Discount, OrganizationPrice, PriceListLoad
    from control_plane.credentials.models import Provider
    from control_plane.declarative.models import PolicyRevision
    from control_plane.fleet.models import Pod
    from control_plane.forecasts.models import Forecast
    from control_plane.identity.models import IdentityConnection
    from control_plane.identity.scim.models import ScimGroup, ScimToken
    from control_plane.identity.workload.models import WorkloadTrust
    from control_plane.keys.models import AdminToken, VirtualKey
    from control_plane.organizations.models import Membership, Organization, ServiceAccount, Team
    from control_plane.routing.models import VirtualModel
    from control_plane.rules.models import MetadataKey
    from control_plane.sessions.models import SessionSummary
    from control_plane.usage.models import ConversationSession, LedgerEntry, Repricing
    from control_plane.usage.pseudonyms import leavers_of

    def some(model: type[Model], order: str, place: int = 0, name: str = "pk", **narrowed: Any) -> Any:
        def found() -> list[tuple[Any, ...]]:
            rows = model._default_manager.filter(**narrowed).order_by(order).values_list(name)
            return list(rows[place : place + 1]) or list(rows[:1])

        return found

    def budgets() -> list[tuple[Any, ...]]:
        names = ("daily-allowance", "team-month", "organization-month")
        return list(Budget.objects.filter(name__in=names).order_by("name").values_list("pk"))

    def sessions() -> list[tuple[Any, ...]]:
        """One of ordinary length, the longest, and one with much to find."""
        rows = ConversationSession.objects.order_by("-requests").values_list("pk")
        found = SessionSummary.objects.order_by("-avoidable_nano_usd").values_list("pk")
        return [*rows[50:51], *rows[:1], *found[:1]]

    def subjects() -> list[tuple[Any, ...]]:
        """The organization's, and those of counters."""
        rows = Forecast.objects.order_by("-spent_nano_usd").values_list("subject_id").distinct()
        return list(rows[:2])

    def leavers() -> list[tuple[Any, ...]]:
        return [(leaver.id,) for leaver in leavers_of(Organization.objects.get(slug="crowd"))[:1]]

    def rules() -> list[tuple[Any, ...]]:
        return [
            *(("budgets", row.pk) for row in Budget.objects.order_by("name")[:1]),
            *(("access-rules", row.pk) for row in AccessRule.objects.order_by("name")[:1]),
        ]

    def trusts() -> list[tuple[Any, ...]]:
        return list(WorkloadTrust.objects.values_list("service_account_id", "pk")[:1])

    def files() -> list[tuple[Any, ...]]:
        return [("codex", "linux", "config.toml")]

    kinds = [("budgets",), ("access-rules",), ("rate-limits",), ("session-caps",)]
    return {
        "key_id": some(VirtualKey, "key_id", 7, revoked_at__isnull=True),
        "membership_id": some(Membership, "user__email", 7),
        "team_id": some(Team, "name", 7),
        "account_id": some(ServiceAccount, "name"),
        "session_id": sessions,
        "exchange_id": some(LedgerEntry, "-exchange_id", 7, "exchange_id"),
        "subject_id": subjects,
        "request_id": some(BudgetRequest, "-created_at"),
        "budget_id": budgets,
        "metadata_key_id": some(MetadataKey, "name"),
        "channel_id": some(AlertChannel, "name"),
        "rule-add": lambda: kinds,
        "rule-preview": lambda: kinds,
        "kind,rule_id": rules,
        "virtual_model_id": some(VirtualModel, "name"),
        "number": some(PolicyRevision, "-number", 1, "number"),
        "provider_id": some(Provider, "created_at"),
        "load_id": some(PriceListLoad, "-loaded_at"),
        "price_id": some(OrganizationPrice, "-created_at"),
        "discount_id": some(Discount, "-created_at"),
        "repricing_id": some(Repricing, "-created_at"),
        "vendor,model": lambda: [("anthropic", "claude-opus-4-6")],
        "account_id,trust_id": trusts,
        "connection-add": lambda: [("oidc",), ("saml",)],
        "connection_id": some(IdentityConnection, "name"),
        "token-revoke": some(AdminToken, "name"),
        "scim-token-revoke": some(ScimToken, "name"),
        "group_id": some(ScimGroup, "pk"),
        "tool,format_name,name": files,
        "user_id": leavers,
        "principal_id": some(Membership, "user__email", 7, "user_id"),
        "pod_id": some(Pod, "pod_id", 0, "pod_id"),
        "sequence": some(Change, "-sequence", 3, "sequence", organization_id__isnull=False),
        "month": lambda: _months(),
    }


def _months() -> list[tuple[str]]:
    """The present month, and the one before."""
    from django.utils import timezone

    now = timezone.now()
    return [(f"{now:%Y-%m}",), (f"{now.replace(day=1) - timedelta(days=1):%Y-%m}",)]
