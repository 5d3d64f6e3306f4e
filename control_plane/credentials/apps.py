from django.apps import AppConfig


class CredentialsConfig(AppConfig):
    name = "control_plane.credentials"
    label = "credentials"
    default_auto_field = "django.db.models.BigAutoField"
