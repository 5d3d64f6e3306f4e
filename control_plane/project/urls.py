"""Every address of the web process: the console at /, the REST API below /api/v1/."""

from django.urls import include, path

from control_plane.project import probes

urlpatterns = [
    path("healthz", probes.healthz),
    path("readyz", probes.readyz),
    path("api/v1/", include("control_plane.project.api_urls")),
    path("scim/v2/", include("control_plane.identity.scim.urls")),
    path("", include("control_plane.web.urls")),
]
