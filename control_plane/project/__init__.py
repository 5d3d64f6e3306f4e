"""The composition of the control plane: settings, addresses, processes."""

# Imported here so that shared tasks and messages sent by name find the broker in every process.
from control_plane.project.celery import app as celery_app

__all__ = ["celery_app"]
