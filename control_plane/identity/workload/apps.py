from django.apps import AppConfig


class WorkloadConfig(AppConfig):
    name = "control_plane.identity.workload"
    label = "workload"
    default_auto_field = "django.db.models.BigAutoField"
