"""AlertChannel: a place that alerts go to.

A webhook signs what it sends. The secret goes in and never comes out: `{value: null}` stands for one, as for
credentials.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.exceptions import ValidationError

from control_plane.alerts.channels.catalog import all_channels
from control_plane.alerts.models import AlertChannel, Topic
from control_plane.alerts.sealing import secret_of
from control_plane.alerts.services import ChannelFacts, channel_create, channel_delete, channel_update
from control_plane.declarative.kinds.kind import Gap, Key, Kind, PolicyObject, Present, Spec, Wanted, World
from control_plane.declarative.kinds.rows import gone_or_kept, locked_rows
from control_plane.declarative.nodes import Document, Fields, Findings, Node, Path, Scalar
from control_plane.declarative.rule_shapes import RULE_NAME
from control_plane.declarative.shapes import INVALID, Choice, Field, Flag, ListOf, Record, Text
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Permission
from switchyard_contract.envelope import EnvelopeFailure

WRITE_ONLY = {"value": None}


class SecretShape:
    """What a webhook signs with; no answer ever repeats what stands in value."""

    form = "{value: …}"

    def read(self, node: Node, path: Path, findings: Findings) -> Any:
        if not isinstance(node, Fields) or [key.text for key, _ in node.entries] != ["value"]:
            findings.add(path, "A secret is a value.", expected=self.form)
            return INVALID
        if not isinstance(node.entries[0][1], Scalar):
            findings.add((*path, "value"), "A value is text, or null to keep what is there.", expected=self.form)
            return INVALID
        return dict(WRITE_ONLY)

    def schema(self) -> dict[str, Any]:
        value = {"type": ["string", "null"], "description": "Write-only; null keeps what is there."}
        return {"type": "object", "additionalProperties": False, "required": ["value"], "properties": {"value": value}}


class AlertChannelKind(Kind):
    name = "AlertChannel"
    title = "A place that alerts go to, by the name that stages of budgets call it."
    order = 60
    name_shape = RULE_NAME
    spec = Record(
        (
            Field("type", Choice(tuple(sorted(all_channels()))), "How it is reached. It stays as it was made."),
            Field("description", Text(500), "Who listens there.", ""),
            Field(
                "addresses",
                ListOf(Text(254, "an e-mail address", r"[^@\s]+@[^@\s]+", may_be_empty=False), most=20),
                "email: where it sends to.",
                [],
            ),
            Field("url", Text(300, "https://…", is_trimmed=True), "webhook: what it calls.", ""),
            Field("cost_centre", Text(100, is_trimmed=True), "Alerts for the owner of this cost centre go here.", ""),
            Field(
                "hears",
                ListOf(Choice(tuple(Topic.values)), most=len(Topic.values)),
                "What else comes here: unusual spend, usage that did not arrive, estimates for pods that are gone.",
                [],
            ),
            Field("secret", SecretShape(), "webhook: what it signs with; left out: one is made.", None),
            Field("is_active", Flag(), "false: nothing is sent.", True),
        )
    )
    read_right = Permission.POLICY_READ
    manage_right = Permission.BUDGETS_MANAGE
    subject_kinds = frozenset({"alert_channel"})
    example = """\
kind: AlertChannel
metadata: {name: finance}
spec:
  type: email
  addresses: [finance@example.com]
  cost_centre: "4711"
"""

    def refine(self, spec: dict[str, Any], wanted: Document) -> tuple[dict[str, Any], dict[str, str]]:
        root = wanted.root
        for step in ("spec", "secret", "value"):
            found = root.get(step) if isinstance(root, Fields) else None
            if found is None:
                return spec, {}
            root = found
        return spec, {"secret": root.text} if isinstance(root, Scalar) and not root.is_null else {}

    def present(self, organization: Organization, *, locks: bool = False) -> Sequence[Present]:
        rows = locked_rows(AlertChannel.objects.filter(organization=organization), locks=locks)
        return [Present(PolicyObject(Key(self.name, row.name), _spec(row)), row) for row in rows]

    def settled(self, wanted: Wanted, present: Present | None) -> Wanted:
        if present is None or wanted.secrets or wanted.spec["secret"] == present.spec["secret"]:
            return wanted
        # A secret that the file does not speak of, or keeps, is the one that is there.
        spec = {**wanted.spec, "secret": present.spec["secret"]}
        return Wanted(PolicyObject(wanted.object.key, spec), wanted.document)

    def is_new_secret(self, wanted: Wanted, present: Present) -> bool:
        if "secret" not in wanted.secrets:
            return False
        try:
            return wanted.secrets["secret"] != secret_of(present.row)
        except EnvelopeFailure:
            return True

    def gaps(self, wanted: Wanted, present: Present | None) -> Iterator[Gap]:
        if present is None and "url" in all_channels()[wanted.spec["type"]].takes and not wanted.secrets:
            yield Gap(
                wanted.object.key,
                "spec.secret",
                "The file holds no secret, so a new one is made, which nobody has seen. "
                "Make another in the console, where it is shown once, or apply once with {value: …}.",
            )

    def create(self, world: World, wanted: Wanted) -> None:
        channel_create(
            organization=world.organization,
            type=wanted.spec["type"],
            facts=_facts(wanted, name=wanted.object.key.name),
            actor=world.actor,
        )

    def update(self, world: World, present: Present, wanted: Wanted) -> None:
        if present.spec["type"] != wanted.spec["type"]:
            raise ValidationError({"type": "The type stays as it was made: another type is another channel."})
        channel_update(channel=present.row, facts=_facts(wanted), actor=world.actor)

    def delete(self, world: World, present: Present) -> None:
        with gone_or_kept(""):
            channel_delete(channel=present.row, actor=world.actor)


def _spec(row: AlertChannel) -> Spec:
    return {
        "type": row.type,
        "description": row.description,
        "addresses": list(row.addresses),
        "url": row.url,
        "cost_centre": row.cost_centre,
        "hears": list(row.hears),
        "secret": dict(WRITE_ONLY) if row.has_secret else None,
        "is_active": row.is_active,
    }


def _facts(wanted: Wanted, *, name: str | None = None) -> ChannelFacts:
    spec = wanted.spec
    return ChannelFacts(
        name=name,
        description=spec["description"],
        addresses=tuple(spec["addresses"]),
        url=spec["url"],
        cost_centre=spec["cost_centre"],
        hears=tuple(spec["hears"]),
        is_active=spec["is_active"],
        secret=wanted.secrets.get("secret"),
    )


KIND = AlertChannelKind()
