from django.apps import AppConfig


class UsageConfig(AppConfig):
    name = "control_plane.usage"
    label = "usage"
    verbose_name = "Usage"

    def ready(self) -> None:
        from control_plane.budgets.bound_finding import register_measurements, register_peaks
        from control_plane.usage.calibration import calibrated_per_mille
        from control_plane.usage.peaks import peaks_of

        register_measurements(calibrated_per_mille)
        register_peaks(peaks_of)
