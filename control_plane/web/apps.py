from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "control_plane.web"
    label = "web"
