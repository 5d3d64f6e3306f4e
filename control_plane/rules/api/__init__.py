"""REST: what all kinds of rules share, and keys of metadata."""

from control_plane.rules.api.metadata_keys import MetadataKeyViewSet

__all__ = ["MetadataKeyViewSet"]
