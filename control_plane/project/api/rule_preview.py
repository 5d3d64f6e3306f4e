"""REST: what a rule would mean and whom it would touch, before it is saved."""

from typing import Any

from django.core.exceptions import PermissionDenied
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from control_plane.access.services import ACCESS_RULES
from control_plane.budgets.api.fields import BoundOut
from control_plane.budgets.bound_finding import BoundFinder
from control_plane.budgets.models import Budget
from control_plane.budgets.services import BUDGETS
from control_plane.limits.services import RATE_LIMITS, SESSION_CAPS
from control_plane.organizations.roles import Permission
from control_plane.rest.caller import caller_of
from control_plane.rules.affected import Some, affected_by
from control_plane.rules.conditions import loaded, loaded_all
from control_plane.rules.reading import usd
from control_plane.rules.services import RuleKind, rule_check
from control_plane.rules.subjects import Directory

KINDS: dict[str, RuleKind[Any]] = {
    "AccessRule": ACCESS_RULES,
    "RateLimit": RATE_LIMITS,
    "SessionCap": SESSION_CAPS,
    "Budget": BUDGETS,
}


class PreviewIn(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=list(KINDS))
    name = serializers.CharField(
        max_length=100, required=False, help_text="Of a rule that there is: it is judged in its place."
    )
    spec = serializers.DictField(help_text="The fields of the rule.")


class SomeOut(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    examples = serializers.ListField(child=serializers.CharField())


class PreviewOut(serializers.Serializer[Any]):
    sentence = serializers.CharField(help_text="What the rule means, in words.")
    people = SomeOut()
    service_accounts = SomeOut()
    keys = SomeOut()
    notes = serializers.ListField(child=serializers.CharField(), help_text="What is easily taken otherwise.")
    bound_in_dollars = BoundOut(allow_null=True, help_text="Of a budget.")


class RulePreviewView(APIView):
    """For whoever may save such a rule."""

    rights = {"post": Permission.BUDGETS_MANAGE}

    @extend_schema(request=PreviewIn, responses=PreviewOut)
    def post(self, request: Request) -> Response:
        """Check a rule as saving it would, with every error at once; say what it means and whom it touches."""
        caller = caller_of(request)
        checked = PreviewIn(data=request.data)
        checked.is_valid(raise_exception=True)
        given = checked.validated_data
        kind = KINDS[given["kind"]]
        if kind is not BUDGETS and not caller.rights.can(Permission.POLICY_MANAGE):
            raise PermissionDenied(caller.rights.refusal(Permission.POLICY_MANAGE))
        rows = kind.model._default_manager.filter(organization=caller.organization)
        row = rows.filter(name=given["name"]).first() if "name" in given else None
        made = rule_check(
            kind,
            organization=caller.organization,
            name=given.get("name") or "preview",
            spec=given["spec"],
            row=row,
        )
        if isinstance(made, Budget):
            team_ids = () if made.team_id is None else (made.team_id,)
            if not caller.rights.can(Permission.BUDGETS_MANAGE, team_ids=team_ids):
                raise PermissionDenied(caller.rights.refusal(Permission.BUDGETS_MANAGE))
        found = affected_by(
            caller.organization, loaded(made.when), loaded_all(made.when_not), per=getattr(made, "per", ())
        )
        return Response(
            {
                "sentence": kind.sentence(made, Directory(caller.organization)),
                "people": _some(found.people),
                "service_accounts": _some(found.service_accounts),
                "keys": _some(found.keys),
                "notes": list(found.notes),
                "bound_in_dollars": _bound(made) if isinstance(made, Budget) else None,
            }
        )


def _some(some: Some) -> dict[str, Any]:
    return {"count": some.count, "examples": list(some.examples)}


def _bound(budget: Budget) -> dict[str, Any]:
    bound = BoundFinder.of(budget.organization).bound_of(budget)
    return {
        "hard_usd": None if bound.hard is None else usd(bound.hard),
        "at_most_usd": None if bound.at_most is None else usd(bound.at_most),
        "concurrency": bound.concurrency,
        "concurrency_seen": bound.seen.count if bound.seen else None,
        "assumption": bound.assumption,
    }
