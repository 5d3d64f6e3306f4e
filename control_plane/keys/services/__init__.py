"""Change keys and tokens, and end those of whoever leaves."""

from control_plane.keys.services.departures import (
    membership_remove,
    service_account_activity_set,
    user_deactivate,
    user_reactivate,
)
from control_plane.keys.services.rules import key_rules_update, rules_of
from control_plane.keys.services.tokens import (
    MintedAdminToken,
    MintedPodToken,
    admin_token_authenticate,
    admin_token_mint,
    admin_token_revoke,
    beyond,
    pod_token_authenticate,
    pod_token_mint,
    pod_token_revoke,
    scopes_of,
    token_days,
    token_expiry,
)
from control_plane.keys.services.tombstones import tombstones_repair
from control_plane.keys.services.virtual_keys import (
    MintedKey,
    Rotation,
    key_mint,
    key_revoke,
    key_rotate,
    key_update,
    keys_revoke,
)

__all__ = [
    "MintedAdminToken",
    "MintedKey",
    "MintedPodToken",
    "Rotation",
    "admin_token_authenticate",
    "admin_token_mint",
    "admin_token_revoke",
    "beyond",
    "key_mint",
    "key_revoke",
    "key_rotate",
    "key_rules_update",
    "key_update",
    "keys_revoke",
    "membership_remove",
    "pod_token_authenticate",
    "pod_token_mint",
    "pod_token_revoke",
    "rules_of",
    "scopes_of",
    "service_account_activity_set",
    "token_days",
    "token_expiry",
    "tombstones_repair",
    "user_deactivate",
    "user_reactivate",
]
