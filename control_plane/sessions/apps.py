from django.apps import AppConfig


class SessionsConfig(AppConfig):
    name = "control_plane.sessions"
    # Django's own sessions have the other label.
    label = "conversations"
    verbose_name = "Conversation sessions"
    default_auto_field = "django.db.models.BigAutoField"
