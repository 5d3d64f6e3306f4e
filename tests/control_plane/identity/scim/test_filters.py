"""Filters as text, and the conditions they are."""

from typing import Any

import pytest

from control_plane.identity.scim.errors import Unreadable
from control_plane.identity.scim.filters import Compare, Condition, Every, Not, Path, Some, Within, read_filter
from control_plane.identity.scim.matching import holds


def pr(name: str) -> Compare:
    return Compare(Path(name), "pr", None)


def eq(name: str, value: Any) -> Compare:
    return Compare(Path(name), "eq", value)


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ('userName eq "ada"', eq("userName", "ada")),
        ('userName EQ "ada"', eq("userName", "ada")),
        ("title pr", pr("title")),
        ("active eq true", eq("active", True)),
        ("active eq False", eq("active", False)),
        ('active eq "False"', eq("active", "False")),
        ("externalId eq null", eq("externalId", None)),
        ("x eq 4711", eq("x", 4711)),
        ("nullable pr", pr("nullable")),
        (r'userName eq "a\"b\\c"', eq("userName", 'a"b\\c')),
        ('name.familyName co "O\'Malley"', Compare(Path("name", "familyName"), "co", "O'Malley")),
        (
            'urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"',
            Compare(Path("userName", urn="urn:ietf:params:scim:schemas:core:2.0:User"), "sw", "J"),
        ),
        # "and" binds tighter than "or", on either side; parentheses win.
        ("a pr or b pr and c pr", Some((pr("a"), Every((pr("b"), pr("c")))))),
        ("a pr and b pr or c pr", Some((Every((pr("a"), pr("b"))), pr("c")))),
        ("(a pr or b pr) and c pr", Every((Some((pr("a"), pr("b"))), pr("c")))),
        ("not (a pr) and b pr", Every((Not(pr("a")), pr("b")))),
        ("not (a pr or b pr)", Not(Some((pr("a"), pr("b"))))),
        ('emails[type eq "work"]', Within(Path("emails"), eq("type", "work"))),
        ('emails[type eq "work"].value eq "x"', Within(Path("emails"), Every((eq("type", "work"), eq("value", "x"))))),
        (
            'userType eq "E" and not (emails co "a" or emails.value co "b")',
            Every(
                (
                    eq("userType", "E"),
                    Not(Some((Compare(Path("emails"), "co", "a"), Compare(Path("emails", "value"), "co", "b")))),
                )
            ),
        ),
    ],
)
def test_a_filter_is_read(text: str, condition: Condition) -> None:
    assert read_filter(text) == condition


@pytest.mark.parametrize(
    "text",
    [
        "",
        "userName",
        "userName eq",
        'userName regex "a"',
        'userName eq "ada',
        'userName eq "ada" extra',
        "(a pr",
        'a[b[c eq "1"]] eq "x"',
        'emails[type eq "work"] eq "x"',
        r'a eq "\q"',
        'a eq "x" ; drop table',
        'a eq "\x00"',
        "(" * 100 + "a pr" + ")" * 100,
        " or ".join(["a pr"] * 300),
        "a" * 5000 + " pr",
    ],
)
def test_what_is_no_filter_is_refused_by_name(text: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read_filter(text)
    assert refused.value.to_dict()["scimType"] == "invalidFilter"


@pytest.mark.parametrize(
    ("text", "is_met"),
    [
        ('type eq "WORK"', True),
        ('type ne "work"', False),
        ('missing ne "work"', True),
        ('value sw "ada@" and value ew ".com"', True),
        ('value co "grace" or primary eq true', True),
        ("missing pr", False),
        ('rank gt "3"', True),
        ("rank gt 3", True),
        ("rank lt 3", False),
        ('not (type eq "work")', False),
        ('inner[kind eq "b"]', True),
        ('inner[kind eq "a" and size eq 2]', False),
        ("rank eq null", False),
    ],
)
def test_a_condition_holds_for_a_value_or_not(text: str, is_met: bool) -> None:
    value = {
        "type": "work",
        "value": "Ada@example.com",
        "primary": True,
        "rank": 4,
        "inner": [{"kind": "a", "size": 1}, {"kind": "b", "size": 2}],
    }
    assert holds(read_filter(text), value) is is_met
