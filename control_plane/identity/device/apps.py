from django.apps import AppConfig


class DeviceConfig(AppConfig):
    name = "control_plane.identity.device"
    label = "device"
    default_auto_field = "django.db.models.BigAutoField"
