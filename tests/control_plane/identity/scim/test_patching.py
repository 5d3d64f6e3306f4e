"""Operations on a person's document, without a database."""

from typing import Any

import pytest

from control_plane.identity.scim.documents import facts_of, read_document
from control_plane.identity.scim.errors import Unreadable
from control_plane.identity.scim.patching import person_patched, read_operations
from tests.control_plane.identity.scim.provider import ENTERPRISE

ADA: dict[str, Any] = {
    "userName": "ada@example.com",
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "emails": [{"value": "ada@example.com", "type": "work", "primary": True}],
    ENTERPRISE: {"department": "Research"},
}


def patched(*operations: dict[str, Any]) -> dict[str, Any]:
    return person_patched(ADA, read_operations({"Operations": list(operations)}))


HOME = {"value": "ada@home.example", "type": "home"}


@pytest.mark.parametrize(
    ("operation", "changed"),
    [
        ({"op": "Replace", "path": "active", "value": "False"}, {"active": False}),
        ({"op": "replace", "value": {"active": False}}, {"active": False}),
        ({"op": "ADD", "path": "TITLE", "value": "Countess"}, {"title": "Countess"}),
        (
            {"op": "replace", "path": "name", "value": {"givenName": "Augusta"}},
            {"name": {"givenName": "Augusta", "familyName": "Lovelace"}},
        ),
        (
            {"op": "replace", "value": {"name.givenName": "Augusta"}},
            {"name": {"givenName": "Augusta", "familyName": "Lovelace"}},
        ),
        ({"op": "remove", "path": "name.givenName"}, {"name": {"familyName": "Lovelace"}}),
        ({"op": "remove", "path": "emails"}, {"emails": None}),
        ({"op": "replace", "path": "name", "value": None}, {"name": None}),
        ({"op": "add", "path": "emails", "value": [HOME]}, {"emails": [*ADA["emails"], HOME]}),
        ({"op": "add", "path": "emails", "value": HOME}, {"emails": [*ADA["emails"], HOME]}),
        (
            {"op": "add", "path": "emails", "value": [{"value": "ADA@example.com", "type": "work"}]},
            {"emails": [{"value": "ADA@example.com", "type": "work"}]},
        ),
        (
            {"op": "add", "path": "emails", "value": [{**HOME, "primary": "true"}]},
            {"emails": [{**ADA["emails"][0], "primary": False}, {**HOME, "primary": True}]},
        ),
        ({"op": "replace", "path": "emails", "value": [HOME]}, {"emails": [HOME]}),
        (
            {"op": "replace", "path": 'emails[type eq "work"].value', "value": "l@example.com"},
            {"emails": [{"value": "l@example.com", "type": "work", "primary": True}]},
        ),
        (
            {"op": "replace", "path": 'emails[type eq "home"].value', "value": HOME["value"]},
            {"emails": [*ADA["emails"], HOME]},
        ),
        (
            {"op": "replace", "path": 'emails[type eq "work" and primary eq true]', "value": {"display": "office"}},
            {"emails": [{**ADA["emails"][0], "display": "office"}]},
        ),
        (
            {"op": "replace", "path": "emails.value", "value": "l@example.com"},
            {"emails": [{"value": "l@example.com", "type": "work", "primary": True}]},
        ),
        ({"op": "remove", "path": 'emails[type eq "work"]'}, {"emails": None}),
        ({"op": "remove", "path": 'emails[type eq "home"]'}, {}),
        ({"op": "remove", "path": "emails", "value": [{"value": "ada@example.com", "type": "work"}]}, {"emails": None}),
        ({"op": "add", "path": f"{ENTERPRISE}:department", "value": "Maths"}, {ENTERPRISE: {"department": "Maths"}}),
        (
            {"op": "add", "path": ENTERPRISE, "value": {"division": "North"}},
            {ENTERPRISE: {"department": "Research", "division": "North"}},
        ),
        (
            {"op": "add", "value": {ENTERPRISE: {"division": "North"}}},
            {ENTERPRISE: {"department": "Research", "division": "North"}},
        ),
        (
            {"op": "add", "path": f"{ENTERPRISE}:manager", "value": "42"},
            {ENTERPRISE: {"department": "Research", "manager": {"value": "42"}}},
        ),
        (
            {"op": "add", "path": f"{ENTERPRISE}:manager.value", "value": "42"},
            {ENTERPRISE: {"department": "Research", "manager": {"value": "42"}}},
        ),
        ({"op": "remove", "path": ENTERPRISE}, {ENTERPRISE: None}),
        (
            {"op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:User:title", "value": "Countess"},
            {"title": "Countess"},
        ),
        # Passed over: what no schema names, what is ours, what we never keep.
        ({"op": "add", "path": "shoeSize", "value": 38}, {}),
        ({"op": "replace", "value": {"id": "x", "meta": {}, "password": "secret"}}, {}),
    ],
)
def test_an_operation_changes_what_it_names_alone(operation: dict[str, Any], changed: dict[str, Any]) -> None:
    wanted = {name: value for name, value in {**ADA, **changed}.items() if value is not None}
    assert patched(operation) == wanted


def test_operations_see_what_those_before_them_did() -> None:
    made = patched({"op": "add", "path": "emails", "value": [HOME]}, {"op": "remove", "path": 'emails[type eq "work"]'})
    assert made["emails"] == [HOME]


@pytest.mark.parametrize(
    ("operation", "scim_type"),
    [
        ({"op": "destroy", "path": "title", "value": 1}, "invalidSyntax"),
        ({"path": "title", "value": 1}, "invalidSyntax"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "add", "value": "text"}, "noTarget"),
        ({"op": "add", "path": "title"}, "invalidValue"),
        ({"op": "add", "path": "title", "value": {"a": 1}}, "invalidValue"),
        ({"op": "add", "path": "active", "value": "perhaps"}, "invalidValue"),
        ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
        ({"op": "replace", "path": "groups", "value": []}, "mutability"),
        ({"op": "replace", "path": "emails[type", "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": 'emails[type is "x"].value', "value": "x"}, "invalidFilter"),
        ({"op": "replace", "path": 'emails[type sw "w" and value co "q"].value', "value": "x"}, "noTarget"),
        ({"op": "replace", "path": 'title[type eq "x"]', "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": "emails.colour", "value": "x"}, "invalidPath"),
        ({"op": "add", "path": 7, "value": "x"}, "invalidPath"),
        ({"op": "add", "path": "title", "value": "x" * 2000}, "invalidValue"),
    ],
)
def test_a_wrong_operation_is_refused_by_name(operation: dict[str, Any], scim_type: str) -> None:
    with pytest.raises(Unreadable) as refused:
        patched(operation)
    assert refused.value.to_dict()["scimType"] == scim_type


@pytest.mark.parametrize("body", [None, [], {}, {"Operations": []}, {"Operations": "x"}, {"Operations": ["x"]}])
def test_a_body_without_operations_is_refused(body: object) -> None:
    with pytest.raises(Unreadable):
        read_operations(body)


@pytest.mark.parametrize(
    ("emails", "signs_in"),
    [
        ([], "ada@example.com"),
        ([{"value": "b@example.com", "type": "home"}], "b@example.com"),
        ([{"value": "b@example.com", "type": "home"}, {"value": "C@example.com", "type": "work"}], "c@example.com"),
        ([{"value": "b@example.com", "primary": True}, {"value": "c@example.com", "type": "work"}], "b@example.com"),
        ([{"value": "no address", "primary": True}], "ada@example.com"),
        (["plain@example.com"], "plain@example.com"),
    ],
)
def test_the_address_that_signs_in_is_the_primary_one_then_that_of_work(emails: list[Any], signs_in: str) -> None:
    assert facts_of(read_document({"userName": "ada@example.com", "emails": emails})).email == signs_in


def test_a_person_without_any_address_is_refused() -> None:
    with pytest.raises(Unreadable):
        facts_of(read_document({"userName": "ada"}))
