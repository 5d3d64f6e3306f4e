"""AccessRule: who may use which models."""

from collections.abc import Iterator

from control_plane.access.services import ACCESS_RULES
from control_plane.declarative.kinds.kind import Reference, Spec
from control_plane.declarative.kinds.rule import (
    AnyModels,
    FileWorld,
    NamesAlone,
    RuleObjects,
    provider_references,
    providers_named,
)
from control_plane.declarative.rule_shapes import CONTACT, FLAG, Given, OneOrMore, head_fields
from control_plane.declarative.shapes import Field, Record, Text
from control_plane.organizations.models import Organization

_GLOB = Text(200, "a name or glob", may_be_empty=False, is_trimmed=True)
_PARTS = Given(
    (
        Field("models", OneOrMore(_GLOB), "What is asked for, or where it leads.", []),
        Field("providers", OneOrMore(_GLOB), "Names of providers.", []),
        Field("regions", OneOrMore(_GLOB), "Regions of providers.", []),
        Field("external", FLAG, "allow: false takes only one's own machines; deny: true takes none but those.", False),
    )
)


class AccessRuleKind(RuleObjects):
    name = "AccessRule"
    title = (
        "Who may use which models. Without one, everything in the catalogue is allowed; with one, nothing but what a "
        "rule that fits allows, and what one denies is denied."
    )
    order = 70
    rules = ACCESS_RULES
    subject_kinds = frozenset({"access_rule"})
    spec = Record(
        (
            *head_fields(is_grouped=False),
            Field("allow", _PARTS, "What is allowed: every part that is given has to fit; {}: everything.", None),
            Field("deny", _PARTS, "What is denied, whoever allows it: any part is enough.", None),
            CONTACT,
        )
    )
    example = """\
kind: AccessRule
metadata: {name: juniors}
spec:
  when: {subjects: ["team:juniors"]}
  allow: {models: ["claude-haiku-*", gpt-5.1-mini]}
  deny: {external: true}
"""

    def references(self, spec: Spec) -> Iterator[Reference]:
        yield from super().references(spec)
        yield from provider_references(spec["allow"], ("spec", "allow"))
        yield from provider_references(spec["deny"], ("spec", "deny"))

    def _file_world(self, spec: Spec) -> FileWorld:
        return FileWorld(Organization(), NamesAlone(), AnyModels(providers_named(spec["allow"], spec["deny"])))


KIND = AccessRuleKind()
