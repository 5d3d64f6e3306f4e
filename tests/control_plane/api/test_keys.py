"""Keys: shown once, rotated, revoked, awaited."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from control_plane.audit.models import Change, Outbox
from control_plane.fleet.models import Pod, PodShard
from control_plane.keys.models import VirtualKey
from control_plane.keys.services.notices import notices_write
from control_plane.project.api.applied import wait_applied
from control_plane.rest.models import IdempotentAnswer
from switchyard_contract.virtual_key import KeyKind, read
from tests.control_plane.api.world import Tenant

KEYS = "/api/v1/keys"


def mint(tenant: Tenant, body: dict[str, Any], **headers: str) -> Any:
    return tenant.as_admin.post(KEYS, body, format="json", headers=headers)


def test_a_minted_key_is_shown_once(acme: Tenant) -> None:
    response = mint(
        acme,
        {
            "name": "laptop of ada",
            "owner": {"user": acme.member.email},
            "models": ["claude-*"],
            "metadata": {"environment": "dev"},
        },
    )

    assert response.status_code == 201
    body = response.json()
    token = read(body["key"])
    assert token is not None
    assert (token.kind, token.id, token.prefix) == (KeyKind.PERSONAL, body["id"], body["prefix"])
    assert body["owner"] == {"user": acme.member.email}
    assert (body["team"], body["models"], body["metadata"]) == ("Platform", ["claude-*"], {"environment": "dev"})
    assert body["state"] == "active"
    shown = acme.as_admin.get(f"{KEYS}/{body['id']}").json()
    assert "key" not in shown
    assert body["key"] not in acme.as_admin.get(KEYS).content.decode()
    assert Change.objects.filter(
        action="key.minted", subject_id=VirtualKey.objects.get(key_id=body["id"]).id.hex
    ).exists()


def test_a_key_without_an_owner_is_the_callers(acme: Tenant) -> None:
    response = acme.as_member.post(KEYS, {"name": "mine"}, format="json")

    assert response.json()["owner"] == {"user": acme.member.email}


def test_rotation_gives_a_successor_and_a_grace(acme: Tenant) -> None:
    old = acme.member_key.key_id
    response = acme.as_admin.post(f"{KEYS}/{old}/rotate", {"grace_seconds": 600}, format="json")

    assert response.status_code == 201
    assert response.json()["rotated_from"] == old
    assert read(response.json()["key"]) is not None
    assert acme.as_admin.get(f"{KEYS}/{old}").json()["expires_at"] is not None


def test_a_revoked_key_says_so_and_stays_revoked(acme: Tenant) -> None:
    address = f"{KEYS}/{acme.member_key.key_id}"
    response = acme.as_admin.post(f"{address}/revoke", {"reason": "lost laptop"}, format="json")

    assert (response.status_code, response.json()["state"]) == (200, "revoked")
    assert response.json()["revoke_reason"] == "lost laptop"
    assert acme.as_admin.post(f"{address}/rotate", {}, format="json").status_code == 400
    assert [key["id"] for key in acme.as_admin.get(f"{KEYS}?state=revoked").json()["results"]] == [
        acme.member_key.key_id
    ]
    assert acme.member_key.key_id not in [
        key["id"] for key in acme.as_admin.get(f"{KEYS}?state=active").json()["results"]
    ]


def test_waiting_without_pods_is_over_at_once(acme: Tenant) -> None:
    response = acme.as_admin.post(f"{KEYS}/{acme.member_key.key_id}/revoke?wait=applied", {}, format="json")

    applied = response.json()["applied"]
    assert (applied["pods"], applied["acknowledged"], applied["share"]) == (0, 0, 1.0)


def test_waiting_counts_the_pods_that_hold_the_revocation(acme: Tenant) -> None:
    acme.as_admin.post(f"{KEYS}/{acme.member_key.key_id}/revoke", {}, format="json")
    shard = f"org/{acme.organization.id.hex}/deny"
    for name, version in (("pod-1", 7), ("pod-2", 6)):
        pod = Pod.objects.create(pod_id=name, connected_at=timezone.now(), last_seen_at=timezone.now())
        PodShard.objects.create(pod=pod, shard=shard, acked_epoch=1, acked_version=version)
    Pod.objects.create(pod_id="gone", last_seen_at=timezone.now(), disconnected_at=timezone.now())
    key = VirtualKey.objects.get(id=acme.member_key.id)

    assert wait_applied(key, longest_s=0).acknowledged == 0
    Outbox.objects.filter(change__action="key.revoked").update(compiled_epoch=1, compiled_version=7)

    applied = wait_applied(key, longest_s=0.05)
    assert (applied.pods, applied.acknowledged, applied.share) == (2, 1, 0.5)
    assert applied.waited_ms >= 50
    PodShard.objects.update(acked_version=8)
    assert wait_applied(key, longest_s=5).share == 1.0


def test_a_repeated_minting_gives_the_same_key(acme: Tenant) -> None:
    body = {"name": "once", "owner": {"user": acme.member.email}}
    headers = {"Idempotency-Key": "a1"}
    first, second = mint(acme, body, **headers), mint(acme, body, **headers)

    assert first.json() == second.json()
    assert second.status_code == 201
    assert second["Idempotency-Replayed"] == "true"
    assert not first.has_header("Idempotency-Replayed")
    assert VirtualKey.objects.filter(name="once").count() == 1
    # The answer holds the key, so at rest it must not be readable.
    kept = IdempotentAnswer.objects.get()
    assert first.json()["key"].encode() not in bytes(kept.sealed)


def test_another_body_under_the_same_idempotency_key_is_a_conflict(acme: Tenant) -> None:
    mint(acme, {"name": "one"}, **{"Idempotency-Key": "a1"})
    response = mint(acme, {"name": "two"}, **{"Idempotency-Key": "a1"})

    assert response.status_code == 409
    assert not VirtualKey.objects.filter(name="two").exists()


def test_a_failed_request_does_not_use_the_idempotency_key_up(acme: Tenant) -> None:
    headers = {"Idempotency-Key": "a1"}
    assert mint(acme, {"name": "x", "expires_at": "2001-01-01T00:00:00Z"}, **headers).status_code == 400
    assert mint(acme, {"name": "x"}, **headers).status_code == 201


def test_the_idempotency_key_of_another_person_is_another(acme: Tenant, globex: Tenant) -> None:
    headers = {"Idempotency-Key": "a1"}
    first = mint(acme, {"name": "x"}, **headers)
    second = mint(globex, {"name": "x"}, **headers)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]


def test_an_answer_is_forgotten_after_a_day(acme: Tenant) -> None:
    mint(acme, {"name": "x"}, **{"Idempotency-Key": "a1"})
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))

    assert mint(acme, {"name": "other"}, **{"Idempotency-Key": "a1"}).status_code == 201


def test_a_change_heeds_if_match(acme: Tenant) -> None:
    address = f"{KEYS}/{acme.member_key.key_id}"
    seen = acme.as_admin.get(address)
    etag = seen["ETag"]
    assert acme.as_admin.get(address, headers={"If-None-Match": etag}).status_code == 304

    first = acme.as_admin.patch(address, {"name": "new"}, format="json", headers={"If-Match": etag})
    second = acme.as_admin.patch(address, {"name": "newer"}, format="json", headers={"If-Match": etag})

    assert (first.status_code, second.status_code) == (200, 412)
    assert first["ETag"] not in ("", etag)
    assert acme.as_admin.get(address).json()["name"] == "new"
    assert second["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "x", "owner": {}}, "owner"),
        ({"name": "x", "owner": {"user": "a@acme.example"}}, "owner.user"),
        ({"name": "x", "naem": "y"}, "naem"),
        ({"name": "x", "metadata": {"bad name": "y"}}, "metadata"),
        ({"name": "x", "models": [""]}, "models"),
        ({"name": "x", "expires_at": "tomorrow"}, "expires_at"),
    ],
)
def test_a_wrong_body_names_the_field(body: dict[str, Any], field: str, acme: Tenant) -> None:
    response = mint(acme, body)

    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")
    problem = response.json()
    assert problem["status"] == 400
    assert [error["field"].split("[")[0] for error in problem["errors"]] == [field]
    assert all(error["message"] for error in problem["errors"])


def test_scopes_and_schedules_travel_both_ways(acme: Tenant) -> None:
    body = {
        "name": "ci",
        "owner": {"service_account": acme.account.name},
        "routes": ["openai_chat", "anthropic_messages"],
        "source_networks": ["10.0.0.1"],
        "rotation": {"every_days": 90, "grace_seconds": 3600},
    }
    minted = mint(acme, body).json()
    assert minted["routes"] == ["anthropic_messages", "openai_chat"]
    assert minted["source_networks"] == ["10.0.0.1/32"]
    assert minted["rotation"] == {"every_days": 90, "grace_seconds": 3600}
    assert minted["rotate_by"] < minted["expires_at"]
    changed = acme.as_admin.patch(f"{KEYS}/{minted['id']}", {"routes": [], "rotation": None}, format="json").json()
    assert (changed["routes"], changed["rotation"], changed["expires_at"]) == ([], None, None)


def test_wrong_scopes_are_named_by_field(acme: Tenant) -> None:
    response = mint(acme, {"name": "x", "source_networks": ["10.0.0.1/8"], "routes": ["chat"]})
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == ["routes[0]"]
    response = mint(acme, {"name": "x", "source_networks": ["10.0.0.1/8"]})
    assert [error["field"].split(".")[0] for error in response.json()["errors"]] == ["source_networks"]


def test_many_keys_are_revoked_or_none(acme: Tenant, globex: Tenant) -> None:
    ids = [mint(acme, {"name": f"k{number}"}).json()["id"] for number in range(3)]
    foreign = globex.member_key.key_id
    refused = acme.as_admin.post(f"{KEYS}/revoke", {"keys": [*ids, foreign], "reason": "x"}, format="json")
    assert refused.status_code == 400
    assert foreign in refused.content.decode()
    assert VirtualKey.objects.filter(key_id__in=ids, revoked_at__isnull=True).count() == 3
    done = acme.as_admin.post(f"{KEYS}/revoke", {"keys": [*ids, ids[0]], "reason": "stolen"}, format="json")
    assert (done.status_code, done.json()) == (200, {"revoked": ids, "were_dead": []})
    again = acme.as_admin.post(f"{KEYS}/revoke", {"keys": ids[:1]}, format="json")
    assert again.json() == {"revoked": [], "were_dead": ids[:1]}


def test_members_keep_the_rules_and_admins_make_them(acme: Tenant) -> None:
    assert acme.as_member.patch("/api/v1/key-rules", {"max_personal_days": 30}, format="json").status_code == 403
    rules = acme.as_admin.get("/api/v1/key-rules")
    changed = acme.as_admin.patch(
        "/api/v1/key-rules",
        {"max_personal_days": 30, "personal_models": ["claude-haiku-*"]},
        format="json",
        headers={"If-Match": rules["ETag"]},
    )
    assert changed.status_code == 200
    stale = acme.as_admin.patch(
        "/api/v1/key-rules", {"max_personal_days": 60}, format="json", headers={"If-Match": rules["ETag"]}
    )
    assert stale.status_code == 412
    refused = acme.as_member.post(KEYS, {"name": "mine", "models": ["claude-opus-*"]}, format="json")
    assert refused.status_code == 400
    assert [error["field"] for error in refused.json()["errors"]] == ["models"]
    minted = acme.as_member.post(KEYS, {"name": "mine"}, format="json").json()
    assert minted["models"] == ["claude-haiku-*"]
    assert minted["expires_at"] is not None
    assert mint(acme, {"name": "admins are free", "models": ["claude-opus-*"]}).status_code == 201


def test_notices_are_seen_by_whoever_sees_the_key(acme: Tenant) -> None:
    soon = timezone.now() + timedelta(days=3)
    VirtualKey.objects.filter(id=acme.member_key.id).update(
        expires_at=soon, created_at=timezone.now() - timedelta(days=90)
    )
    notices_write()
    [seen] = acme.as_member.get("/api/v1/key-notices").json()["results"]
    assert (seen["key"], seen["kind"], seen["days_before"]) == (acme.member_key.key_id, "expires", 7)
    assert len(acme.as_admin.get("/api/v1/key-notices?kind=expires").json()["results"]) == 1
