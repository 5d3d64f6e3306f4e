from django.apps import AppConfig


class ForecastsConfig(AppConfig):
    name = "control_plane.forecasts"
    label = "forecasts"
    default_auto_field = "django.db.models.BigAutoField"
