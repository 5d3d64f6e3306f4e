"""The shapes of sessions in the REST API."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from control_plane.rest.fields import HexId
from control_plane.sessions.analysis.findings import Cause, Kind
from control_plane.usage.api.series import MeasuresOut


class SessionOut(MeasuresOut):
    id = HexId()
    session = serializers.CharField(help_text="The tool's own word.")
    client = serializers.CharField()
    client_version = serializers.CharField()
    user = serializers.CharField(allow_null=True, help_text="E-mail, or name of a service account.")
    team = serializers.CharField(allow_null=True)
    key = serializers.CharField()
    parent_session = serializers.CharField()
    is_derived = serializers.BooleanField()
    first_seen = serializers.DateTimeField()
    last_seen = serializers.DateTimeField()
    models = serializers.ListField(child=serializers.CharField())
    agents = serializers.ListField(child=serializers.CharField())
    is_analysed = serializers.BooleanField(help_text="false: it moved a moment ago, what follows is not known yet.")
    turns = serializers.IntegerField(help_text="Without what was asked beside the conversation.")
    repository = serializers.CharField()
    most_context_tokens = serializers.IntegerField()
    is_flagged = serializers.BooleanField(help_text="The cache share is below what the organization wants.")
    share_cause = serializers.CharField(help_text="What took most from the cache share.")
    findings = serializers.ListField(child=serializers.ChoiceField(list(Kind)), help_text="Kinds.")
    avoidable_nano_usd = serializers.IntegerField()
    avoidable_usd = serializers.CharField()
    saved_by_cache_nano_usd = serializers.IntegerField()


@extend_schema_serializer(many=False)
class SessionPageOut(serializers.Serializer[Any]):
    results = SessionOut(many=True)
    next = serializers.URLField(allow_null=True)


class CurvePointOut(serializers.Serializer[Any]):
    exchange = serializers.CharField()
    at = serializers.DateTimeField()
    model = serializers.CharField()
    cost_nano_usd = serializers.IntegerField()
    cache_read = serializers.IntegerField()
    prompt = serializers.IntegerField()
    output = serializers.IntegerField()


class SessionFindingOut(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(list(Kind))
    cause = serializers.ChoiceField(list(Cause))
    turn = serializers.IntegerField(help_text="Within the session's own conversation, or the agent's.")
    agent = serializers.CharField(help_text="Empty: the session's own conversation.")
    exchange = serializers.CharField()
    at = serializers.DateTimeField()
    cost_nano_usd = serializers.IntegerField(help_text="What it cost more than it had to.")
    cost_usd = serializers.CharField()
    lost_tokens = serializers.IntegerField()
    is_avoidable = serializers.BooleanField()
    sentence = serializers.CharField()
    advice = serializers.CharField()


class TurnOut(serializers.Serializer[Any]):
    turn = serializers.IntegerField()
    agent = serializers.CharField()
    exchange = serializers.CharField()
    at = serializers.DateTimeField()
    model = serializers.CharField()
    provider = serializers.CharField()
    outcome = serializers.CharField()
    stop_reason = serializers.CharField()
    cost_nano_usd = serializers.IntegerField()
    prompt = serializers.IntegerField()
    cache_read = serializers.IntegerField()
    cache_expected = serializers.IntegerField(help_text="What the turn before left in the cache.")
    output = serializers.IntegerField()
    tool_ms = serializers.IntegerField(help_text="How long tools took before it.")
    person_ms = serializers.IntegerField(help_text="How long a person took before it.")
    duration_ms = serializers.IntegerField()
    is_repeat = serializers.BooleanField()
    attempts = serializers.IntegerField()


class BranchOut(serializers.Serializer[Any]):
    session = HexId(allow_null=True, help_text="null: a sub-agent within the session above it.")
    name = serializers.CharField()
    client = serializers.CharField()
    models = serializers.ListField(child=serializers.CharField())
    own_turns = serializers.IntegerField()
    own_cost_nano_usd = serializers.IntegerField()
    turns = serializers.IntegerField(help_text="With everything below.")
    cost_nano_usd = serializers.IntegerField(help_text="With everything below.")
    avoidable_nano_usd = serializers.IntegerField()
    children = serializers.ListField(child=serializers.DictField(), help_text="The same, deeper.")


class TimesOut(serializers.Serializer[Any]):
    tool_ms = serializers.IntegerField()
    person_ms = serializers.IntegerField()
    model_ms = serializers.IntegerField()


class SessionDetailOut(SessionOut):
    children = SessionOut(many=True)
    curve = CurvePointOut(many=True)
    timeline = TurnOut(many=True)
    finding_list = SessionFindingOut(many=True)
    tree = BranchOut()
    times = TimesOut()
    compactions = serializers.IntegerField()
    model_changes = serializers.IntegerField()
    failovers = serializers.IntegerField()
    repeated_requests = serializers.IntegerField()
    gateway_retries = serializers.IntegerField()
    is_partial = serializers.BooleanField(help_text="Only the newest 10,000 attempts were looked at.")


class SpendOut(serializers.Serializer[Any]):
    sessions = serializers.IntegerField(help_text="That began in the range.")
    turns = serializers.IntegerField()
    prompt_tokens = serializers.IntegerField()
    cache_read_tokens = serializers.IntegerField()
    cache_read_share = serializers.FloatField(allow_null=True)
    cost_nano_usd = serializers.IntegerField()
    saved_cache_nano_usd = serializers.IntegerField(help_text="What the same tokens would have cost more uncached.")
    cold_nano_usd = serializers.IntegerField(help_text="Idle longer than the cache lives.")
    broken_nano_usd = serializers.IntegerField(help_text="Tools, system prompt or history changed, marks gone.")
    moved_nano_usd = serializers.IntegerField(help_text="Another model or target, failovers among them.")
    uncached_nano_usd = serializers.IntegerField(help_text="Never cached although it could have been.")
    loop_nano_usd = serializers.IntegerField(help_text="Agents that went round in circles.")
    avoidable_nano_usd = serializers.IntegerField()
    avoidable_usd = serializers.CharField()
    unavoidable_nano_usd = serializers.IntegerField()


class SpendGroupOut(SpendOut):
    group = serializers.CharField(allow_null=True)
    group_id = serializers.CharField(allow_null=True)
    cause = serializers.CharField(allow_null=True, help_text="Of most of what was avoidable.")
    advice = serializers.CharField(allow_null=True)


class CauseOut(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(list(Kind))
    cause = serializers.ChoiceField(list(Cause))
    is_avoidable = serializers.BooleanField()
    findings = serializers.IntegerField()
    cost_nano_usd = serializers.IntegerField()
    cost_usd = serializers.CharField()
    lost_tokens = serializers.IntegerField()
    advice = serializers.CharField()


class AvoidableOut(serializers.Serializer[Any]):
    since = serializers.DateTimeField(help_text="Begin of the first UTC day.")
    until = serializers.DateTimeField(help_text="End of the last UTC day, exclusive.")
    by = serializers.CharField()
    total = SpendOut()
    groups = SpendGroupOut(many=True)
    causes = CauseOut(many=True)


class OutcomeOut(serializers.Serializer[Any]):
    day = serializers.DateField(allow_null=True)
    model = serializers.CharField()
    provider = serializers.CharField()
    provider_id = HexId(allow_null=True)
    sessions = serializers.IntegerField(help_text="That began to use it in the range, or that used it on the day.")
    turns = serializers.IntegerField()
    turns_per_session = serializers.FloatField(allow_null=True)
    tool_results = serializers.IntegerField()
    failed_tool_results = serializers.IntegerField()
    repeated_requests = serializers.IntegerField()
    gateway_retries = serializers.IntegerField()
    aborts = serializers.IntegerField(help_text="The client went away.")
    errors = serializers.IntegerField()  # type: ignore[assignment]  # a field, in place of the property
    cost_nano_usd = serializers.IntegerField()
    stop_reasons = serializers.DictField(child=serializers.IntegerField())


class OutcomesOut(serializers.Serializer[Any]):
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    results = OutcomeOut(many=True)
