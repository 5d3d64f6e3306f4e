"""Provider: an upstream account with its address and credential.

A credential is a reference, or a value that goes in and never comes out: `{value: null}` stands for one in every file
that is written, and means "keep what is there" in every file that is read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from control_plane.audit.services import Subject, record_change
from control_plane.credentials.models import CredentialSource, Provider
from control_plane.credentials.services import (
    HIGHEST_PROVIDER_LIMIT,
    NO_CREDENTIAL,
    CredentialChoice,
    ProviderLimits,
    Timeouts,
    credential_replace,
    limits_of,
    provider_create,
    provider_delete,
    provider_update,
    sealed_credential,
)
from control_plane.credentials.vendors import PROTOCOLS, vendors
from control_plane.declarative.kinds.kind import Gap, Key, Kind, PolicyObject, Present, Spec, Wanted, World
from control_plane.declarative.kinds.rows import gone_or_kept, locked_rows
from control_plane.declarative.models import AwaitedCredential
from control_plane.declarative.nodes import Document, Fields, Findings, Node, Path, Scalar
from control_plane.declarative.rule_shapes import Given
from control_plane.declarative.shapes import (
    INVALID,
    Choice,
    Field,
    Flag,
    Integer,
    ListOf,
    Record,
    Shape,
    Text,
    nearest,
)
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Permission
from switchyard_contract.envelope import EnvelopeFailure, open_credential

WRITE_ONLY = {"value": None}
_REFERENCES: dict[str, Shape] = {
    "env": Text(300, "the name of an environment variable", r"[A-Za-z_][A-Za-z0-9_]*", may_be_empty=False),
    "file": Text(300, "a path below the organization's credential folder", may_be_empty=False, is_trimmed=True),
    "passthrough": Choice(("caller",)),
}
_LIMIT = Integer(1, HIGHEST_PROVIDER_LIMIT)
_LATER = {"aws": "keys of AWS", "google": "keys of Google Cloud", "azure": "keys of Azure"}


class CredentialShape:
    """Exactly one of env, file, passthrough and value; no answer ever repeats what stands in value."""

    form = "{env: NAME}, {file: path}, {passthrough: caller} or {value: …}"

    def read(self, node: Node, path: Path, findings: Findings) -> Any:
        if not isinstance(node, Fields) or len(node.entries) != 1:
            findings.add(path, "A credential is exactly one of these.", expected=self.form)
            return INVALID
        ((key, inner),) = node.entries
        if key.text in _LATER:
            findings.later.append(f"credential.{key.text} ({_LATER[key.text]})")
            return None
        if key.text == "value":
            return self._value(inner, (*path, "value"), findings)
        reference = _REFERENCES.get(key.text)
        if reference is None:
            findings.add(
                (*path, key.text),
                "There is no such source of a credential.",
                expected=self.form,
                suggestion=nearest(key.text, (*_REFERENCES, "value")),
            )
            return INVALID
        text = reference.read(inner, (*path, key.text), findings)
        return INVALID if text is INVALID else {key.text: text}

    def _value(self, node: Node, path: Path, findings: Findings) -> Any:
        if not isinstance(node, Scalar):
            findings.add(path, "A value is text, or null to keep what is there.", expected="{value: …}")
            return INVALID
        # The text is taken out by `refine`, from the document; a spec never holds it.
        return dict(WRITE_ONLY)

    def schema(self) -> dict[str, Any]:
        one = {"type": "object", "additionalProperties": False}
        described = {
            "value": {"type": ["string", "null"], "description": "Write-only; null keeps what is there."},
            **{name: shape.schema() for name, shape in _REFERENCES.items()},
        }
        return {"oneOf": [{**one, "required": [name], "properties": {name: it}} for name, it in described.items()]}


class ProviderKind(Kind):
    name = "Provider"
    title = "An upstream account: vendor, address and credential."
    order = 40
    name_shape = Text(
        60, "lower-case letters, digits, dots, dashes and underscores", r"[a-z0-9][a-z0-9._-]{0,59}", may_be_empty=False
    )
    spec = Record(
        (
            Field("vendor", Choice(tuple(sorted(vendors()))), "Whose protocols it speaks. It stays as it was made."),
            Field("base_url", Text(300, "https://…", is_trimmed=True), "Left out: the vendor's public address.", ""),
            Field("credential", CredentialShape(), "Left out: none is sent.", None),
            Field(
                "models",
                ListOf(Text(200, "a model id or glob", may_be_empty=False, is_trimmed=True), least=1),
                "Model ids or globs the account serves.",
                ["*"],
            ),
            Field("region", Text(60), "Where it is, for people and rules.", ""),
            Field("account", Text(100), "The account as people call it.", ""),
            Field("protocols", ListOf(Choice(tuple(sorted(PROTOCOLS)))), "Left out: the vendor's own.", []),
            Field("connect_timeout_ms", Integer(100, 600_000, "milliseconds"), "Until a connection stands.", 5_000),
            Field("first_byte_timeout_ms", Integer(1_000, 3_600_000, "milliseconds"), "Until it answers.", 600_000),
            Field("idle_timeout_ms", Integer(1_000, 3_600_000, "milliseconds"), "Between two pieces.", 300_000),
            Field(
                "limits",
                Given(
                    (
                        Field("concurrent_requests", _LIMIT, "At once.", 0),
                        Field("requests_per_minute", _LIMIT, "In a minute.", 0),
                        Field("tokens_per_minute", _LIMIT, "In a minute.", 0),
                    )
                ),
                "What the account or the machine takes, all callers together.",
                {},
            ),
            Field("external", Flag(), "false: in the organization's own networks; left out: by its address.", None),
            Field("is_active", Flag(), "false: pods do not use it.", True),
        )
    )
    read_right = Permission.PROVIDERS_READ
    manage_right = Permission.PROVIDERS_MANAGE
    subject_kinds = frozenset({"provider"})
    field_names = {"served_models": ("spec", "models"), "organization": ("metadata", "name")}
    example = """\
kind: Provider
metadata: {name: anthropic-main}
spec:
  vendor: anthropic
  credential: {env: ANTHROPIC_API_KEY}
  models: [claude-sonnet-4-6, "claude-haiku-*"]
"""

    def refine(self, spec: dict[str, Any], wanted: Document) -> tuple[dict[str, Any], dict[str, str]]:
        known = vendors()[spec["vendor"]]
        base_url = spec["base_url"].rstrip("/")
        refined = {**spec, "base_url": "" if base_url == known.base_url else base_url}
        root = wanted.root
        for step in ("spec", "credential", "value"):
            found = root.get(step) if isinstance(root, Fields) else None
            if found is None:
                return refined, {}
            root = found
        if isinstance(root, Scalar) and not root.is_null:
            return refined, {"credential": root.text}
        return refined, {}

    def present(self, organization: Organization, *, locks: bool = False) -> Sequence[Present]:
        rows = locked_rows(
            Provider.objects.filter(organization=organization).select_related("organization"), locks=locks
        )
        awaited = set(AwaitedCredential.objects.filter(organization=organization).values_list("provider_id", flat=True))
        return [Present(PolicyObject(Key(self.name, row.name), _spec(row, row.id in awaited)), row) for row in rows]

    def settled(self, wanted: Wanted, present: Present | None) -> Wanted:
        if present is None:
            return wanted
        spec = dict(wanted.spec)
        has_credential = present.row.has_credential or present.row.credential_source != CredentialSource.NONE
        if spec["credential"] == WRITE_ONLY and not wanted.secrets and has_credential:
            # Keep what is there, wherever it came from.
            spec["credential"] = present.spec["credential"]
        if spec["external"] is not present.row.allows_private_address and spec["base_url"] == present.spec["base_url"]:
            # What its address says as well need not be said.
            spec["external"] = None
        return Wanted(PolicyObject(wanted.object.key, spec), wanted.document, wanted.secrets)

    def is_new_secret(self, wanted: Wanted, present: Present) -> bool:
        if "credential" not in wanted.secrets:
            return False
        if present.row.credential_source != CredentialSource.VALUE:
            return True
        sealed = sealed_credential(present.row)
        try:
            return sealed is None or wanted.secrets["credential"].strip() != open_credential(
                sealed,
                organization_id=present.row.organization_id.hex,
                provider_id=present.row.id.hex,
                keys=settings.SWITCHYARD.sealing_keys.by_version,
            )
        except EnvelopeFailure:
            return True

    def gaps(self, wanted: Wanted, present: Present | None) -> Iterator[Gap]:
        if _is_awaited(wanted) and (present is None or not present.row.has_credential):
            yield Gap(
                wanted.object.key,
                "spec.credential",
                "The file holds no value for this credential, and there is none here yet. "
                "Enter it in the console, or apply once with {value: …}.",
            )

    def create(self, world: World, wanted: Wanted) -> None:
        spec = wanted.spec
        provider = provider_create(
            organization=world.organization,
            name=wanted.object.key.name,
            vendor=spec["vendor"],
            base_url=spec["base_url"],
            credential=_choice(wanted),
            models=spec["models"],
            region=spec["region"],
            account=spec["account"],
            protocols=spec["protocols"],
            timeouts=_timeouts(spec),
            limits=ProviderLimits(**spec["limits"]),
            external=spec["external"],
            is_active=spec["is_active"],
            actor=world.actor,
        )
        if _is_awaited(wanted):
            _await(world, provider)

    def update(self, world: World, present: Present, wanted: Wanted) -> None:
        provider: Provider = present.row
        before, spec = present.spec, wanted.spec
        if before["vendor"] != spec["vendor"]:
            raise ValidationError({"vendor": "The vendor stays as it was made: another vendor is another provider."})
        base_url = spec["base_url"] or vendors()[spec["vendor"]].base_url
        moves = before["base_url"] != spec["base_url"]
        if _is_awaited(wanted):
            _await(world, provider)
        elif (
            before["credential"] != spec["credential"]
            or self.is_new_secret(wanted, present)
            # A reference can be read again for another address; the service looks whether it may go there.
            or (moves and provider.credential_source in (CredentialSource.ENV, CredentialSource.FILE))
            or (moves and bool(wanted.secrets))
        ):
            AwaitedCredential.objects.filter(organization=world.organization, provider_id=provider.id).delete()
            provider = credential_replace(
                provider=provider, credential=_choice(wanted), base_url=base_url, actor=world.actor
            )
            moves = False
        provider = provider_update(
            provider=provider,
            base_url=base_url if moves else None,
            models=spec["models"],
            region=spec["region"],
            account=spec["account"],
            protocols=spec["protocols"],
            timeouts=_timeouts(spec),
            limits=ProviderLimits(**spec["limits"]),
            external=spec["external"],
            is_active=spec["is_active"],
            actor=world.actor,
        )
        if spec["external"] is None and provider.is_external is provider.allows_private_address:
            provider_update(provider=provider, external=not provider.allows_private_address, actor=world.actor)

    def delete(self, world: World, present: Present) -> None:
        AwaitedCredential.objects.filter(organization=world.organization, provider_id=present.row.id).delete()
        with gone_or_kept("Lead them elsewhere first."):
            provider_delete(provider=present.row, actor=world.actor, reason=world.reason)


def _spec(row: Provider, is_awaited: bool) -> Spec:
    known = vendors().get(row.vendor)
    return {
        "vendor": row.vendor,
        "base_url": "" if known is not None and row.base_url == known.base_url else row.base_url,
        "credential": _written(row, is_awaited),
        "models": list(row.served_models),
        "region": row.region,
        "account": row.account,
        "protocols": list(row.protocols),
        "connect_timeout_ms": row.connect_timeout_ms,
        "first_byte_timeout_ms": row.first_byte_timeout_ms,
        "idle_timeout_ms": row.idle_timeout_ms,
        "limits": {name: number for name, number in asdict(limits_of(row)).items() if number},
        # As its address says: then a file need not.
        "external": None if row.is_external != row.allows_private_address else row.is_external,
        "is_active": row.is_active,
    }


def _written(row: Provider, is_awaited: bool) -> dict[str, str | None] | None:
    match row.credential_source:
        case CredentialSource.ENV | CredentialSource.FILE:
            return {str(row.credential_source): row.credential_reference}
        case CredentialSource.VALUE:
            return {"value": None}
        case CredentialSource.PASSTHROUGH:
            return {"passthrough": "caller"}
        case _:
            return {"value": None} if is_awaited else None


def _choice(wanted: Wanted) -> CredentialChoice:
    given = wanted.spec["credential"]
    if given is None or _is_awaited(wanted):
        return NO_CREDENTIAL
    ((source, text),) = given.items()
    if source == "value":
        return CredentialChoice(CredentialSource.VALUE, wanted.secrets["credential"])
    if source == "passthrough":
        return CredentialChoice(CredentialSource.PASSTHROUGH)
    return CredentialChoice(CredentialSource(source), text)


def _is_awaited(wanted: Wanted) -> bool:
    return bool(wanted.spec["credential"] == WRITE_ONLY and "credential" not in wanted.secrets)


def _await(world: World, provider: Provider) -> None:
    """Remember that a value is still to come, so that the next export says so too."""
    _, is_new = AwaitedCredential.objects.get_or_create(organization=world.organization, provider_id=provider.id)
    if is_new:
        record_change(
            organization_id=world.organization.id,
            actor=world.actor,
            action="provider.credential_awaited",
            subject=Subject("provider", provider.id.hex, provider.name),
        )


def _timeouts(spec: Spec) -> Timeouts:
    return Timeouts(spec["connect_timeout_ms"], spec["first_byte_timeout_ms"], spec["idle_timeout_ms"])


KIND = ProviderKind()
