"""Read the rules that a policy shard is made of."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from control_plane.access.selectors import access_rules_for_pods
from control_plane.budgets.selectors import budgets_for_pods, raises_for_pods
from control_plane.catalog.models import KnownModel
from control_plane.credentials.selectors import active_providers, is_served_by
from control_plane.keys.models import VirtualKey
from control_plane.limits.selectors import rate_limits_for_pods, session_caps_for_pods
from control_plane.rules.messages import keys_named
from control_plane.rules.overlap import KeyFacts
from control_plane.rules.selectors import metadata_keys_of, successors_of
from control_plane.snapshots.compile_rules import RuleRows
from control_plane.usage.measuring import facts_by_model, undated
from switchyard_contract.v1 import snapshot_pb2


def rule_rows(organization_id: UUID, now: datetime) -> RuleRows:
    """The rules of an organization that are not off."""
    access_rules = list(access_rules_for_pods(organization_id))
    rate_limits = list(rate_limits_for_pods(organization_id))
    session_caps = list(session_caps_for_pods(organization_id))
    budgets = list(budgets_for_pods(organization_id))
    needs_facts = bool(budgets or rate_limits or session_caps)
    measured = facts_by_model() if needs_facts else {}
    named = keys_named([*access_rules, *rate_limits, *session_caps, *budgets])
    return RuleRows(
        now=now,
        access_rules=access_rules,
        rate_limits=rate_limits,
        session_caps=session_caps,
        budgets=budgets,
        raises=list(raises_for_pods(organization_id, now)) if budgets else [],
        metadata_keys=list(metadata_keys_of(organization_id)),
        model_facts=_model_facts(organization_id, measured) if needs_facts else [],
        measured=measured,
        successors=successors_of(organization_id, named) if named else {},
    )


def key_owners(organization_id: UUID, policy: snapshot_pb2.PolicyShard) -> dict[str, KeyFacts]:
    """Whose the keys are that budgets and rate limits of a shard name."""
    conditions = [
        *(each for rule in policy.budgets for each in (rule.when, *rule.when_not)),
        *(each for rule in policy.rate_limits for each in (rule.when, *rule.when_not)),
    ]
    named = {
        subject.removeprefix("key:")
        for condition in conditions
        for subject in condition.subjects
        if subject.startswith("key:")
    }
    if not named:
        return {}
    keys = VirtualKey.objects.filter(organization_id=organization_id, key_id__in=named)
    return {
        key_id: KeyFacts(f"user:{user_id.hex}" if user_id else f"service_account:{account_id.hex}", team_id.hex)
        for key_id, user_id, account_id, team_id in keys.values_list(
            "key_id", "user_id", "service_account_id", "team_id"
        )
    }


def _model_facts(organization_id: UUID, measured: Collection[tuple[str, str]]) -> list[KnownModel]:
    providers = list(active_providers(organization_id))
    rows = KnownModel.objects.filter(vendor__in={provider.vendor for provider in providers})
    return [
        row
        for row in rows
        if (row.context_tokens or row.max_output_tokens or (row.vendor, undated(row.model)) in measured)
        and any(provider.vendor == row.vendor and is_served_by(provider, row.model) for provider in providers)
    ]
