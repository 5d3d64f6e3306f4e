from django.apps import AppConfig


class ScimConfig(AppConfig):
    name = "control_plane.identity.scim"
    label = "scim"
    default_auto_field = "django.db.models.BigAutoField"
