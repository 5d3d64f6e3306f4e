"""Providers and their sealed credentials."""

from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from pytest_django import DjangoAssertNumQueries, Settings

from control_plane.audit.models import Change
from control_plane.audit.selectors import changes_of
from control_plane.credentials.models import Provider
from control_plane.credentials.selectors import is_served_by, provider_by_name, providers_of
from control_plane.credentials.services import (
    CredentialChoice,
    CredentialSource,
    Timeouts,
    credential_replace,
    credentials_refresh,
    provider_create,
    provider_delete,
    provider_update,
    sealed_credential,
)
from control_plane.credentials.vendors import vendors
from control_plane.routing.services import virtual_model_set
from switchyard_contract.envelope import EnvelopeFailure, open_credential
from tests.builders.tenants import SYSTEM, Tenant, a_provider, a_tenant

pytestmark = pytest.mark.django_db

SECRET = "sk-very-secret-0123456789"


def opened(provider: Provider, *, organization_id: str = "", provider_id: str = "") -> str:
    sealed = sealed_credential(provider)
    assert sealed is not None
    return open_credential(
        sealed,
        organization_id=organization_id or provider.organization_id.hex,
        provider_id=provider_id or provider.id.hex,
        keys=settings.SWITCHYARD.sealing_keys.by_version,
    )


def test_a_credential_is_stored_only_sealed_and_opens_only_for_its_owner() -> None:
    tenant = a_tenant()
    choice = CredentialChoice(CredentialSource.VALUE, SECRET)
    provider = provider_create(
        organization=tenant.organization, name="main", vendor="openai", credential=choice, actor=tenant.actor
    )
    row = Provider.objects.get(id=provider.id)
    assert opened(row) == SECRET
    assert SECRET.encode() not in bytes(row.sealed_ciphertext)
    assert SECRET not in str([str(change.after) for change in Change.objects.all()]) + repr(choice)
    assert row.credential_reference == ""
    other = a_provider(tenant)
    with pytest.raises(EnvelopeFailure):
        opened(row, provider_id=other.id.hex)
    with pytest.raises(EnvelopeFailure):
        opened(row, organization_id=other.id.hex)


def test_the_vendors_public_address_is_the_default_and_needs_no_look_up() -> None:
    tenant = a_tenant()
    for vendor in vendors().values():
        if vendor.base_url:
            provider = provider_create(
                organization=tenant.organization, name=vendor.name, vendor=vendor.name, actor=tenant.actor
            )
            assert (provider.base_url, provider.allows_private_address) == (vendor.base_url, False)
    with pytest.raises(ValidationError) as failure:
        provider_create(organization=tenant.organization, name="x", vendor="openai_compatible", actor=tenant.actor)
    assert "base_url" in failure.value.message_dict


@pytest.mark.parametrize(
    ("field", "facts"),
    [
        ("vendor", {"vendor": "nobody"}),
        ("name", {"name": "Has Spaces"}),
        ("base_url", {"base_url": "https://169.254.169.254"}),
        ("base_url", {"base_url": "http://10.0.0.1"}),
        ("protocols", {"protocols": ["telepathy"]}),
        ("models", {"models": []}),
        ("credential", {"credential": CredentialChoice(CredentialSource.VALUE, "  ")}),
        ("credential", {"credential": CredentialChoice(CredentialSource.VALUE, "two\r\nlines")}),
        ("credential", {"credential": CredentialChoice(CredentialSource.ENV, "DATABASE_URL")}),
        ("credential", {"credential": CredentialChoice(CredentialSource.FILE, "/etc/passwd")}),
        ("__all__", {"timeouts": Timeouts(connect_ms=0)}),
    ],
)
def test_what_cannot_work_is_refused_by_field(field: str, facts: dict[str, object]) -> None:
    tenant = a_tenant()
    asked: dict[str, object] = {"name": "main", "vendor": "openai", **facts}
    with pytest.raises(ValidationError) as failure:
        provider_create(organization=tenant.organization, actor=tenant.actor, **asked)  # type: ignore[arg-type]
    assert field in failure.value.message_dict
    assert not Provider.objects.exists()


def test_env_and_files_are_read_only_where_the_deployment_allows(settings: Settings, tmp_path: Path) -> None:
    own = tmp_path / "acme"
    own.mkdir()
    (tmp_path / "globex").mkdir()
    (own / "key").write_text(f"{SECRET}-file\n")
    (tmp_path / "globex" / "key").write_text(SECRET)
    outside = tmp_path.parent / "outside-key"
    outside.write_text(SECRET)
    (own / "link").symlink_to(outside)
    settings.SWITCHYARD = replace(
        settings.SWITCHYARD,
        credential_env=("OPENAI_API_KEY",),
        credential_dir=str(tmp_path),
        environment={"OPENAI_API_KEY": f"{SECRET}-env", "SWITCHYARD_PEPPER": "no"},
    )
    tenant = a_tenant("acme")

    def create(name: str, source: CredentialSource, text: str) -> Provider:
        return provider_create(
            organization=tenant.organization,
            name=name,
            vendor="openai",
            credential=CredentialChoice(source, text),
            actor=tenant.actor,
        )

    assert opened(create("env", CredentialSource.ENV, "OPENAI_API_KEY")) == f"{SECRET}-env"
    assert opened(create("file", CredentialSource.FILE, "key")) == f"{SECRET}-file"
    for source, text in (
        (CredentialSource.ENV, "SWITCHYARD_PEPPER"),
        (CredentialSource.FILE, "../globex/key"),
        (CredentialSource.FILE, "../../outside-key"),
        (CredentialSource.FILE, str(outside)),
        (CredentialSource.FILE, "link"),
        (CredentialSource.FILE, "missing"),
    ):
        with pytest.raises(ValidationError):
            create("bad", source, text)


def test_a_key_rotated_by_the_platform_is_taken_over_by_the_sweep(settings: Settings) -> None:
    environment = {"OPENAI_API_KEY": "sk-old"}
    settings.SWITCHYARD = replace(settings.SWITCHYARD, credential_env=("OPENAI_API_KEY",), environment=environment)
    tenant = a_tenant()
    choice = CredentialChoice(CredentialSource.ENV, "OPENAI_API_KEY")
    provider = provider_create(
        organization=tenant.organization, name="main", vendor="openai", credential=choice, actor=tenant.actor
    )
    assert credentials_refresh(actor=SYSTEM) == []
    assert Provider.objects.get(id=provider.id).credential_version == 1
    environment["OPENAI_API_KEY"] = "sk-new"
    assert credentials_refresh(actor=SYSTEM) == []
    row = Provider.objects.get(id=provider.id)
    assert (opened(row), row.credential_version) == ("sk-new", 2)
    del environment["OPENAI_API_KEY"]
    assert len(credentials_refresh(actor=SYSTEM)) == 1
    assert opened(Provider.objects.get(id=provider.id)) == "sk-new"


def test_an_organization_reads_only_the_names_given_to_it(settings: Settings) -> None:
    settings.SWITCHYARD = replace(
        settings.SWITCHYARD,
        credential_env=("OPENAI_API_KEY", "globex:GLOBEX_KEY"),
        environment={"OPENAI_API_KEY": "sk-acme", "GLOBEX_KEY": "sk-globex"},
    )
    acme, globex = a_tenant("acme"), a_tenant("globex")

    def create(tenant: Tenant, variable: str) -> Provider:
        return provider_create(
            organization=tenant.organization,
            name="main",
            vendor="openai",
            credential=CredentialChoice(CredentialSource.ENV, variable),
            actor=tenant.actor,
        )

    for tenant, variable in ((globex, "OPENAI_API_KEY"), (acme, "GLOBEX_KEY"), (globex, "globex:GLOBEX_KEY")):
        with pytest.raises(ValidationError, match="does not allow"):
            create(tenant, variable)
    assert opened(create(acme, "OPENAI_API_KEY")) == "sk-acme"
    assert opened(create(globex, "GLOBEX_KEY")) == "sk-globex"


def test_a_credential_of_the_deployment_goes_only_to_the_vendor_or_inside(settings: Settings) -> None:
    settings.SWITCHYARD = replace(
        settings.SWITCHYARD, credential_env=("OPENAI_API_KEY",), environment={"OPENAI_API_KEY": "sk-env"}
    )
    tenant = a_tenant()
    choice = CredentialChoice(CredentialSource.ENV, "OPENAI_API_KEY")

    def create(name: str, base_url: str) -> Provider:
        return provider_create(
            organization=tenant.organization,
            name=name,
            vendor="openai",
            base_url=base_url,
            credential=choice,
            actor=tenant.actor,
        )

    with pytest.raises(ValidationError) as failure:
        create("theirs", "https://93.184.216.34")
    assert "base_url" in failure.value.message_dict
    inside = create("inside", "http://127.0.0.1:9")
    for base_url in ("https://93.184.216.34", "http://127.0.0.1:10"):
        with pytest.raises(ValidationError, match="Enter the credential again"):
            provider_update(provider=inside, base_url=base_url, actor=tenant.actor)
    with pytest.raises(ValidationError, match="vendor's own address"):
        credential_replace(provider=inside, credential=choice, base_url="https://93.184.216.34", actor=tenant.actor)
    assert Provider.objects.get(id=inside.id).base_url == "http://127.0.0.1:9"


def test_a_typed_credential_is_never_sent_to_an_address_changed_later() -> None:
    tenant = a_tenant()
    provider = a_provider(tenant)
    with pytest.raises(ValidationError) as failure:
        provider_update(provider=provider, base_url="http://127.0.0.1:9", actor=tenant.actor)
    assert "base_url" in failure.value.message_dict
    moved = credential_replace(
        provider=provider,
        base_url="http://127.0.0.1:9",
        credential=CredentialChoice(CredentialSource.VALUE, "sk-other"),
        actor=tenant.actor,
    )
    assert (moved.base_url, opened(moved), moved.credential_version) == ("http://127.0.0.1:9", "sk-other", 2)


def test_passing_the_callers_credential_on_drops_ours() -> None:
    tenant = a_tenant()
    provider = credential_replace(
        provider=a_provider(tenant), credential=CredentialChoice(CredentialSource.PASSTHROUGH), actor=tenant.actor
    )
    assert (provider.passes_caller_credential, provider.has_credential) == (True, False)
    assert sealed_credential(provider) is None


def test_a_provider_that_is_still_a_target_is_not_deleted() -> None:
    tenant = a_tenant()
    provider = a_provider(tenant)
    virtual_model_set(
        organization=tenant.organization, name="fast", provider=provider, model="claude-haiku-4-5", actor=tenant.actor
    )
    with pytest.raises(ValidationError, match="fast"):
        provider_delete(provider=provider, actor=tenant.actor)
    unused = a_provider(tenant, "unused")
    provider_delete(provider=unused, actor=tenant.actor, reason="gone")
    assert provider_by_name(tenant.organization, "unused") is None
    assert changes_of(tenant.organization.id)[0].action == "provider.deleted"


def test_providers_of_one_organization_only(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    one, other = a_tenant(), a_tenant()
    mine = a_provider(one)
    a_provider(other)
    with django_assert_num_queries(1):
        assert list(providers_of(one.organization)) == [mine]


def test_a_provider_serves_what_its_globs_take_in() -> None:
    provider = Provider(served_models=["claude-*", "exact"])
    served = ["claude-x", "exact", "Claude-x", "exact-2"]
    assert [is_served_by(provider, model) for model in served] == [True, True, False, False]
