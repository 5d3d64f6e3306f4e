"""The panel of trusted CI jobs, for the page of a service account."""

from typing import Any

from django import template

from control_plane.identity.workload.selectors import trusts_of_account
from control_plane.organizations.models import ServiceAccount

register = template.Library()


@register.inclusion_tag("web/people/workload_trusts.html")
def workload_trusts(account: ServiceAccount, may_mint: bool) -> dict[str, Any]:
    """The trusts of an account; may_mint: whether this person may change them."""
    return {"account": account, "may_mint": may_mint, "trusts": trusts_of_account(account)}
