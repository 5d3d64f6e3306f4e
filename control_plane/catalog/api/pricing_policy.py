"""REST: what happens with models that have no price."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from control_plane.catalog.selectors import unknown_models_of
from control_plane.catalog.services import unknown_models_set
from control_plane.organizations.roles import Permission
from control_plane.rest.caller import caller_of
from switchyard_contract.price_choice import UNKNOWN_MODELS


class PricingPolicyBody(serializers.Serializer[Any]):
    unknown_models = serializers.ChoiceField(
        UNKNOWN_MODELS,
        help_text="dearest: served, billed by the dearest price that is known of the vendor (else of all), and marked; "
        "refuse: not served.",
    )


class PricingPolicyView(APIView):
    """The organization's choice for models without a price."""

    rights = {"get": Permission.MODELS_READ, "put": Permission.PRICES_MANAGE}

    @extend_schema(responses=PricingPolicyBody, operation_id="pricing_policy_retrieve")
    def get(self, request: Request) -> Response:
        """What is chosen."""
        return Response({"unknown_models": unknown_models_of(caller_of(request).organization_id)})

    @extend_schema(request=PricingPolicyBody, responses=PricingPolicyBody, operation_id="pricing_policy_update")
    def put(self, request: Request) -> Response:
        """Choose. Pods follow within seconds."""
        given = PricingPolicyBody(data=request.data)
        given.is_valid(raise_exception=True)
        caller = caller_of(request)
        saved = unknown_models_set(
            organization=caller.organization, choice=given.validated_data["unknown_models"], actor=caller.actor
        )
        return Response({"unknown_models": saved.unknown_models})
