from django.apps import AppConfig


class RulesConfig(AppConfig):
    name = "control_plane.rules"
    label = "rules"
    default_auto_field = "django.db.models.BigAutoField"
