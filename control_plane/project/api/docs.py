"""The schema and its page. Everything the page loads comes from this server."""

from django.http import HttpResponseBase
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request


class SchemaView(SpectacularAPIView):
    """OpenAPI 3.1."""


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI from the sidecar package."""

    url_name = "api:schema"

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: object, **kwargs: object) -> HttpResponseBase:
        response = super().get(request, *args, **kwargs)
        # Swagger UI writes style attributes and draws its icons from data: addresses.
        response["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
            "font-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        return response
