"""A command line that waits to be approved, and CI jobs that a service account trusts."""

from datetime import timedelta

from django.utils import timezone

from control_plane.audit.services import Actor
from control_plane.identity.device.models import DeviceAuthorization
from control_plane.identity.device.services import device_begin
from control_plane.identity.workload.services import TrustFacts, trust_add
from control_plane.organizations.models import ServiceAccount
from control_plane.organizations.roles import Permission

# The example of RFC 8037. Pinned, because no test asks GitHub for its keys.
KEYS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}


def machines(account: ServiceAccount, actor: Actor) -> None:
    trust_add(
        service_account=account,
        facts=TrustFacts(
            name="checkout main branch",
            issuer="https://token.actions.githubusercontent.com",
            audience="https://switchyard.example.com",
            conditions={"repository": "acme/checkout", "ref": ["refs/heads/main", "refs/heads/release-*"]},
            pinned_keys=KEYS,
            lifetime_s=1800,
        ),
        actor=actor,
    )
    begun = device_begin(
        machine="graces-laptop",
        scopes=[Permission.KEYS_READ, Permission.KEYS_MANAGE, Permission.POLICY_MANAGE, Permission.OWNERS_MANAGE],
        lifetime_s=30 * 24 * 3600,
        source_address="203.0.113.7",
    )
    # Codes live for minutes; a run of the browser tests may take longer.
    DeviceAuthorization.objects.filter(id=begun.authorization.id).update(expires_at=timezone.now() + timedelta(hours=6))
