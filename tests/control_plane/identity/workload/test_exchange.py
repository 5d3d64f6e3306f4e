"""A CI job's token for a key: which tokens are good, and how each other one is refused."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import rsa
from django.utils import timezone
from rest_framework.test import APIClient

from control_plane.audit.models import Change
from control_plane.identity.workload import services
from control_plane.identity.workload.models import IssuerKeys, UsedToken, WorkloadTrust
from control_plane.identity.workload.services import TrustFacts, trust_add
from control_plane.keys.models import VirtualKey
from control_plane.keys.services import service_account_activity_set
from control_plane.organizations.models import ServiceAccount
from switchyard_contract.virtual_key import KeyKind, read
from tests.builders.tenants import Tenant, a_service_account
from tests.control_plane.identity.workload.issuer import AUDIENCE, Issuer

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"


def exchange(token: str, **changes: str) -> Any:
    form = {
        "grant_type": GRANT,
        "subject_token": token,
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "service_account": "acme/ci",
        **changes,
    }
    return APIClient().post("/api/v1/workload-keys", urlencode(form), content_type="application/x-www-form-urlencoded")


def refusal(token: str, **changes: str) -> str:
    answer = exchange(token, **changes)
    assert answer.status_code == 400, answer.content
    assert not VirtualKey.objects.exists()
    return str(answer.json()["error_description"])


def test_a_job_gets_a_key_of_its_account(
    tenant: Tenant, account: ServiceAccount, trust: WorkloadTrust, issuer: Issuer
) -> None:
    answer = exchange(issuer.token(run_id="77"))
    assert answer.status_code == 201, answer.content
    told = answer.json()
    token = read(told["access_token"])
    assert token is not None
    assert token.kind is KeyKind.SERVICE
    assert 1700 < told["expires_in"] <= 1800
    assert answer["Cache-Control"] == "no-store"
    key = VirtualKey.objects.get()
    assert key.service_account == account
    assert key.team == account.team
    assert key.allowed_models == ["claude-*"]
    assert key.name == "main branch: repo:acme/shop:ref:refs/heads/main"
    change = Change.objects.get(action="workload_key.minted")
    assert change.organization_id == tenant.organization.id
    assert change.actor_kind == "service_account"
    assert change.after is not None
    assert change.after["repository"] == "acme/shop"
    assert change.after["run_id"] == "77"
    assert told["access_token"] not in json.dumps(change.after)


def test_a_job_may_ask_for_less_time_and_never_gets_more(trust: WorkloadTrust, issuer: Issuer) -> None:
    assert exchange(issuer.token(), lifetime_seconds="120").json()["expires_in"] <= 120
    assert exchange(issuer.token(), lifetime_seconds="3600").json()["expires_in"] <= 1800
    assert exchange(issuer.token(), lifetime_seconds="7200").status_code == 400


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_each_asymmetric_signature_is_taken(trust: WorkloadTrust, issuer: Issuer, algorithm: str) -> None:
    issuer.add_key("other", algorithm)
    assert exchange(issuer.token("other")).status_code == 201


def test_a_token_works_once(trust: WorkloadTrust, issuer: Issuer) -> None:
    token = issuer.token()
    assert exchange(token).status_code == 201
    again = exchange(token)
    assert again.status_code == 400
    assert "exchanged already" in again.json()["error_description"]
    assert VirtualKey.objects.count() == 1


def test_a_token_without_an_id_of_its_own_works_once_too(trust: WorkloadTrust, issuer: Issuer) -> None:
    token = issuer.token(jti=None)
    assert exchange(token).status_code == 201
    assert exchange(token).status_code == 400


def test_a_second_token_of_the_same_id_is_the_same(trust: WorkloadTrust, issuer: Issuer) -> None:
    assert exchange(issuer.token(jti="one")).status_code == 201
    assert exchange(issuer.token(jti="one", run_id="2")).status_code == 400


def test_used_tokens_are_forgotten_when_they_have_expired(trust: WorkloadTrust, issuer: Issuer) -> None:
    assert exchange(issuer.token()).status_code == 201
    with time_machine.travel(timezone.now() + timedelta(minutes=10)):
        assert exchange(issuer.token()).status_code == 201
    assert UsedToken.objects.count() == 1


REFUSED: list[tuple[str, Callable[[Issuer], str], str]] = [
    ("expired", lambda i: i.token(exp=int(time.time()) - 61), "has expired"),
    ("not yet valid", lambda i: i.token(nbf=int(time.time()) + 120), "not valid yet"),
    (
        "issued in the future",
        lambda i: i.token(iat=int(time.time()) + 120, nbf=None, exp=int(time.time()) + 400),
        "not valid yet",
    ),
    ("issued in the future, valid now", lambda i: i.token(iat=int(time.time()) + 120), "in the future"),
    ("no expiry", lambda i: i.token(exp=None), "does not say exp"),
    ("no issue time", lambda i: i.token(iat=None), "does not say iat"),
    ("expiry as text", lambda i: i.token(exp="tomorrow"), "does not say exp"),
    ("valid for weeks", lambda i: i.token(exp=int(time.time()) + 14 * 86400), "longer than a day"),
    ("another audience", lambda i: i.token(aud="https://elsewhere.example"), "audience"),
    ("audience part of a text", lambda i: i.token(aud=AUDIENCE + ".evil.example"), "audience"),
    ("no audience", lambda i: i.token(aud=None), "audience"),
    ("another repository", lambda i: i.token(repository="evil/shop"), "'repository'"),
    ("a repository that begins alike", lambda i: i.token(repository="acme-evil/shop"), "'repository'"),
    ("a slash where * stops", lambda i: i.token(repository="acme/shop/fork"), "'repository'"),
    ("another branch", lambda i: i.token(ref="refs/heads/feature"), "'ref'"),
    ("no branch", lambda i: i.token(ref=None), "'ref'"),
    ("an object for a claim", lambda i: i.token(ref={"is": "refs/heads/main"}), "'ref'"),
    ("another issuer", lambda i: i.token(iss="https://evil.example"), "No service account"),
    ("no issuer", lambda i: i.token(iss=None), "names no issuer"),
    ("not a token", lambda i: "abc", "no signed token"),
    ("nonsense in three parts", lambda i: "a.b.c", "cannot be read"),
    ("too long", lambda i: "a" * 17_000, "too long"),
    ("unknown key", lambda i: i.token(headers={"kid": "none-of-ours"}), "no key 'none-of-ours'"),
    ("extensions", lambda i: i.token(headers={"crit": ["b64"], "b64": True}), "extensions"),
]


@pytest.mark.parametrize(("make", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_every_other_token_is_refused_in_words(
    trust: WorkloadTrust, issuer: Issuer, make: Callable[[Issuer], str], why: str
) -> None:
    assert why in refusal(make(issuer))


def unsigned(issuer: Issuer, header: dict[str, Any]) -> str:
    parts = [json.dumps(part).encode() for part in (header, issuer.claims())]
    return ".".join([*(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), ""])


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", None, ""])
def test_a_token_that_nobody_signed_is_refused(trust: WorkloadTrust, issuer: Issuer, algorithm: str | None) -> None:
    assert "only RS256, ES256, EdDSA" in refusal(unsigned(issuer, {"alg": algorithm, "kid": "rsa-1"}))


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_the_public_key_is_no_shared_secret(trust: WorkloadTrust, issuer: Issuer, algorithm: str) -> None:
    secret = json.dumps(issuer.public("rsa-1")).encode()
    signed = unsigned(issuer, {"alg": algorithm, "kid": "rsa-1"}).removesuffix(".")
    signature = hmac.digest(secret, signed.encode(), {"HS256": "sha256", "HS512": "sha512"}[algorithm])
    token = f"{signed}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert "only RS256, ES256, EdDSA" in refusal(token)


def test_another_ones_signature_is_refused(trust: WorkloadTrust, issuer: Issuer) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    token = jwt.encode(issuer.claims(), stranger, "RS256", headers={"kid": "rsa-1"})
    assert "signature is not the issuer's" in refusal(token)


def test_a_key_that_the_token_brings_itself_is_not_looked_at(trust: WorkloadTrust, issuer: Issuer) -> None:
    stranger = Issuer()
    headers = {"kid": "rsa-1", "jwk": stranger.public("rsa-1"), "jku": "https://evil.example/keys"}
    token = jwt.encode(issuer.claims(), stranger.keys["rsa-1"][1], "RS256", headers=headers)
    assert "signature is not the issuer's" in refusal(token)


def test_an_altered_token_is_refused(trust: WorkloadTrust, issuer: Issuer) -> None:
    head, _, signature = issuer.token().split(".")
    claims = urlsafe_b64encode(json.dumps(issuer.claims(repository="acme/other")).encode()).rstrip(b"=").decode()
    assert "signature is not the issuer's" in refusal(f"{head}.{claims}.{signature}")


def test_a_key_of_another_kind_does_not_vouch(trust: WorkloadTrust, issuer: Issuer) -> None:
    issuer.add_key("ec-1", "ES256")
    assert "no key 'ec-1' for RS256" in refusal(issuer.token("rsa-1", headers={"kid": "ec-1"}))


def test_the_account_is_told_apart_by_organization(
    trust: WorkloadTrust, other: Tenant, issuer: Issuer, account: ServiceAccount
) -> None:
    theirs = a_service_account(other, "ci")
    token = issuer.token()
    assert "No service account" in refusal(token, service_account="globex/ci")
    assert "No service account" in refusal(token, service_account=theirs.id.hex)
    assert "No service account" in refusal(token, service_account="acme/none")
    assert "No service account" in refusal(token, service_account="none")
    assert exchange(token, service_account=account.id.hex).status_code == 201


def test_a_trust_that_is_off_and_an_account_that_is_off_give_nothing(
    tenant: Tenant, trust: WorkloadTrust, account: ServiceAccount, issuer: Issuer
) -> None:
    service_account_activity_set(service_account=account, is_active=False, actor=tenant.actor)
    assert "switched off" in refusal(issuer.token())
    WorkloadTrust.objects.update(is_active=False)
    assert "No service account" in refusal(issuer.token())


def test_new_keys_of_the_issuer_are_read_when_a_token_names_one(trust: WorkloadTrust, issuer: Issuer) -> None:
    assert exchange(issuer.token()).status_code == 201
    issuer.add_key("next", "ES256")
    issuer.served = ["next"]
    with time_machine.travel(timezone.now() + timedelta(seconds=31)):
        assert exchange(issuer.token("next")).status_code == 201
        assert "no key 'rsa-1'" in exchange(issuer.token()).json()["error_description"]


def test_made_up_key_ids_do_not_make_us_ask_again_and_again(trust: WorkloadTrust, issuer: Issuer) -> None:
    assert exchange(issuer.token()).status_code == 201
    for number in range(5):
        assert exchange(issuer.token(headers={"kid": f"made-up-{number}"})).status_code == 400
    assert issuer.asked.count("/keys") == 1


def test_known_keys_serve_while_the_issuer_is_out_of_reach(trust: WorkloadTrust, issuer: Issuer) -> None:
    assert exchange(issuer.token()).status_code == 201
    issuer.is_down = True
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert exchange(issuer.token()).status_code == 201
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        answer = exchange(issuer.token())
    assert answer.status_code == 503
    assert answer.json()["error"] == "temporarily_unavailable"


def test_an_issuer_that_calls_itself_otherwise_is_not_believed(trust: WorkloadTrust, issuer: Issuer) -> None:
    issuer.names_itself = "https://evil.example"
    answer = exchange(issuer.token())
    assert answer.status_code == 503
    assert "another issuer's" in answer.json()["error_description"]
    assert IssuerKeys.objects.get().keys is None


def test_pinned_keys_need_no_way_to_the_issuer(tenant: Tenant, account: ServiceAccount, issuer: Issuer) -> None:
    facts = TrustFacts(
        name="pinned",
        issuer="https://gitlab.intranet.example",
        audience=AUDIENCE,
        conditions={"repository": "acme/shop"},
        pinned_keys=issuer.jwks(),
    )
    trust_add(service_account=account, facts=facts, actor=tenant.actor)
    assert exchange(issuer.token(iss="https://gitlab.intranet.example")).status_code == 201
    assert issuer.asked == []


def test_a_refusal_is_in_the_audit_and_strangers_cannot_fill_it(
    tenant: Tenant, trust: WorkloadTrust, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "AUDITED_REFUSALS", 2)
    for _ in range(4):
        refusal(issuer.token(ref="refs/heads/feature"))
    refused = Change.objects.filter(organization_id=tenant.organization.id, action="workload_key.refused")
    assert refused.count() == 2
    first = refused.first()
    assert first is not None
    assert first.after is not None
    assert "'ref'" in first.after["why"]
    assert first.source_address == "127.0.0.1"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"subject_token_type": "saml2"}, "invalid_request"),
        ({"subject_token": ""}, "invalid_request"),
        ({"lifetime_seconds": "5"}, "invalid_request"),
    ],
)
def test_what_is_wrong_with_the_form_is_said(db: None, form: dict[str, str], error: str) -> None:
    answer = exchange("a.b.c", **form)
    assert answer.status_code == 400
    assert answer.json()["error"] == error
