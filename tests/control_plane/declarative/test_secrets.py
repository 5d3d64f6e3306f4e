"""Secrets are references, or values that go in and never come out."""

import dataclasses
from pathlib import Path

import pytest
from pytest_django import Settings

from control_plane.audit.models import Change
from control_plane.audit.services import Actor
from control_plane.credentials.models import CredentialSource, Provider
from control_plane.credentials.services import (
    CredentialChoice,
    credential_replace,
    credentials_refresh,
    sealed_credential,
)
from control_plane.declarative.models import AwaitedCredential
from control_plane.declarative.nodes import RefusedPolicy
from switchyard_contract.envelope import open_credential
from tests.builders.tenants import Tenant, a_provider, a_tenant
from tests.control_plane.declarative.world import Code, code_of

VALUE = "sk-given-once-0123456789"


def provider_text(credential: str, more: str = "") -> str:
    return f"kind: Provider\nmetadata: {{name: main}}\nspec: {{vendor: anthropic, credential: {credential}{more}}}\n"


def opened(settings: Settings) -> str:
    provider = Provider.objects.get(name="main")
    sealed = sealed_credential(provider)
    assert sealed is not None
    return open_credential(
        sealed,
        organization_id=provider.organization_id.hex,
        provider_id=provider.id.hex,
        keys=settings.SWITCHYARD.sealing_keys.by_version,
    )


@pytest.fixture
def allowed(settings: Settings, tmp_path: Path) -> Path:
    """The deployment lets acme read one variable and the files of its folder."""
    folder = tmp_path / "acme"
    folder.mkdir()
    settings.SWITCHYARD = dataclasses.replace(
        settings.SWITCHYARD,
        credential_env=("acme:UPSTREAM_KEY",),
        credential_dir=str(tmp_path),
        environment={"UPSTREAM_KEY": "sk-from-environment"},
    )
    return folder


def test_a_value_goes_in_and_comes_out_nowhere(code: Code, settings: Settings) -> None:
    plan = code.apply(provider_text(f'{{value: "{VALUE}"}}'))
    assert opened(settings) == VALUE
    text = code.export()
    assert "credential: {value: null}  # write-only" in text
    everything = text + repr(plan) + str(list(Change.objects.values_list("before", "after")))
    assert VALUE not in everything
    assert [each.after for each in plan.changes[0].fields if each.field == "credential"] == ["a new value (write-only)"]


def test_the_same_value_again_is_no_change_and_another_one_is(code: Code, settings: Settings) -> None:
    code.apply(provider_text(f'{{value: "{VALUE}"}}'))
    assert not code.apply(provider_text(f'{{value: "{VALUE}"}}')).has_changes
    changed = code.apply(provider_text('{value: "sk-another-one-0123456789"}'))
    assert [each.field for each in changed.changes[0].fields] == ["credential"]
    assert opened(settings) == "sk-another-one-0123456789"
    assert Provider.objects.get().credential_version == 2


def test_an_export_keeps_the_value_that_is_there(code: Code, settings: Settings) -> None:
    code.apply(provider_text(f'{{value: "{VALUE}"}}'))
    again = code.apply(code.export())
    assert (again.has_changes, again.gaps) == (False, ())
    assert opened(settings) == VALUE


def test_a_gap_is_reported_until_somebody_gives_the_value(code: Code, tenant: Tenant) -> None:
    text = provider_text("{value: null}")
    first = code.apply(text)
    assert [gap.field for gap in first.gaps] == ["spec.credential"]
    assert "{value: null}" in code.export()
    again = code.apply(text)
    assert (again.has_changes, len(again.gaps)) == (False, 1)
    credential_replace(
        provider=Provider.objects.get(),
        credential=CredentialChoice(CredentialSource.VALUE, VALUE),
        actor=tenant.actor,
    )
    given = code.apply(text)
    assert (given.has_changes, given.gaps) == (False, ())


def test_a_file_without_a_credential_takes_it_away_and_says_so(code: Code, tenant: Tenant) -> None:
    a_provider(tenant, "main")
    plan = code.plan("kind: Provider\nmetadata: {name: main}\nspec: {vendor: anthropic}\n")
    assert plan.effect.without_credential == ("main",)
    assert plan.effect.sentences == ("main loses its credential: pods send none.",)


def test_references_are_read_only_where_the_deployment_allows(code: Code, allowed: Path) -> None:
    (allowed / "key").write_text("sk-from-file\n")
    code.apply(provider_text("{env: UPSTREAM_KEY}"))
    assert Provider.objects.get().credential_reference == "UPSTREAM_KEY"
    code.apply(provider_text("{file: key}"))
    assert "credential: {file: key}" in code.export()
    globex = code_of(a_tenant("globex"))
    for reference in ("{env: UPSTREAM_KEY}", "{file: key}", "{file: ../acme/key}", "{file: /proc/self/environ}"):
        with pytest.raises(RefusedPolicy) as refused:
            globex.apply(provider_text(reference))
        assert [each.field for each in refused.value.problems] == ["spec.credential"]
        assert "sk-from" not in refused.value.problems[0].sentence


def test_a_mounted_file_that_changes_is_sealed_anew_and_audited(code: Code, allowed: Path, settings: Settings) -> None:
    (allowed / "key").write_text("sk-first")
    code.apply(provider_text("{file: key}"))
    (allowed / "key").write_text("sk-second")

    assert credentials_refresh(actor=Actor.system("credential refresh")) == []

    assert opened(settings) == "sk-second"
    assert Provider.objects.get().credential_version == 2
    assert Change.objects.filter(action="provider.credential_replaced", subject_name="main").count() == 1
    assert not code.apply(provider_text("{file: key}")).has_changes


def test_a_key_is_not_sent_to_another_address_unless_it_is_given_again(code: Code, settings: Settings) -> None:
    code.apply(provider_text(f'{{value: "{VALUE}"}}'))
    moved = ', base_url: "http://127.0.0.1:9"'
    with pytest.raises(RefusedPolicy) as refused:
        code.apply(provider_text("{value: null}", moved))
    assert [each.field for each in refused.value.problems] == ["spec.base_url"]
    code.apply(provider_text(f'{{value: "{VALUE}"}}', moved))
    assert Provider.objects.get().base_url == "http://127.0.0.1:9"
    assert opened(settings) == VALUE


def test_a_provider_taken_away_awaits_nothing(code: Code) -> None:
    code.apply(provider_text("{value: null}"))
    assert AwaitedCredential.objects.count() == 1
    Provider.objects.get().delete()
    assert AwaitedCredential.objects.count() == 0
