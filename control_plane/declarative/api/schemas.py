"""REST: the JSON Schema of policy files. Open to anybody: editors fetch it without a token, and it tells no secret."""

from typing import Any

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from control_plane.declarative.schema import kind_schema, policy_schema


class _OpenView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()


class PolicySchemaView(_OpenView):
    """All kinds."""

    @extend_schema(responses=OpenApiTypes.OBJECT, auth=[])
    def get(self, request: Request) -> Response:
        """JSON Schema of any document of a policy file."""
        return _answer(policy_schema())


class KindSchemaView(_OpenView):
    """One kind."""

    @extend_schema(responses=OpenApiTypes.OBJECT, auth=[])
    def get(self, request: Request, kind: str) -> Response:
        """JSON Schema of the documents of one kind."""
        schema = kind_schema(kind)
        if schema is None:
            raise Http404
        return _answer(schema)


def _answer(schema: dict[str, Any]) -> Response:
    return Response(schema, headers={"Cache-Control": "public, max-age=3600", "Access-Control-Allow-Origin": "*"})
