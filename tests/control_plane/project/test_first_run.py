"""The first run: once, with everything a newcomer needs."""

import json
from dataclasses import replace

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import authenticate
from pytest_django import Settings

from control_plane.audit.selectors import Intact, verify_chain
from control_plane.catalog.services import list_prices_load
from control_plane.credentials.models import CredentialSource
from control_plane.credentials.selectors import provider_by_name, providers_of
from control_plane.credentials.services import CredentialChoice, credential_replace
from control_plane.keys.services import admin_token_authenticate, pod_token_authenticate
from control_plane.organizations.models import Organization
from control_plane.project import seed
from control_plane.project.first_run import installation_seed
from control_plane.project.installation import prepare_installation
from control_plane.routing.selectors import virtual_models_of
from control_plane.snapshots.selectors import sealed_shard, shard_heads
from control_plane.snapshots.shards import GLOBAL, key_shard, policy_shard
from switchyard_contract.seal import VerifyKeys, open_sealed
from switchyard_contract.v1 import snapshot_pb2
from switchyard_contract.virtual_key import read
from tests.builders.tenants import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)


def payload(shard: str) -> bytes:
    sealed = sealed_shard(shard)
    assert sealed is not None
    deployment = django_settings.SWITCHYARD
    keys = VerifyKeys({deployment.signing_key.key_id: deployment.signing_key.public_bytes})
    return open_sealed(sealed.message, deployment=deployment.deployment_id, keys=keys, shard=shard).payload


def test_the_first_run_leaves_a_working_installation() -> None:
    prepare_installation()
    assert set(shard_heads()) == {GLOBAL}
    made = installation_seed()
    assert made is not None
    organization = Organization.objects.get(slug="acme")
    assert authenticate(username=made.admin_email, password=made.admin_password) is not None
    token = admin_token_authenticate(made.api_token)
    assert token is not None
    assert token.organization == organization
    assert pod_token_authenticate(made.pod_token) is not None
    policy = snapshot_pb2.PolicyShard.FromString(payload(policy_shard(organization.id)))
    assert {row.name: row.base_url for row in policy.providers} == dict.fromkeys(
        ("anthropic-main", "openai-main", "gemini-main"), "http://127.0.0.1:8099"
    )
    names = {row.name for row in policy.virtual_models}
    assert {"claude-sonnet-4-6", "claude-haiku-4-5", "claude-opus-4-7", "gpt-5.1", "gemini-2.5-pro"} <= names
    assert [(rule.name, rule.HasField("allow"), rule.allow.ByteSize()) for rule in policy.access_rules] == [
        ("everything", True, 0)
    ]
    presented = read(made.virtual_key)
    assert presented is not None
    keys = snapshot_pb2.KeyShard.FromString(payload(key_shard(organization.id, 0))).keys
    assert [row.id for row in keys] == [presented.id]
    prices = snapshot_pb2.GlobalShard.FromString(payload(GLOBAL)).list_prices
    assert {row.model for row in prices} >= names
    assert isinstance(verify_chain(organization.id), Intact)
    assert isinstance(verify_chain(None), Intact)
    shown = repr(made)
    for secret in (made.admin_password, made.api_token, made.virtual_key, made.pod_token):
        assert secret not in shown


def test_a_second_run_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    seed.main()
    first = json.loads(capsys.readouterr().out)
    heads = shard_heads()
    seed.main()
    out = capsys.readouterr().out
    assert first["seeded"] is True
    assert set(first) == {"admin_email", "admin_password", "api_token", "virtual_key", "pod_token", "seeded"}
    assert out == '{"seeded": false}\n'
    assert shard_heads() == heads


def test_a_real_key_in_the_environment_makes_a_real_provider(settings: Settings) -> None:
    settings.SWITCHYARD = replace(
        settings.SWITCHYARD,
        credential_env=("ANTHROPIC_API_KEY", "OPENAI_API_KEY"),
        environment={
            "ANTHROPIC_API_KEY": "sk-ant-real",
            "GEMINI_API_KEY": "not allowed by the deployment",
            "SWITCHYARD_SIMULATED_PROVIDER_URL": "http://127.0.0.1:7777",
        },
    )
    list_prices_load(actor=SYSTEM)
    installation_seed()
    organization = Organization.objects.get(slug="acme")
    real = provider_by_name(organization, "anthropic-main")
    assert real is not None
    assert (real.base_url, real.credential_source, real.credential_reference) == (
        "https://api.anthropic.com",
        CredentialSource.ENV,
        "ANTHROPIC_API_KEY",
    )
    simulated = {row.base_url for row in providers_of(organization).exclude(id=real.id)}
    assert simulated == {"http://127.0.0.1:7777"}
    assert virtual_models_of(organization).exists()


def test_simulated_providers_follow_the_address_unless_somebody_led_them_elsewhere(settings: Settings) -> None:
    def start(port: int) -> None:
        environment = {"SWITCHYARD_SIMULATED_PROVIDER_URL": f"http://127.0.0.1:{port}"}
        settings.SWITCHYARD = replace(settings.SWITCHYARD, environment=environment)
        installation_seed()

    start(7001)
    organization = Organization.objects.get(slug="acme")
    moved = provider_by_name(organization, "openai-main")
    assert moved is not None
    credential = CredentialChoice(CredentialSource.VALUE, "sk-own")
    credential_replace(provider=moved, credential=credential, base_url="http://127.0.0.1:9", actor=SYSTEM)
    for port in (7002, 7003):
        start(port)
        assert {row.name: row.base_url for row in providers_of(organization)} == {
            "anthropic-main": f"http://127.0.0.1:{port}",
            "gemini-main": f"http://127.0.0.1:{port}",
            "openai-main": "http://127.0.0.1:9",
        }
