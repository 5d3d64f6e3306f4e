from django.apps import AppConfig


class RestConfig(AppConfig):
    name = "control_plane.rest"
    label = "rest"
    verbose_name = "Admin REST API"
