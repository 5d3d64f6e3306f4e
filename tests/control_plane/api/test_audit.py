"""The audit over REST: found, verified, exported in a form that the offline verifier takes, signed on demand."""

import base64
import csv
import io
import json
from pathlib import Path

from django.conf import settings
from django.db import connection
from rest_framework.test import APIClient

from control_plane.audit.models import Change
from deploy.verify.audit import BROKEN, INTACT, SELECTION, main
from switchyard_contract.audit_export import COLUMNS
from tests.control_plane.api.world import Tenant

AUDIT = "/api/v1/audit"


def rows(client: APIClient, question: str = "") -> list[dict[str, object]]:
    response = client.get(f"{AUDIT}?{question}")
    assert response.status_code == 200, response.content
    found: list[dict[str, object]] = response.json()["results"]
    return found


def exported(client: APIClient, path: Path, question: str = "") -> Path:
    response = client.get(f"{AUDIT}/export?{question}")
    assert response.status_code == 200
    path.write_bytes(b"".join(response.streaming_content))  # type: ignore[attr-defined]  # a StreamingHttpResponse
    return path


def public_key() -> str:
    key = settings.SWITCHYARD.signing_key
    return f"{key.key_id}:{base64.b64encode(key.public_bytes).decode()}"


def tampered(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_change DISABLE TRIGGER USER")
        cursor.execute(statement)
        cursor.execute("ALTER TABLE audit_change ENABLE TRIGGER USER")


def test_entries_are_found_by_who_what_about_what_when_and_from_where(acme: Tenant) -> None:
    admin = acme.as_admin
    admin.patch("/api/v1/teams/Platform", {"cost_centre": "7", "reason": "merger"}, format="json")
    newest = Change.objects.filter(organization_id=acme.organization.id).latest("sequence")

    for question in (
        "action=team.updated",
        "actor=admin@acme",
        "actor_kind=token",
        "source=127.0.0.1",
        f"subject_id={acme.team.id.hex}&action=team.*",
        "subject=platf&actor_kind=token",
        "search=merger",
        f"since={newest.at.isoformat().replace('+', '%2B')}",
    ):
        found = rows(admin, question)
        assert [row["sequence"] for row in found][:1] == [newest.sequence], question
    assert rows(admin, "until=2020-01-01T00:00:00Z") == []
    assert rows(admin, "action=team.nothing") == []
    assert admin.get(f"{AUDIT}/{newest.sequence}").json()["reason"] == "merger"
    assert admin.get(f"{AUDIT}/{newest.sequence + 1}").status_code == 404


def test_before_and_after_are_told_without_secrets(acme: Tenant) -> None:
    acme.as_admin.patch(
        "/api/v1/providers/anthropic-main", {"credential": {"value": "sk-ant-very-secret"}}, format="json"
    )
    acme.as_admin.post("/api/v1/keys", {"name": "x", "team": "Platform"}, format="json")

    everything = json.dumps(rows(acme.as_admin, "limit=200"))

    assert "sk-ant" not in everything
    assert "sypat_" not in everything.replace(acme.member_key.prefix, "") or "digest" not in everything


def test_a_whole_export_verifies_offline_and_brings_its_head(acme: Tenant, tmp_path: Path) -> None:
    path = exported(acme.as_admin, tmp_path / "audit.jsonl")
    head = json.loads(path.read_text().splitlines()[0])

    assert head["is_complete"] is True
    assert head["head"]["sequence"] == len(path.read_text().splitlines()) - 1
    assert main([str(path), "--public-key", public_key()]) == INTACT


def test_csv_verifies_too_and_runs_no_formula(acme: Tenant, tmp_path: Path) -> None:
    acme.as_admin.patch("/api/v1/teams/Platform", {"cost_centre": "=1+1", "reason": "=cmd()"}, format="json")

    path = exported(acme.as_admin, tmp_path / "audit.csv", "form=csv")

    table = list(csv.reader(io.StringIO(path.read_text(), newline="")))
    assert table[0] == list(COLUMNS)
    assert not [cell for row in table for cell in row if cell.startswith(("=", "+", "-", "@"))]
    assert main([str(path)]) == INTACT


def test_a_filtered_export_is_a_selection(acme: Tenant, tmp_path: Path) -> None:
    path = exported(acme.as_admin, tmp_path / "some.jsonl", "action=team.created")

    assert json.loads(path.read_text().splitlines()[0])["filters"] == {"action": "team.created"}
    assert main([str(path), "--public-key", public_key()]) == SELECTION


def test_what_was_done_to_the_table_is_found_in_the_export_by_the_heads(acme: Tenant, tmp_path: Path) -> None:
    heads = acme.as_admin.post(f"{AUDIT}/heads", {}, format="json").json()["published"]
    kept = tmp_path / "heads.jsonl"
    kept.write_text("".join(json.dumps(head) + "\n" for head in heads))
    tampered(f"UPDATE audit_change SET reason = 'forged' WHERE sequence = 3 AND scope = '{acme.organization.id.hex}'")

    verdict = acme.as_admin.get(f"{AUDIT}/verify").json()
    assert (verdict["is_intact"], verdict["broken_at"], verdict["how"]) == (False, 3, "altered")
    path = exported(acme.as_admin, tmp_path / "audit.jsonl")
    assert main([str(path), "--heads", str(kept), "--public-key", public_key()]) == BROKEN


def test_an_intact_chain_says_so(acme: Tenant) -> None:
    verdict = acme.as_admin.get(f"{AUDIT}/verify").json()

    assert verdict["is_intact"] is True
    assert verdict["entries"] == Change.objects.filter(organization_id=acme.organization.id).count()


def test_heads_are_signed_on_demand_and_listed(acme: Tenant) -> None:
    first = acme.as_admin.post(f"{AUDIT}/heads", {}, format="json")
    assert first.status_code == 201
    assert acme.as_admin.post(f"{AUDIT}/heads", {}, format="json").json()["published"] == []

    listed = acme.as_admin.get(f"{AUDIT}/heads?limit=5").json()

    assert listed["results"] == first.json()["published"]


def test_it_is_the_own_chain_only(acme: Tenant, globex: Tenant, tmp_path: Path) -> None:
    path = exported(acme.as_admin, tmp_path / "audit.jsonl")

    assert "globex" not in path.read_text()
    for address in ("", "/1", "/export", "/heads", "/verify"):
        assert acme.as_member.get(f"{AUDIT}{address}").status_code in (403, 404)
    assert acme.as_member.post(f"{AUDIT}/heads").status_code == 403


def test_a_form_we_do_not_know_is_a_problem(acme: Tenant) -> None:
    response = acme.as_admin.get(f"{AUDIT}/export?form=xml")

    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "form"
