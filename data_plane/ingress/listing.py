"""What a key may use, in the words of whoever asks: model lists in three shapes."""

from data_plane.policy.access import models_for
from data_plane.policy.decision import Caller, Refusal
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.protocols.catalog import CODECS
from data_plane.protocols.paths import Route
from switchyard_contract.reason import Reason


def answer_listing(routed: Route, policy: PolicySnapshot, caller: Caller) -> bytes | Refusal:
    """The JSON body that answers `list_models` or `one_model`."""
    models = models_for(policy, caller)
    codec = CODECS[routed.protocol]
    if routed.operation == "list_models":
        return codec.list_models(models)
    for model in models:
        if model.id == routed.path_model:
            return codec.one_model(model)
    return Refusal(Reason.NO_TARGET, f"This key may use no model called {str(routed.path_model)[:120]!r}.")
