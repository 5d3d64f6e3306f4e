"""What is exported can be applied elsewhere, and is the same there."""

from dataclasses import replace

from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_plane.accounts.models import User
from control_plane.audit.models import Change
from control_plane.declarative.kinds.kind import PolicyObject
from control_plane.declarative.models import PolicyRevision
from control_plane.declarative.writing import write_policy
from tests.control_plane.declarative.test_writing import accounts, teams
from tests.control_plane.declarative.world import EVERYTHING, Code, an_empty_organization, furnish


def rename_accounts() -> None:
    """An account belongs to one person of the installation; the other organization makes its own."""
    for user in User.objects.all():
        user.email = f"was-{user.email}"
        user.save(update_fields=["email"])


def test_an_export_applied_to_an_empty_organization_exports_the_same(db: None) -> None:
    first = an_empty_organization("first")
    furnish(first.organization)
    text = first.export()
    rename_accounts()
    second = an_empty_organization("second")

    done = second.apply(text)

    assert second.export() == text
    assert [(str(gap.key), gap.field) for gap in done.gaps] == [("Provider anthropic-main", "spec.credential")]


def test_the_same_file_again_changes_nothing(furnished: Code) -> None:
    text = furnished.export()
    furnished.apply(text)
    changes, revisions = Change.objects.count(), PolicyRevision.objects.count()

    again = furnished.apply(text, EVERYTHING)

    assert again.changes == ()
    assert not again.has_changes
    assert (Change.objects.count(), PolicyRevision.objects.count()) == (changes, revisions)


def test_a_plan_says_what_an_apply_does_and_does_nothing(furnished: Code) -> None:
    text = furnished.export().replace('cost_centre: "4711"', 'cost_centre: "4712"')
    text = "---\n".join(part for part in text.split("---\n") if "name: llama}" not in part)
    before = furnished.export()

    planned = furnished.plan(text, EVERYTHING)

    assert furnished.export() == before
    done = furnished.apply(text, EVERYTHING)
    assert planned.changes == done.changes
    assert planned.effect == done.effect
    assert [(str(each.key), str(each.action)) for each in done.changes] == [
        ("Team platform", "change"),
        ("VirtualModel llama", "delete"),
    ]
    assert furnished.export().count("4712") == 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(teams(), min_size=1, max_size=4, unique_by=lambda each: each.key),
    st.lists(accounts(), max_size=4, unique_by=lambda each: each.key),
)
def test_whatever_things_are_called_they_come_out_as_they_went_in(
    db: None, made_teams: list[PolicyObject], made_accounts: list[PolicyObject]
) -> None:
    objects = [replace(each, spec={**each.spec, "lead": None}) for each in made_teams]
    objects += [replace(each, spec={**each.spec, "team": made_teams[0].key.name}) for each in made_accounts]
    with transaction.atomic():
        code = an_empty_organization()
        code.apply(write_policy(objects))
        schema_line = code.export().partition("\n")[0] + "\n"
        assert code.export() == schema_line + write_policy(objects)
        assert not code.apply(code.export(), EVERYTHING).has_changes
        transaction.set_rollback(True)
