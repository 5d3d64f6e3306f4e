from django.apps import AppConfig


class OrganizationsConfig(AppConfig):
    name = "control_plane.organizations"
    label = "organizations"
    default_auto_field = "django.db.models.BigAutoField"
