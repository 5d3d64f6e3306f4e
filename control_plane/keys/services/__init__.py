"""Change keys and tokens, and end those of whoever leaves."""

from control_plane.keys.services.departures import (
    membership_remove,
    service_account_activity_set,
    user_deactivate,
    user_reactivate,
)
from control_plane.keys.services.tokens import (
    MintedAdminToken,
    MintedPodToken,
    admin_token_authenticate,
    admin_token_mint,
    admin_token_revoke,
    pod_token_authenticate,
    pod_token_mint,
    pod_token_revoke,
)
from control_plane.keys.services.tombstones import tombstones_repair
from control_plane.keys.services.virtual_keys import MintedKey, key_mint, key_revoke, key_rotate, key_update

__all__ = [
    "MintedAdminToken",
    "MintedKey",
    "MintedPodToken",
    "admin_token_authenticate",
    "admin_token_mint",
    "admin_token_revoke",
    "key_mint",
    "key_revoke",
    "key_rotate",
    "key_update",
    "membership_remove",
    "pod_token_authenticate",
    "pod_token_mint",
    "pod_token_revoke",
    "service_account_activity_set",
    "tombstones_repair",
    "user_deactivate",
    "user_reactivate",
]
