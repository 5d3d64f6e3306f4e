"""Settings of the admin REST API."""

from control_plane.rest.schedule import BEAT_SCHEDULE as BEAT_SCHEDULE

REST_FRAMEWORK: dict[str, object] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "control_plane.project.api.authentication.AdminTokenAuthentication",
        "control_plane.project.api.authentication.ConsoleSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["control_plane.rest.permissions.IsCaller"],
    "DEFAULT_THROTTLE_CLASSES": [
        "control_plane.rest.throttles.PostThrottle",
        "control_plane.rest.throttles.ChangeThrottle",
        "control_plane.rest.throttles.ReadThrottle",
    ],
    # Requests a minute, per person.
    "DEFAULT_THROTTLE_RATES": {"post": 300, "change": 600, "read": 6000},
    # Set globally: a list that forgot either would give out every row at once.
    "DEFAULT_PAGINATION_CLASS": "control_plane.rest.pagination.CursorPages",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["control_plane.rest.parsers.StrictJsonParser"],
    "DEFAULT_SCHEMA_CLASS": "control_plane.rest.schema.ResourceSchema",
    "EXCEPTION_HANDLER": "control_plane.rest.problems.handle_exception",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": True,
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS: dict[str, object] = {
    "TITLE": "Switchyard admin API",
    "DESCRIPTION": "Organizations, keys, providers, models, usage and the fleet.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_PUBLIC": True,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "control_plane.rest.schema.without_slash",
        "control_plane.rest.schema.with_problems",
    ],
    # Where two resources have a field of one name with other values.
    "ENUM_NAME_OVERRIDES": {
        "PodStateEnum": ["live", "silent", "out_of_reach", "gone"],
        "KeyNoticeKindEnum": "control_plane.keys.models.NoticeKind",
        "EventKindEnum": ["final", "counted", "estimated", "orphan_estimated"],
        "SessionFindingKindEnum": [
            "cold_cache",
            "cache_break",
            "model_change",
            "failover",
            "compaction",
            "never_cached",
            "loop",
        ],
        "IdentityConnectionKindEnum": "control_plane.identity.models.ConnectionKind",
        "RuleModeEnum": "control_plane.rules.models.Mode",
        "RoleEnum": "control_plane.organizations.roles.Role",
        "CredentialSourceEnum": "control_plane.credentials.models.CredentialSource",
        "PolicyRevisionSourceEnum": "control_plane.declarative.models.RevisionSource",
        "UnusualSpendStateEnum": "control_plane.forecasts.models.FindingState",
        "ForecastDriverKindEnum": ["user", "service_account", "team", "model", "client"],
        "OrganizationStateEnum": "control_plane.organizations.models.OrganizationState",
    },
}
