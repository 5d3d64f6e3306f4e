"""Django's settings; every value of the installation comes through `control_plane.project.environment`."""
