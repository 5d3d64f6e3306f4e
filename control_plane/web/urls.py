"""Addresses of the console, and who may open each."""

from django.urls import URLPattern

from control_plane.web.access import Access, page
from control_plane.web.views import account, audit, exchanges, keys, operate, overview, palette, people, supply, usage

PUBLIC, MEMBER, ADMIN = Access.PUBLIC, Access.MEMBER, Access.ADMIN

app_name = "web"
urlpatterns: list[URLPattern] = [
    page("sign-in", account.sign_in, "sign-in", PUBLIC),
    page("sign-out", account.sign_out, "sign-out", PUBLIC),
    page("profile", account.profile, "profile", MEMBER),
    page("profile/password", account.password, "password", MEMBER),
    page("profile/theme", account.theme, "theme", MEMBER),
    page("organization", account.organization_choose, "organization-choose", MEMBER),
    page("palette", palette.palette, "palette", MEMBER),
    # Home and mine.
    page("", overview.overview, "overview", MEMBER),
    page("first-steps", overview.checklist, "checklist", MEMBER),
    page("my/keys", keys.my_keys, "my-keys", MEMBER),
    page("my/keys/new", keys.my_key_mint, "my-key-mint", MEMBER),
    page("my/usage", usage.my_usage, "my-usage", MEMBER),
    # Keys of everybody. A member reaches the own ones only: the view looks.
    page("keys", keys.keys, "keys", ADMIN),
    page("keys/new", keys.service_key_mint, "service-key-mint", ADMIN),
    page("keys/<uuid:key_id>", keys.key_page, "key", MEMBER),
    page("keys/<uuid:key_id>/check", keys.check, "key-check", MEMBER),
    page("keys/<uuid:key_id>/rotate", keys.rotate, "key-rotate", MEMBER),
    page("keys/<uuid:key_id>/revoke", keys.revoke, "key-revoke", MEMBER),
    # Spend and traffic. Members see their own exchanges: the scope narrows.
    page("spend", usage.spend, "spend", ADMIN),
    page("exchanges", exchanges.exchanges, "exchanges", MEMBER),
    page("exchanges/<str:exchange_id>", exchanges.exchange, "exchange", MEMBER),
    # Policy and supply.
    page("routes", supply.virtual_models, "virtual-models", ADMIN),
    page("routes/new", supply.virtual_model_add, "virtual-model-add", ADMIN),
    page("routes/<uuid:virtual_model_id>", supply.virtual_model_edit, "virtual-model-edit", ADMIN),
    page("routes/<uuid:virtual_model_id>/delete", supply.virtual_model_remove, "virtual-model-delete", ADMIN),
    page("providers", supply.providers, "providers", ADMIN),
    page("providers/new", supply.provider_add, "provider-add", ADMIN),
    page("providers/<uuid:provider_id>", supply.provider, "provider", ADMIN),
    page("providers/<uuid:provider_id>/names", supply.provider_offer, "provider-offer", ADMIN),
    page("providers/<uuid:provider_id>/test", supply.provider_test, "provider-test", ADMIN),
    page("providers/<uuid:provider_id>/edit", supply.provider_edit, "provider-edit", ADMIN),
    page("providers/<uuid:provider_id>/credential", supply.provider_credential, "provider-credential", ADMIN),
    page("providers/<uuid:provider_id>/delete", supply.provider_remove, "provider-delete", ADMIN),
    page("models", supply.models, "models", ADMIN),
    # People.
    page("members", people.members, "members", ADMIN),
    page("members/new", people.member_add, "member-add", ADMIN),
    page("members/<uuid:membership_id>", people.member, "member", ADMIN),
    page("members/<uuid:membership_id>/remove", people.member_remove, "member-remove", ADMIN),
    page("members/<uuid:membership_id>/activity", people.member_activity, "member-activity", ADMIN),
    page("teams", people.teams, "teams", ADMIN),
    page("teams/new", people.team_add, "team-add", ADMIN),
    page("teams/<uuid:team_id>", people.team, "team", ADMIN),
    page("teams/<uuid:team_id>/edit", people.team_edit, "team-edit", ADMIN),
    page("service-accounts", people.service_accounts, "service-accounts", ADMIN),
    page("service-accounts/new", people.service_account_add, "service-account-add", ADMIN),
    page("service-accounts/<uuid:account_id>", people.service_account, "service-account", ADMIN),
    page("service-accounts/<uuid:account_id>/edit", people.service_account_edit, "service-account-edit", ADMIN),
    page(
        "service-accounts/<uuid:account_id>/activity",
        people.service_account_activity,
        "service-account-activity",
        ADMIN,
    ),
    # Operate.
    page("fleet", operate.fleet, "fleet", ADMIN),
    page("fleet/<path:pod_id>", operate.pod, "pod", ADMIN),
    page("audit", audit.audit, "audit", ADMIN),
    page("audit/verify", audit.audit_verify, "audit-verify", ADMIN),
    page("audit/<int:sequence>", audit.change, "change", ADMIN),
    page("settings", operate.settings, "settings", ADMIN),
]
