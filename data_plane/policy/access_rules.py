"""What rules of access say together (interface.md §7.3).

Without a rule everything is allowed. With one, nothing is, unless a rule that matches grants it; several that match
unite; what a matching rule denies is denied, whoever grants it, for the name that is asked for and for every target. A
shadow decides nothing; what it would have done is said beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from data_plane.policy.conditions import Scene, may_match, why_not
from data_plane.policy.naming import known_names
from data_plane.policy.rules import AccessRule, Parts


@dataclass(frozen=True, slots=True)
class Sight:
    """A model as rules of access see it: the name asked for and where it leads."""

    asked: str
    provider_name: str
    model: str
    """As the vendor names it."""
    region: str
    is_external: bool

    @property
    def names(self) -> tuple[str, ...]:
        return names_of(self.asked, self.provider_name, self.model)


def names_of(asked: str, provider_name: str, model: str) -> tuple[str, ...]:
    """All that globs over models look at: a rule about a model is about it by whatever name it is asked for."""
    names = {asked: None}
    for name in known_names(model):
        names[f"{provider_name}/{name}"] = None
        names[name] = None
    return tuple(names)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says of a model."""

    rule: AccessRule
    missing: str
    """The part of `when` that does not fit; "": it matches."""
    grants: bool
    denies: str
    """What it denies of the model, for people; "": nothing."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The rules that may have something to say in a scene."""

    rules: tuple[AccessRule, ...]
    """Enforced ones whose `when` fits but for the model."""
    scene: Scene
    is_open: bool
    """No rule is enforced: everything is allowed."""

    def lets(self, sight: Sight) -> bool:
        """Whether the model may be used, as far as rules go."""
        if self.is_open:
            return True
        names = sight.names
        is_granted = False
        for rule in self.rules:
            if denied_by(rule, sight) and not why_not(rule, self.scene, names, unknown_fits=False):
                return False
            if not is_granted and grants(rule, sight):
                is_granted = not why_not(rule, self.scene, names)
        return is_granted


def gate_of(rules: Sequence[AccessRule], scene: Scene) -> Gate:
    """Look once at who asks; what is asked for is looked at for each model."""
    enforced = [rule for rule in rules if not rule.is_shadow]
    return Gate(tuple(rule for rule in enforced if may_match(rule, scene)), scene, not enforced)


def judge(rules: Sequence[AccessRule], scene: Scene, sight: Sight) -> list[Verdict]:
    """What each rule says of a model."""
    names = sight.names
    verdicts = []
    for rule in rules:
        missing = why_not(rule, scene, names)
        if missing:
            verdicts.append(Verdict(rule, missing, False, ""))
        else:
            verdicts.append(Verdict(rule, "", grants(rule, sight), denied_by(rule, sight)))
    return verdicts


def decide(verdicts: Sequence[Verdict], *, with_shadows: bool = False) -> tuple[bool, Verdict | None]:
    """Whether a model may be used, and the rule that denies it; None where no rule grants it.

    with_shadows: as it would be, were the shadows enforced.
    """
    heard = [verdict for verdict in verdicts if with_shadows or not verdict.rule.is_shadow]
    if not heard:
        return True, None
    denying = next((verdict for verdict in heard if verdict.denies), None)
    if denying is not None:
        return False, denying
    return any(verdict.grants for verdict in heard), None


def grants(rule: AccessRule, sight: Sight) -> bool:
    """Whether all parts that a rule allows fit the model."""
    allow = rule.allow
    if allow is None:
        return False
    return (
        (allow.models is None or allow.models.fits_any(sight.names))
        and (allow.providers is None or allow.providers.fits(sight.provider_name))
        and (allow.regions is None or allow.regions.fits(sight.region))
        and (allow.external is not False or not sight.is_external)
    )


def denied_by(rule: AccessRule, sight: Sight) -> str:
    """What a rule denies of the model, for people; any of its parts is enough. "": nothing."""
    deny: Parts = rule.deny
    if deny.models is not None:
        for name in sight.names:
            if deny.models.fits(name):
                return f"the model {name}"
    if deny.providers is not None and deny.providers.fits(sight.provider_name):
        return f"the provider {sight.provider_name}"
    if deny.regions is not None and deny.regions.fits(sight.region):
        return f"the region {sight.region or '(none is known)'}"
    if deny.external and sight.is_external:
        return f"providers outside the organization, and {sight.provider_name} is one"
    return ""
