"""What a key may use, in the words of whoever asks: model lists in three shapes, and `GET /switchyard/v1/me`."""

import orjson

from data_plane.policy.access import ListedModel, models_for
from data_plane.policy.decision import Caller, Refusal
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.protocols.catalog import CODECS
from data_plane.protocols.paths import Route
from switchyard_contract.reason import Reason


def answer_listing(routed: Route, policy: PolicySnapshot, caller: Caller) -> bytes | Refusal:
    """The JSON body that answers `list_models`, `one_model` or `me`."""
    models = models_for(policy, caller)
    if routed.operation == "me":
        return describe_caller(caller, models, policy.policy_version(caller.organization_id))
    codec = CODECS[routed.protocol]
    if routed.operation == "list_models":
        return codec.list_models(models)
    for model in models:
        if model.id == routed.path_model:
            return codec.one_model(model)
    return Refusal(Reason.NO_TARGET, f"This key may use no model called {str(routed.path_model)[:120]!r}.")


def describe_caller(caller: Caller, models: tuple[ListedModel, ...], policy_version: tuple[int, int]) -> bytes:
    """Who a key is and what it may use; no secret of any kind is in it."""
    epoch, version = policy_version
    return orjson.dumps(
        {
            "organization": {"id": caller.organization_id, "name": caller.organization_name},
            "team": {"id": caller.team_id, "name": caller.team_name},
            caller.principal_kind: {"id": caller.principal_id, "name": caller.principal_name},
            "key": {"id": caller.key_id, "name": caller.key_name, "prefix": caller.key_prefix},
            "tags": dict(caller.tags),
            "models": [model.id for model in models],
            "contact": caller.contact,
            "policy_version": f"{epoch}.{version}",
        }
    )
