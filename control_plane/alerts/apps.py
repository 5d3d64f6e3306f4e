from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "control_plane.alerts"
    label = "alerts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from control_plane.alerts.crossings import listen
        from control_plane.alerts.findings import listen as listen_to_findings
        from control_plane.alerts.foreseen import listen as listen_to_forecasts
        from control_plane.alerts.selectors import channel_names_of
        from control_plane.rules.channels import register_channels

        listen()
        listen_to_forecasts()
        listen_to_findings()
        register_channels(channel_names_of)
