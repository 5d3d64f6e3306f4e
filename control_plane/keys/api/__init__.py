"""REST: keys, tokens, and the people and accounts that hold them.

People and service accounts are here and not with their organization, because whoever leaves loses their keys in the
same action.
"""

from control_plane.keys.api.key_rules import KeyNoticeViewSet, KeyRulesView
from control_plane.keys.api.people import MembershipViewSet, ServiceAccountViewSet, UserViewSet
from control_plane.keys.api.tenants import OrganizationViewSet
from control_plane.keys.api.tokens import AdminTokenViewSet
from control_plane.keys.api.virtual_keys import KeyViewSet

__all__ = [
    "AdminTokenViewSet",
    "KeyNoticeViewSet",
    "KeyRulesView",
    "KeyViewSet",
    "MembershipViewSet",
    "OrganizationViewSet",
    "ServiceAccountViewSet",
    "UserViewSet",
]
