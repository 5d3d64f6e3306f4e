from django.apps import AppConfig


class DeclarativeConfig(AppConfig):
    name = "control_plane.declarative"
    label = "declarative"
    verbose_name = "Policy as code"

    def ready(self) -> None:
        from control_plane.declarative.listening import listen

        listen()
