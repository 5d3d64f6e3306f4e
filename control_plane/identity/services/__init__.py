"""Change connections; let people in who come through them."""

from control_plane.identity.services.arrivals import Arrival, Foretold, arrival_foretell, person_admit
from control_plane.identity.services.connections import (
    OidcFacts,
    SamlFacts,
    connection_create,
    connection_delete,
    connection_enforce,
    connection_relax,
    connection_test_record,
    connection_update,
    identity_unlink,
)
from control_plane.identity.services.entries import break_glass_record, confirmation_record, sign_in_record
from control_plane.identity.services.mappings import Mapping, mappings_set

__all__ = [
    "Arrival",
    "Foretold",
    "Mapping",
    "OidcFacts",
    "SamlFacts",
    "arrival_foretell",
    "break_glass_record",
    "confirmation_record",
    "connection_create",
    "connection_delete",
    "connection_enforce",
    "connection_relax",
    "connection_test_record",
    "connection_update",
    "identity_unlink",
    "mappings_set",
    "person_admit",
    "sign_in_record",
]
