"""Access rules say what they mean, and nothing is widened by what is left out."""

import pytest
from django.core.exceptions import ValidationError

from control_plane.access.models import AccessRule
from control_plane.access.services import ACCESS_RULES, access_rule_create, access_rule_delete, access_rule_update
from control_plane.audit.models import Change
from control_plane.rules.subjects import Directory
from tests.builders.tenants import Tenant, a_provider, a_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    tenant = a_tenant()
    a_provider(tenant)
    return tenant


def a_rule(tenant: Tenant, **spec: object) -> AccessRule:
    return access_rule_create(organization=tenant.organization, name="juniors", spec=spec, actor=tenant.actor)


def test_a_rule_says_what_it_means(tenant: Tenant) -> None:
    rule = a_rule(
        tenant,
        when={"subjects": ["team:platform"], "not": {"clients": ["aider"]}},
        allow={"models": ["claude-haiku-*", "gpt-5.1-mini"], "external": False},
        deny={"providers": ["anthropic-main"], "external": True},
    )

    assert ACCESS_RULES.sentence(rule, Directory(tenant.organization)) == (
        "Team platform may use models claude-haiku-* or gpt-5.1-mini and providers of the organization's own. "
        "Team platform must not use providers anthropic-main or external providers, whatever allows it. "
        "Exception: from aider."
    )


def test_a_denial_alone_allows_nothing_and_says_so_in_its_column(tenant: Tenant) -> None:
    rule = a_rule(tenant, deny={"external": True})

    assert (rule.allow, rule.deny) == (None, {"external": True})


def test_a_change_keeps_what_it_does_not_name_and_is_recorded_by_names(tenant: Tenant) -> None:
    rule = a_rule(tenant, when={"subjects": ["team:platform"]}, allow={"models": ["claude-*"]})

    changed = access_rule_update(access_rule=rule, changes={"mode": "shadow"}, actor=tenant.actor, reason="try it")

    assert (changed.mode, changed.allow, changed.when) == ("shadow", rule.allow, rule.when)
    entry = Change.objects.get(action="access_rule.updated")
    assert entry.after["when"] == {"subjects": ["team:platform"]}
    assert (entry.before["mode"], entry.after["mode"], entry.reason) == ("enforce", "shadow", "try it")


def test_a_whole_spec_replaces_the_one_before(tenant: Tenant) -> None:
    rule = a_rule(tenant, when={"subjects": ["team:platform"]}, allow={}, contact="it@example.com")

    changed = access_rule_update(access_rule=rule, changes={"allow": {}}, replaces=True, actor=tenant.actor)

    assert (changed.when, changed.contact) == ({}, "")
    access_rule_delete(access_rule=changed, actor=tenant.actor)
    assert not AccessRule.objects.exists()


@pytest.mark.parametrize("spec", [None, [], "x", 5])
def test_what_is_no_object_is_refused(tenant: Tenant, spec: object) -> None:
    with pytest.raises(ValidationError, match="no object"):
        access_rule_create(organization=tenant.organization, name="x", spec=spec, actor=tenant.actor)  # type: ignore[arg-type]  # from outside
