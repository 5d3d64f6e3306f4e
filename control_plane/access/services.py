"""Change access rules."""

from collections.abc import Mapping
from typing import Any, ClassVar

from control_plane.access.models import AccessRule
from control_plane.audit.services import Actor
from control_plane.organizations.models import Organization
from control_plane.rules.conditions import loaded, loaded_all
from control_plane.rules.globs import is_glob
from control_plane.rules.problems import did_you_mean, shown
from control_plane.rules.reading import Spec, SpecReader
from control_plane.rules.reading_conditions import World, wrong_with_glob
from control_plane.rules.sentences import exceptions_text, listed, mode_text, sentence, what_text, who_text
from control_plane.rules.services import RuleKind, rule_create, rule_delete, rule_update
from control_plane.rules.subjects import Directory

LISTS = ("models", "providers", "regions")


class AccessRuleKind(RuleKind[AccessRule]):
    noun: ClassVar[str] = "access_rule"
    title: ClassVar[str] = "access rule"
    model = AccessRule

    def read(self, reader: SpecReader, world: World) -> dict[str, Any]:
        allow, deny = _parts(reader, "allow", world), _parts(reader, "deny", world)
        if not reader.has("allow") and not reader.has("deny"):
            reader.wrong("allow", "The rule says nothing. Give allow ({} allows everything), deny, or both.")
        if deny == {}:
            reader.wrong(
                "deny", "Nothing is denied. Name models, providers, regions or external: true; or leave it out."
            )
        return {"allow": allow, "deny": deny}

    def sentence(self, row: AccessRule, directory: Directory) -> str:
        when, when_not = loaded(row.when), loaded_all(row.when_not)
        who = who_text(when, directory)
        found = []
        if row.allow is not None:
            found.append(sentence(f"{who} may use {parts_text(row.allow) or 'everything'} {what_text(when)}"))
        if row.deny is not None:
            denied = "nobody may use" if when.is_about_everybody else f"{who} must not use"
            found.append(sentence(f"{denied} {parts_text(row.deny, 'or')} {what_text(when)}, whatever allows it"))
        if when_not:
            found.append(exceptions_text(when_not, directory))
        return " ".join(found) + mode_text(row.mode)

    def write(self, row: AccessRule) -> dict[str, Any]:
        return {"allow": row.allow, "deny": row.deny}


def _parts(reader: SpecReader, name: str, world: World) -> dict[str, Any] | None:
    inner = reader.inner(name)
    if inner is None:
        return None

    def wrong_with_provider(text: str) -> str:
        names = [provider.name for provider in world.models.providers]
        if is_glob(text) or text in names:
            return wrong_with_glob(text)
        return f"There is no provider {shown(text)} here.{did_you_mean(text, names)}"

    checks = {"models": world.models.wrong_with, "providers": wrong_with_provider, "regions": wrong_with_glob}
    found: dict[str, Any] = {}
    for part in LISTS:
        if texts := inner.texts(part, what=f"{part} or globs", check=checks[part]):
            found[part] = list(texts)
    if inner.has("external"):
        is_external = inner.claim("external", default=False)
        if name == "deny" and not is_external:
            inner.wrong(
                "external", "Providers of one's own cannot be denied so. Right: true, which denies external ones."
            )
        if name == "allow" and is_external:
            inner.wrong(
                "external", "External providers are allowed without it. Right: false, which allows only one's own."
            )
        found["external"] = is_external
    inner.given("external")
    inner.refuse_unknown()
    return found


def parts_text(parts: Mapping[str, Any], word: str = "and") -> str:
    """What parts name: `models claude-haiku-* and providers of one's own`; empty: everything."""
    found = [f"{name} {listed(parts[name], 'or')}" for name in LISTS if parts.get(name)]
    if "external" in parts:
        found.append("external providers" if parts["external"] else "providers of the organization's own")
    return listed(found, word) if found else ""


ACCESS_RULES = AccessRuleKind()


def access_rule_create(*, organization: Organization, name: str, spec: Spec, actor: Actor) -> AccessRule:
    """Add an access rule. spec: when, allow, deny, mode, contact, description. Raises ValidationError."""
    return rule_create(ACCESS_RULES, organization=organization, name=name, spec=spec, actor=actor)


def access_rule_update(
    *,
    access_rule: AccessRule,
    actor: Actor,
    name: str | None = None,
    changes: Spec | None = None,
    replaces: bool = False,
    reason: str = "",
) -> AccessRule:
    """Change an access rule; see `rules.services.rule_update`."""
    return rule_update(
        ACCESS_RULES, row=access_rule, actor=actor, name=name, changes=changes, replaces=replaces, reason=reason
    )


def access_rule_delete(*, access_rule: AccessRule, actor: Actor, reason: str = "") -> None:
    """Take an access rule away. Once none is left, everything in the catalogue is allowed."""
    rule_delete(ACCESS_RULES, row=access_rule, actor=actor, reason=reason)
