"""Subjects by name, as people write them, and by id, as rules keep them. Every look-up names its organization."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Membership, Organization, Role, ServiceAccount, Team
from control_plane.rules.conditions import ORGANIZATION, PRINCIPAL_KINDS, SUBJECT_KINDS, Condition, Subject
from control_plane.rules.problems import did_you_mean, shown
from switchyard_contract.virtual_key import ALPHABET, ID_LENGTH

FORMS = (
    "organization, team:<name>, user:<e-mail>, service_account:<name>, key:<id or name>, role:<role>, "
    "kind:user or kind:service_account"
)


class UnknownSubject(Exception):
    """The text names nobody; the message says what is wrong and what would be right."""


@dataclass(frozen=True, slots=True)
class NamedSubject:
    """A subject as it is told: `team:platform`. is_missing: what it named is no longer there."""

    subject: Subject
    name: str
    is_missing: bool = False

    def __str__(self) -> str:
        return f"{self.subject.kind}:{self.name}" if self.name else self.subject.kind


class Directory:
    """Who is in an organization. Names of many rules are looked up at once: `learn`, then `named`."""

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self._names: dict[Subject, str | None] = {}

    @classmethod
    def of(cls, organization: Organization, conditions: Iterable[Condition]) -> "Directory":
        """A directory that knows everybody whom the conditions name; one query for each kind of subject."""
        directory = cls(organization)
        directory.learn(subject for condition in conditions for subject in condition.subjects)
        return directory

    def learn(self, subjects: Iterable[Subject]) -> None:
        """Look up those that are not known yet."""
        wanted: dict[str, set[str]] = {}
        for subject in subjects:
            if subject.kind in _STORED and subject not in self._names:
                wanted.setdefault(subject.kind, set()).add(subject.value)
        for kind, values in wanted.items():
            found = _names_of(self.organization, kind, values)
            for value in values:
                self._names[Subject(kind, value)] = found.get(value)

    def named(self, subject: Subject) -> NamedSubject:
        """A subject by its name; one that is gone goes by its id."""
        if subject.kind not in _STORED:
            return NamedSubject(subject, subject.value)
        self.learn([subject])
        name = self._names[subject]
        if subject.kind == "key":
            # Names of keys are not unique, so a key goes by its public id.
            return NamedSubject(subject, subject.value, is_missing=name is None)
        return NamedSubject(subject, subject.value if name is None else name, is_missing=name is None)

    def label(self, subject: Subject) -> str:
        """A subject in a sentence."""
        named = self.named(subject)
        if named.is_missing:
            return f"{_ARTICLES[subject.kind]} that is no longer there ({subject.value[:8]}…)"
        match subject.kind:
            case "organization":
                return "everybody"
            case "kind":
                return "people" if subject.value == "user" else "service accounts"
            case "role":
                return f"everybody whose role is {Role(subject.value).label}"
            case "team":
                return f"team {named.name}"
            case "service_account":
                return f"service account {named.name}"
            case "key":
                return f"key {self._names[subject] or subject.value}"
            case _:
                return named.name

    def find(self, text: str, *, kept: Collection[Subject] = ()) -> Subject:
        """The subject that a text names, by name or by id.

        kept: subjects that the rule names already; they stay although they are gone. Raises UnknownSubject.
        """
        kind, colon, value = text.strip().partition(":")
        value = value.strip()
        if kind == ORGANIZATION and not colon:
            return Subject(ORGANIZATION)
        if kind not in SUBJECT_KINDS or kind == ORGANIZATION or not value:
            hint = did_you_mean(kind, SUBJECT_KINDS) if kind not in SUBJECT_KINDS else ""
            raise UnknownSubject(f"{shown(text)} is no subject.{hint} Right: {FORMS}.")
        if kind == "role":
            if value not in Role.values:
                raise UnknownSubject(f"There is no role {shown(value)}. Right: {', '.join(Role.values)}.")
            return Subject(kind, value)
        if kind == "kind":
            if value not in PRINCIPAL_KINDS:
                raise UnknownSubject(f"There is no kind {shown(value)}. Right: {', '.join(PRINCIPAL_KINDS)}.")
            return Subject(kind, value)
        if "\x00" not in value:
            if kind == "key":
                return self._key(value, kept)
            found = _ids_of(self.organization, kind, value)
            if found is not None:
                return Subject(kind, found)
            if (same := Subject(kind, value.lower())) in kept:
                return same
        names = _rows(self.organization, kind).values_list(_NAME[kind], flat=True)[:2000]
        raise UnknownSubject(f"There is no {_WORDS[kind]} {shown(value)} here.{did_you_mean(value, list(names))}")

    def _key(self, value: str, kept: Collection[Subject]) -> Subject:
        rows = _rows(self.organization, "key")
        is_id = len(value) == ID_LENGTH and set(value) <= set(ALPHABET)
        if is_id and (rows.filter(key_id=value).exists() or Subject("key", value) in kept):
            return Subject("key", value)
        ids = list(rows.filter(name=value, revoked_at__isnull=True).values_list("key_id", flat=True)[:6])
        if len(ids) == 1:
            return Subject("key", ids[0])
        if ids:
            raise UnknownSubject(f"Several keys are called {shown(value)}. Name one by its id: {', '.join(ids[:5])}.")
        raise UnknownSubject(f"There is no key {shown(value)} here. Right: the key's id, or its name if it is alone.")


_STORED = ("team", "user", "service_account", "key")
_NAME: Mapping[str, str] = {"team": "name", "user": "user__email", "service_account": "name", "key": "name"}
_ID: Mapping[str, str] = {"team": "id", "user": "user_id", "service_account": "id", "key": "key_id"}
_WORDS: Mapping[str, str] = {"team": "team", "user": "member", "service_account": "service account", "key": "key"}
_ARTICLES: Mapping[str, str] = {
    "team": "a team",
    "user": "a member",
    "service_account": "a service account",
    "key": "a key",
}


def _rows(organization: Organization, kind: str) -> QuerySet[Any]:
    match kind:
        case "team":
            return Team.objects.filter(organization=organization)
        case "user":
            return Membership.objects.filter(organization=organization)
        case "service_account":
            return ServiceAccount.objects.filter(organization=organization)
        case _:
            return VirtualKey.objects.filter(organization=organization)


def _names_of(organization: Organization, kind: str, values: Collection[str]) -> dict[str, str]:
    rows = _rows(organization, kind)
    if kind == "key":
        return dict(rows.filter(key_id__in=values).values_list("key_id", "name"))
    ids = [UUID(value) for value in values if _is_hex(value)]
    found = rows.filter(**{f"{_ID[kind]}__in": ids}).values_list(_ID[kind], _NAME[kind])
    return {each.hex: name for each, name in found}


def _ids_of(organization: Organization, kind: str, value: str) -> str | None:
    rows = _rows(organization, kind)
    name = {f"{_NAME[kind]}__iexact" if kind == "user" else _NAME[kind]: value}
    found = rows.filter(**name).values_list(_ID[kind], flat=True).first()
    if found is None and _is_hex(value):
        found = rows.filter(**{_ID[kind]: UUID(value)}).values_list(_ID[kind], flat=True).first()
    return None if found is None else found.hex


def _is_hex(value: str) -> bool:
    try:
        UUID(value)
    except ValueError:
        return False
    return True
