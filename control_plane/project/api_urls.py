"""Addresses of the admin REST API, below /api/v1/. A slash at the end makes no difference."""

from django.urls import URLPattern, URLResolver, path, re_path
from rest_framework.routers import SimpleRouter

from control_plane.access.api import AccessRuleViewSet
from control_plane.alerts.api import AlertChannelViewSet, AlertDeliveryViewSet
from control_plane.audit.api import AuditViewSet
from control_plane.budgets.api import BudgetRequestViewSet, BudgetViewSet
from control_plane.catalog.api import (
    DiscountViewSet,
    ListPriceViewSet,
    PriceLoadsView,
    PriceViewSet,
    PricingPolicyView,
)
from control_plane.credentials.api import ProviderViewSet
from control_plane.dashboards.api import BudgetStandingViewSet
from control_plane.declarative.api import (
    ApplyView,
    DriftView,
    ExportView,
    KindSchemaView,
    PlanView,
    PolicyRevisionViewSet,
    PolicySchemaView,
)
from control_plane.fleet.api import CountersView, MetricsView, PodViewSet
from control_plane.forecasts.api import ForecastViewSet, UnusualSpendViewSet
from control_plane.forecasts.mutes_api import UnusualMuteViewSet
from control_plane.identity.api import IdentityConnectionViewSet
from control_plane.identity.device.api import DeviceAuthorizeView, DeviceRevokeView, DeviceTokenView, WhoamiView
from control_plane.identity.scim.api import ScimGroupViewSet, ScimTokenViewSet
from control_plane.identity.workload.api import WorkloadKeysView, WorkloadTrustViewSet
from control_plane.keys.api import (
    AdminTokenViewSet,
    KeyNoticeViewSet,
    KeyRulesView,
    MembershipViewSet,
    OrganizationViewSet,
    ServiceAccountViewSet,
    UserViewSet,
)
from control_plane.limits.api import RateLimitViewSet, SessionCapViewSet
from control_plane.onboarding.api import RecipesView, RecipeView
from control_plane.onboarding.rollout_api import RolloutsView, RolloutView
from control_plane.organizations.api import TeamViewSet
from control_plane.project.api.applied import AppliedKeyViewSet
from control_plane.project.api.docs import DocsView, SchemaView
from control_plane.project.api.rule_preview import RulePreviewView
from control_plane.rest.problems import not_found
from control_plane.routing.api import ModelViewSet, VirtualModelViewSet
from control_plane.rules.api import MetadataKeyViewSet
from control_plane.sessions.api import SessionSettingsView, SessionViewSet
from control_plane.snapshots.api import SnapshotViewSet
from control_plane.statements.api import (
    StatementCloseView,
    StatementFocusView,
    StatementOfMonthView,
    StatementsView,
)
from control_plane.usage.api import (
    AdjustmentViewSet,
    CompletenessView,
    ExchangeViewSet,
    MissingEventsViewSet,
    OrphanViewSet,
    PseudonymViewSet,
    QuarantinedEventViewSet,
    RepricingViewSet,
    UnpricedModelsView,
    UsageView,
)

app_name = "api"


class Router(SimpleRouter):
    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"


router = Router()
router.register("organizations", OrganizationViewSet, "organization")
router.register("teams", TeamViewSet, "team")
router.register("users", UserViewSet, "user")
router.register("memberships", MembershipViewSet, "membership")
router.register("service-accounts", ServiceAccountViewSet, "service-account")
router.register("workload-trusts", WorkloadTrustViewSet, "workload-trust")
router.register("identity-connections", IdentityConnectionViewSet, "identity-connection")
router.register("keys", AppliedKeyViewSet, "key")
router.register("key-notices", KeyNoticeViewSet, "key-notice")
router.register("admin-tokens", AdminTokenViewSet, "admin-token")
router.register("scim-tokens", ScimTokenViewSet, "scim-token")
router.register("scim-groups", ScimGroupViewSet, "scim-group")
router.register("providers", ProviderViewSet, "provider")
router.register("models", ModelViewSet, "model")
router.register("prices", PriceViewSet, "price")
router.register("list-prices", ListPriceViewSet, "list-price")
router.register("discounts", DiscountViewSet, "discount")
router.register("virtual-models", VirtualModelViewSet, "virtual-model")
router.register("access-rules", AccessRuleViewSet, "access-rule")
router.register("rate-limits", RateLimitViewSet, "rate-limit")
router.register("session-caps", SessionCapViewSet, "session-cap")
router.register("budgets", BudgetViewSet, "budget")
router.register("budget-requests", BudgetRequestViewSet, "budget-request")
router.register("metadata-keys", MetadataKeyViewSet, "metadata-key")
router.register("exchanges", ExchangeViewSet, "exchange")
router.register("sessions", SessionViewSet, "session")
router.register("adjustments", AdjustmentViewSet, "adjustment")
router.register("pseudonyms", PseudonymViewSet, "pseudonym")
router.register("repricings", RepricingViewSet, "repricing")
router.register("missing-events", MissingEventsViewSet, "missing-events")
router.register("orphans", OrphanViewSet, "orphan")
router.register("quarantined-events", QuarantinedEventViewSet, "quarantined-event")
router.register("alert-channels", AlertChannelViewSet, "alert-channel")
router.register("alert-deliveries", AlertDeliveryViewSet, "alert-delivery")
router.register("forecasts", ForecastViewSet, "forecast")
router.register("unusual-spend", UnusualSpendViewSet, "unusual-spend")
router.register("unusual-spend-mutes", UnusualMuteViewSet, "unusual-spend-mute")
router.register("audit", AuditViewSet, "audit")
router.register("pods", PodViewSet, "pod")
router.register("snapshots", SnapshotViewSet, "snapshot")
router.register("policy-revisions", PolicyRevisionViewSet, "policy-revision")

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^usage/?$", UsageView.as_view(), name="usage"),
    re_path(
        r"^session-settings/?$",
        SessionSettingsView.as_view({"get": "retrieve", "patch": "partial_update"}),
        name="session-settings",
    ),
    re_path(r"^completeness/?$", CompletenessView.as_view(), name="completeness"),
    re_path(r"^counters/?$", CountersView.as_view(), name="counters"),
    re_path(r"^metrics/?$", MetricsView.as_view(), name="metrics"),
    re_path(r"^key-rules/?$", KeyRulesView.as_view({"get": "retrieve", "patch": "partial_update"}), name="key-rules"),
    re_path(
        r"^budgets/(?P<pk>[^/]+)/standing/?$",
        BudgetStandingViewSet.as_view({"get": "standing"}),
        name="budget-standing",
    ),
    re_path(r"^statements/?$", StatementsView.as_view(), name="statements"),
    re_path(r"^statements/(?P<month>[^/]+)/?$", StatementOfMonthView.as_view(), name="statement"),
    re_path(r"^statements/(?P<month>[^/]+)/close/?$", StatementCloseView.as_view(), name="statement-close"),
    re_path(r"^statements/(?P<month>[^/]+)/focus/?$", StatementFocusView.as_view(), name="statement-focus"),
    re_path(r"^pricing-policy/?$", PricingPolicyView.as_view(), name="pricing-policy"),
    re_path(r"^unpriced-models/?$", UnpricedModelsView.as_view(), name="unpriced-models"),
    re_path(r"^price-loads/?$", PriceLoadsView.as_view(), name="price-loads"),
    re_path(r"^rules/preview/?$", RulePreviewView.as_view(), name="rule-preview"),
    re_path(r"^device/authorize/?$", DeviceAuthorizeView.as_view(), name="device-authorize"),
    re_path(r"^device/token/?$", DeviceTokenView.as_view(), name="device-token"),
    re_path(r"^device/revoke/?$", DeviceRevokeView.as_view(), name="device-revoke"),
    re_path(r"^whoami/?$", WhoamiView.as_view(), name="whoami"),
    re_path(r"^plan/?$", PlanView.as_view(), name="plan"),
    re_path(r"^apply/?$", ApplyView.as_view(), name="apply"),
    re_path(r"^export/?$", ExportView.as_view(), name="export"),
    re_path(r"^policy-drift/?$", DriftView.as_view(), name="policy-drift"),
    path("schema/policy.json", PolicySchemaView.as_view(), name="policy-schema"),
    path("schema/policy/<str:kind>.json", KindSchemaView.as_view(), name="kind-schema"),
    re_path(r"^workload-keys/?$", WorkloadKeysView.as_view(), name="workload-keys"),
    re_path(r"^recipes/?$", RecipesView.as_view(), name="recipes"),
    re_path(r"^recipes/(?P<tool>[^/]+)/?$", RecipeView.as_view(), name="recipe"),
    re_path(r"^rollout/?$", RolloutsView.as_view(), name="rollouts"),
    re_path(r"^rollout/(?P<tool>[^/]+)/(?P<target>[^/]+)/?$", RolloutView.as_view(), name="rollout"),
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", DocsView.as_view(), name="docs"),
    *router.urls,
    re_path(r"^(?P<path>.*)$", not_found),
]
