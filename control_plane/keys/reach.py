"""Keys and tokens that a person's right reaches, and which rights a key asks for."""

from uuid import UUID

from django.db.models import Q, QuerySet

from control_plane.keys.models import AdminToken, VirtualKey
from control_plane.organizations.roles import Permission, Reach, Standing, can, reach_of


def keys_within(standing: Standing, permission: Permission = Permission.KEYS_READ) -> QuerySet[VirtualKey]:
    """Keys, newest first: all; one's own and those charged to teams one leads; one's own; none."""
    keys = (
        VirtualKey.objects.filter(organization_id=standing.organization_id)
        .select_related("user", "service_account", "team", "created_by")
        .order_by("-created_at")
    )
    match reach_of(standing, permission):
        case Reach.ALL:
            return keys
        case Reach.TEAM:
            led = Q(team_id__in=standing.led_team_ids) | Q(service_account__team_id__in=standing.led_team_ids)
            return keys.filter(Q(user_id=standing.user_id) | led)
        case Reach.OWN:
            return keys.filter(user_id=standing.user_id)
        case Reach.NONE:
            return keys.none()


def may_manage(standing: Standing, key: VirtualKey) -> bool:
    """Whether this person may rotate, change and revoke a key.

    A service key also is in the hands of whoever may mint service keys for its account's team; a personal one never is
    a team lead's, though charged to the team.
    """
    if can(standing, Permission.KEYS_MANAGE, owner_id=key.user_id):
        return True
    return key.service_account is not None and may_mint_for(standing, key.service_account.team_id)


def may_mint_for(standing: Standing, team_id: UUID) -> bool:
    """Whether this person may mint keys for the service accounts of a team."""
    return can(standing, Permission.SERVICE_KEYS_MINT, team_ids=(team_id,))


def admin_tokens_within(standing: Standing) -> QuerySet[AdminToken]:
    """API tokens, newest first: all, one's own, none."""
    tokens = (
        AdminToken.objects.filter(organization_id=standing.organization_id)
        .select_related("user")
        .order_by("-created_at")
    )
    match reach_of(standing, Permission.TOKENS_MANAGE):
        case Reach.ALL:
            return tokens
        case Reach.OWN | Reach.TEAM:
            return tokens.filter(user_id=standing.user_id)
        case Reach.NONE:
            return tokens.none()
