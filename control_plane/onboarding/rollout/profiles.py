"""Configuration profiles of macOS: managed preferences as a file that any Apple device management takes."""

import plistlib
from uuid import NAMESPACE_DNS, UUID, uuid5

from control_plane.onboarding.rollout.plan import Preferences, RolloutTool

PREFIX = "dev.switchyard.rollout"


def preference_list(preferences: Preferences) -> str:
    """The preferences alone, for a management that asks for domain and property list."""
    return plistlib.dumps(dict(preferences.values), sort_keys=False).decode()


def mobileconfig(tool: RolloutTool, preferences: Preferences, organization: str) -> str:
    """A profile for the whole machine. Its identifiers follow from the tool, so a newer one takes the older's place."""
    identifier = f"{PREFIX}.{tool.id}"
    payload = {
        "PayloadType": preferences.domain,
        "PayloadIdentifier": f"{identifier}.settings",
        "PayloadUUID": _uuid(f"{identifier}.settings"),
        "PayloadVersion": 1,
        "PayloadDisplayName": f"{tool.name} settings",
        **preferences.values,
    }
    profile = {
        "PayloadType": "Configuration",
        "PayloadIdentifier": identifier,
        "PayloadUUID": _uuid(identifier),
        "PayloadVersion": 1,
        "PayloadScope": "System",
        "PayloadDisplayName": f"Switchyard: {tool.name}",
        "PayloadDescription": f"Leads {tool.name} through the AI gateway of {organization}.",
        "PayloadOrganization": organization,
        "PayloadContent": [payload],
    }
    return plistlib.dumps(profile, sort_keys=False).decode()


def _uuid(identifier: str) -> str:
    found: UUID = uuid5(NAMESPACE_DNS, identifier)
    return str(found).upper()
