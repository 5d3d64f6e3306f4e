"""Find trusts, each look-up within one organization."""

from django.db.models import QuerySet

from control_plane.identity.workload.models import WorkloadTrust
from control_plane.organizations.models import Organization, ServiceAccount


def trusts_of(organization: Organization) -> QuerySet[WorkloadTrust]:
    return (
        WorkloadTrust.objects.filter(organization=organization)
        .select_related("organization", "service_account", "service_account__team")
        .order_by("service_account__name", "name")
    )


def trusts_of_account(account: ServiceAccount) -> QuerySet[WorkloadTrust]:
    return (
        WorkloadTrust.objects.filter(organization_id=account.organization_id, service_account=account)
        .select_related("organization", "service_account")
        .order_by("name")
    )
