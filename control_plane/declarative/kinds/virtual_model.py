"""VirtualModel: a name clients may use, and where it leads."""

from collections.abc import Iterable, Sequence

from django.core.exceptions import ValidationError

from control_plane.credentials.models import Provider
from control_plane.declarative.kinds.kind import Key, Kind, PolicyObject, Present, Reference, Spec, Wanted, World
from control_plane.declarative.kinds.rows import gone_or_kept, locked_rows
from control_plane.declarative.shapes import Field, ListOf, Record, Text
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Permission
from control_plane.routing.models import VirtualModel
from control_plane.routing.services import virtual_model_delete, virtual_model_set

TARGET_LATER = {
    "weight": "shares between targets",
    "priority": "order of targets",
    "retry": "tries at one target",
    "fallback_on": "when the next target is tried",
    "set_params": "parameters set on the way",
    "drop_params": "parameters left out on the way",
    "set_headers": "headers set on the way",
}


class VirtualModelKind(Kind):
    name = "VirtualModel"
    title = "A name clients may use, and where it leads."
    order = 50
    name_shape = Text(
        150,
        "letters, digits and . _ : / @ -",
        r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,149}",
        may_be_empty=False,
        is_trimmed=True,
    )
    spec = Record(
        (
            Field(
                "targets",
                ListOf(
                    Record(
                        (
                            Field(
                                "model",
                                Text(
                                    261,
                                    "<provider>/<model as the vendor names it>",
                                    r"[a-z0-9][a-z0-9._-]{0,59}/\S(?:.{0,198}\S)?",
                                    may_be_empty=False,
                                    is_trimmed=True,
                                ),
                                "`<provider>/<model as the vendor names it>`.",
                            ),
                        ),
                        TARGET_LATER,
                    ),
                    least=1,
                    most=100,
                    now_at_most=1,
                ),
                "Where the name leads: one target; several arrive with a later version.",
            ),
        ),
        {
            "strategy": "how one of several targets is chosen",
            "sticky": "keeping a session at its target",
            "first_token_timeout_ms": "giving up on a slow first token",
        },
    )
    read_right = Permission.MODELS_READ
    manage_right = Permission.POLICY_MANAGE
    subject_kinds = frozenset({"virtual_model"})
    field_names = {"provider": ("spec", "targets", 0, "model"), "model": ("spec", "targets", 0, "model")}
    example = """\
kind: VirtualModel
metadata: {name: claude-sonnet-4-6}
spec:
  targets:
    - {model: anthropic-main/claude-sonnet-4-6}
"""

    def references(self, spec: Spec) -> Iterable[Reference]:
        for position, target in enumerate(spec["targets"]):
            provider = target["model"].partition("/")[0]
            yield Reference(("spec", "targets", position, "model"), Key("Provider", provider))

    def present(self, organization: Organization, *, locks: bool = False) -> Sequence[Present]:
        rows = locked_rows(
            VirtualModel.objects.filter(organization=organization).select_related("target__provider"), locks=locks
        )
        return [
            Present(
                PolicyObject(
                    Key(self.name, row.name),
                    {"targets": [{"model": f"{row.target.provider.name}/{row.target.model}"}]},
                ),
                row,
            )
            for row in rows
        ]

    def create(self, world: World, wanted: Wanted) -> None:
        provider_name, _, model = wanted.spec["targets"][0]["model"].partition("/")
        provider = Provider.objects.filter(organization=world.organization, name=provider_name).first()
        if provider is None:
            raise ValidationError({"provider": f"There is no provider {provider_name!r} in this organization."})
        virtual_model_set(
            organization=world.organization,
            name=wanted.object.key.name,
            provider=provider,
            model=model,
            actor=world.actor,
        )

    def update(self, world: World, present: Present, wanted: Wanted) -> None:
        self.create(world, wanted)

    def delete(self, world: World, present: Present) -> None:
        with gone_or_kept(""):
            virtual_model_delete(virtual_model=present.row, actor=world.actor, reason=world.reason)


KIND = VirtualModelKind()
