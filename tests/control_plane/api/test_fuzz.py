"""Every operation of the schema with generated requests, as each role: no 5xx, and no answer the schema does not tell.

Seeded and bounded: the same requests in every run. What is found once becomes a test of its own.
"""

from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any

import pytest
import requests
import schemathesis
from django.db import transaction
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from urllib3 import HTTPResponse

from control_plane.accounts.services import user_create
from control_plane.audit.heads import heads_publish
from control_plane.budgets.models import BudgetRequest
from control_plane.keys.services import admin_token_mint
from control_plane.organizations.models import Role
from control_plane.organizations.services import INSTALLATION, membership_add
from control_plane.rest.throttles import CallerThrottle
from tests.control_plane.api.test_rights import rule
from tests.control_plane.api.world import ACTOR, PASSWORD, Tenant, book_usage, session_of

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OWN_HEADERS = frozenset({"content-type", "content-length", "host"})
EXAMPLES = {Role.OWNER: (2, 2)}
"""How many requests per operation: as the schema describes them, and as it does not. One of each for other roles."""

SCHEMA = None


def described() -> Any:
    """The schema as schemathesis sees it; made once, it is the same for all roles."""
    global SCHEMA
    if SCHEMA is None:
        document = SchemaGenerator().get_schema(request=None, public=True)
        SCHEMA = schemathesis.openapi.from_dict(document, config=SchemathesisConfig())
    return SCHEMA


def operations() -> Iterator[Any]:
    for result in described().get_all_operations():
        yield result.ok()


@pytest.fixture
def real(acme: Tenant) -> Mapping[str, str]:
    """What is really there, by the path that it stands in."""
    exchange = book_usage(acme)["newest own"]
    heads_publish()
    rule(acme)
    return {
        "access-rules": "acme-rule",
        "admin-tokens": acme.as_admin.get("/api/v1/admin-tokens").json()["results"][0]["id"],
        "audit": "1",
        "budget-requests": BudgetRequest.objects.get(organization=acme.organization).id.hex,
        "budgets": "acme-rule",
        "exchanges": exchange,
        "keys": acme.member_key.key_id,
        "memberships": acme.member.email,
        "metadata-keys": "acme-rule",
        "models": "anthropic-main/claude-sonnet-4-6",
        "organizations": "acme",
        "providers": "anthropic-main",
        "rate-limits": "acme-rule",
        "recipes": "claude-code",
        "service-accounts": "ci",
        "session-caps": "acme-rule",
        "sessions": session_of(acme).id.hex,
        "snapshots": acme.snapshot.id.hex,
        "teams": "Platform",
        "users": acme.member.email,
        "virtual-models": "sonnet",
    }


@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", list(Role), ids=str)
@pytest.mark.django_db
def test_no_request_breaks_the_server_or_the_schema(
    role: Role, acme: Tenant, real: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CallerThrottle, "allow_request", lambda *_: True)
    user = user_create(email=f"fuzz-{role}@acme.example", password=PASSWORD, actor=ACTOR)
    membership_add(organization=acme.organization, user=user, role=role, actor=ACTOR, by=INSTALLATION)
    token = admin_token_mint(organization=acme.organization, user=user, name="fuzz", actor=ACTOR).token
    found: list[str] = []
    as_described, as_not_described = EXAMPLES.get(role, (1, 1))
    for operation in operations():
        probe = _probe(operation, token, found)
        first = operation.path.split("/")[3]
        names = {parameter.name for parameter in operation.path_parameters}
        known = dict.fromkeys(names - {"user"}, real[first]) if names and first in real else {}
        if "user" in names:
            known["user"] = acme.member.email
        described_ones = operation.as_strategy(generation_mode=GenerationMode.POSITIVE, path_parameters=known or None)
        _run(probe, described_ones, as_described, role)
        if operation.body or operation.query:
            others = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE, path_parameters=known or None)
            _run(probe, others, as_not_described, role)

    assert not found, "\n\n".join(found)


def _probe(operation: Any, token: str, found: list[str]) -> Callable[[Any], None]:
    """Send a generated request in a transaction that is taken back, and note what is wrong with the answer."""

    client = Client(raise_request_exception=False)

    def probe(case: Any) -> None:
        request = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
        request.headers["Authorization"] = f"Bearer {token}"
        with transaction.atomic():
            answer = client.generic(
                str(request.method),
                request.path_url,
                request.body or b"",
                content_type=request.headers.get("Content-Type", ""),
                headers={name: value for name, value in request.headers.items() if name.lower() not in OWN_HEADERS},
            )
            response = _as_requests(answer, request)
            transaction.set_rollback(True)
        # A policy file is many YAML documents, which the check of answers takes for one.
        is_yaml = response.headers.get("Content-Type", "").startswith("application/yaml")
        checks = [check for check in CHECKS if not (is_yaml and check is response_schema_conformance)]
        try:
            case.validate_response(response, checks=checks)
        except FailureGroup as failure:
            found.append(f"{operation.method.upper()} {operation.path}: {failure}\n{case.as_curl_command()}")

    return probe


def _as_requests(answer: Any, request: requests.PreparedRequest) -> requests.Response:
    response = requests.Response()
    response.request, response.status_code = request, answer.status_code
    response.url = str(request.url)
    response.headers.update(dict(answer.items()))
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    response.raw = HTTPResponse(body=BytesIO(body), headers=dict(answer.items()), status=answer.status_code)
    response._content = body
    return response


def _run(probe: Callable[[Any], None], cases: Any, examples: int, role: Role) -> None:
    bounded = settings(
        max_examples=examples,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run = given(cases)(probe)
    bounded(seed(list(Role).index(role))(run))()
