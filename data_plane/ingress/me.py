"""`GET /switchyard/v1/me`: who this key is and what it may use."""

import orjson

from data_plane.policy.access import ListedModel
from data_plane.policy.decision import Caller


def describe_caller(caller: Caller, models: tuple[ListedModel, ...], policy_version: tuple[int, int]) -> bytes:
    """The JSON answer; no secret of any kind is in it."""
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
