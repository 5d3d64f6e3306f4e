"""Addresses of the console, and who may open each."""

from django.urls import URLPattern

from control_plane.organizations.roles import Permission as P
from control_plane.web.access import Access, page
from control_plane.web.places import LED_TEAMS, TEAM_KEYS, TEAM_PEOPLE, TEAM_USAGE
from control_plane.web.views import (
    account,
    audit,
    device,
    exchanges,
    keys,
    operate,
    overview,
    palette,
    people,
    second_factor,
    sign_in,
    sign_in_settings,
    sso,
    supply,
    usage,
)

PUBLIC, SIGNED_IN = Access.PUBLIC, Access.SIGNED_IN

app_name = "web"
urlpatterns: list[URLPattern] = [
    page("sign-in", sign_in.sign_in, "sign-in", PUBLIC),
    page("sign-in/code", sign_in.sign_in_code, "sign-in-code", PUBLIC),
    page("sign-in/to/<slug:slug>", sign_in.sign_in_organization, "sign-in-organization", PUBLIC),
    page("sign-in/sso/<uuid:connection_id>", sso.begin, "sso-begin", PUBLIC),
    page("sign-in/sso/<uuid:connection_id>/callback", sso.callback, "sso-callback", PUBLIC),
    page("sign-in/sso/<uuid:connection_id>/acs", sso.acs, "sso-acs", PUBLIC),
    page("sign-in/sso/<uuid:connection_id>/finish", sso.finish, "sso-finish", PUBLIC),
    page("sign-in/sso/<uuid:connection_id>/metadata", sso.metadata, "sso-metadata", PUBLIC),
    page("sign-out", sign_in.sign_out, "sign-out", PUBLIC),
    page("profile", account.profile, "profile", SIGNED_IN),
    page("profile/password", account.password, "password", SIGNED_IN),
    page("profile/theme", account.theme, "theme", SIGNED_IN),
    page("device", device.device, "device", SIGNED_IN),
    page("profile/sessions/end", account.sessions_stop, "sessions-end", SIGNED_IN),
    page("profile/sessions/<uuid:session_id>/end", account.session_stop, "session-end", SIGNED_IN),
    page("profile/second-factor", second_factor.second_factor_add, "second-factor-add", SIGNED_IN),
    page("profile/second-factor/remove", second_factor.second_factor_off, "second-factor-remove", SIGNED_IN),
    page("profile/recovery-codes", second_factor.recovery_codes, "recovery-codes", SIGNED_IN),
    page("organization", account.organization_choose, "organization-choose", PUBLIC),
    page("palette", palette.palette, "palette", SIGNED_IN),
    # Home and mine.
    page("", overview.overview, "overview", SIGNED_IN),
    page("first-steps", overview.checklist, "checklist", SIGNED_IN),
    page("my/keys", keys.my_keys, "my-keys", P.KEYS_READ),
    page("my/keys/new", keys.my_key_mint, "my-key-mint", P.KEYS_MANAGE),
    page("my/usage", usage.my_usage, "my-usage", P.USAGE_READ),
    # Keys within one's reach; the view looks which of them one may change.
    page("keys", keys.keys, "keys", TEAM_KEYS),
    page("keys/new", keys.service_key_mint, "service-key-mint", P.SERVICE_KEYS_MINT),
    page("keys/<uuid:key_id>", keys.key_page, "key", P.KEYS_READ),
    page("keys/<uuid:key_id>/check", keys.check, "key-check", P.KEYS_READ),
    page("keys/<uuid:key_id>/rotate", keys.rotate, "key-rotate", P.KEYS_READ),
    page("keys/<uuid:key_id>/revoke", keys.revoke, "key-revoke", P.KEYS_READ),
    # Spend and traffic. The right's reach narrows what is shown.
    page("spend", usage.spend, "spend", TEAM_USAGE),
    page("exchanges", exchanges.exchanges, "exchanges", P.EXCHANGES_READ),
    page("exchanges/<str:exchange_id>", exchanges.exchange, "exchange", P.EXCHANGES_READ),
    # Policy and supply.
    page("routes", supply.virtual_models, "virtual-models", P.POLICY_READ),
    page("routes/new", supply.virtual_model_add, "virtual-model-add", P.POLICY_MANAGE),
    page("routes/<uuid:virtual_model_id>", supply.virtual_model_edit, "virtual-model-edit", P.POLICY_MANAGE),
    page("routes/<uuid:virtual_model_id>/delete", supply.virtual_model_remove, "virtual-model-delete", P.POLICY_MANAGE),
    page("providers", supply.providers, "providers", P.PROVIDERS_READ),
    page("providers/new", supply.provider_add, "provider-add", P.PROVIDERS_MANAGE),
    page("providers/<uuid:provider_id>", supply.provider, "provider", P.PROVIDERS_READ),
    page("providers/<uuid:provider_id>/names", supply.provider_offer, "provider-offer", P.PROVIDERS_MANAGE),
    page("providers/<uuid:provider_id>/test", supply.provider_test, "provider-test", P.PROVIDERS_MANAGE),
    page("providers/<uuid:provider_id>/edit", supply.provider_edit, "provider-edit", P.PROVIDERS_MANAGE),
    page(
        "providers/<uuid:provider_id>/credential", supply.provider_credential, "provider-credential", P.PROVIDERS_MANAGE
    ),
    page("providers/<uuid:provider_id>/delete", supply.provider_remove, "provider-delete", P.PROVIDERS_MANAGE),
    page("models", supply.models, "models", P.MODELS_READ),
    # People.
    page("members", people.members, "members", TEAM_PEOPLE),
    page("members/new", people.member_add, "member-add", P.MEMBERS_MANAGE),
    page("members/<uuid:membership_id>", people.member, "member", TEAM_PEOPLE, change=P.MEMBERS_MANAGE),
    page("members/<uuid:membership_id>/remove", people.member_remove, "member-remove", P.MEMBERS_MANAGE),
    page("members/<uuid:membership_id>/activity", people.member_activity, "member-activity", P.MEMBERS_MANAGE),
    page("teams", people.teams, "teams", LED_TEAMS),
    page("teams/new", people.team_add, "team-add", P.TEAMS_MANAGE),
    page("teams/<uuid:team_id>", people.team, "team", LED_TEAMS),
    page("teams/<uuid:team_id>/edit", people.team_edit, "team-edit", P.TEAMS_MANAGE),
    page("service-accounts", people.service_accounts, "service-accounts", P.SERVICE_ACCOUNTS_READ),
    page("service-accounts/new", people.service_account_add, "service-account-add", P.SERVICE_ACCOUNTS_MANAGE),
    page("service-accounts/<uuid:account_id>", people.service_account, "service-account", P.SERVICE_ACCOUNTS_READ),
    page(
        "service-accounts/<uuid:account_id>/edit",
        people.service_account_edit,
        "service-account-edit",
        P.SERVICE_ACCOUNTS_MANAGE,
    ),
    page(
        "service-accounts/<uuid:account_id>/activity",
        people.service_account_activity,
        "service-account-activity",
        P.SERVICE_ACCOUNTS_MANAGE,
    ),
    page("sign-in-settings", sign_in_settings.connections, "sign-in-settings", P.SIGN_IN_READ),
    page("sign-in-settings/new/<slug:kind>", sign_in_settings.connection_add, "connection-add", P.SIGN_IN_MANAGE),
    page("sign-in-settings/<uuid:connection_id>", sign_in_settings.connection, "connection", P.SIGN_IN_READ),
    page(
        "sign-in-settings/<uuid:connection_id>/edit",
        sign_in_settings.connection_edit,
        "connection-edit",
        P.SIGN_IN_MANAGE,
    ),
    page(
        "sign-in-settings/<uuid:connection_id>/groups",
        sign_in_settings.connection_mappings,
        "connection-mappings",
        P.SIGN_IN_MANAGE,
    ),
    page(
        "sign-in-settings/<uuid:connection_id>/test",
        sign_in_settings.connection_test,
        "connection-test",
        P.SIGN_IN_MANAGE,
    ),
    page(
        "sign-in-settings/<uuid:connection_id>/enforcement",
        sign_in_settings.connection_enforcement,
        "connection-enforcement",
        P.SIGN_IN_MANAGE,
    ),
    page(
        "sign-in-settings/<uuid:connection_id>/activity",
        sign_in_settings.connection_activity,
        "connection-activity",
        P.SIGN_IN_MANAGE,
    ),
    page(
        "sign-in-settings/<uuid:connection_id>/delete",
        sign_in_settings.connection_remove,
        "connection-delete",
        P.SIGN_IN_MANAGE,
    ),
    page(
        "sign-in-settings/<uuid:connection_id>/people/<uuid:identity_id>/unlink",
        sign_in_settings.person_unlink,
        "connection-person-unlink",
        P.SIGN_IN_MANAGE,
    ),
    # Operate.
    page("fleet", operate.fleet, "fleet", P.FLEET_READ),
    page("fleet/<path:pod_id>", operate.pod, "pod", P.FLEET_READ),
    page("audit", audit.audit, "audit", P.AUDIT_READ),
    page("audit/verify", audit.audit_verify, "audit-verify", P.AUDIT_READ),
    page("audit/export", audit.export, "audit-export", P.AUDIT_READ),
    page("audit/sign", audit.heads_sign, "audit-sign", P.AUDIT_READ),
    page("audit/<int:sequence>", audit.change, "change", P.AUDIT_READ),
    page("settings", operate.settings, "settings", P.ORGANIZATION_MANAGE),
]
