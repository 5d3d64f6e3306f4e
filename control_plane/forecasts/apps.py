from django.apps import AppConfig


class ForecastsConfig(AppConfig):
    name = "control_plane.forecasts"
    label = "forecasts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from control_plane.forecasts.repriced import listen

        listen()
