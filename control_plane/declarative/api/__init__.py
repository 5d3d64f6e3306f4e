"""REST: policy as code."""

from control_plane.declarative.api.files import ApplyView, DriftView, ExportView, PlanView
from control_plane.declarative.api.revisions import PolicyRevisionViewSet
from control_plane.declarative.api.schemas import KindSchemaView, PolicySchemaView

__all__ = [
    "ApplyView",
    "DriftView",
    "ExportView",
    "KindSchemaView",
    "PlanView",
    "PolicyRevisionViewSet",
    "PolicySchemaView",
]
