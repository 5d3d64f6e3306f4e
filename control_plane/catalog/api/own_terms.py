"""What the views of an organization's own terms have alike: set from an instant on, ended, never changed."""

from collections.abc import Callable

from django.db.models import Model
from rest_framework.response import Response

from control_plane.organizations.roles import Permission
from control_plane.rest.views import ListMixin, RemoveMixin, RetrieveMixin, TenantView


class OwnTermsView(ListMixin, RetrieveMixin, RemoveMixin, TenantView):
    """Terms that hold now or later. What was used keeps the cost that it had."""

    page_order = ("created_at", "id")
    rights = {
        "list": Permission.MODELS_READ,
        "retrieve": Permission.MODELS_READ,
        "create": Permission.PRICES_MANAGE,
        "destroy": Permission.PRICES_MANAGE,
    }
    http_method_names = ["get", "post", "delete", "head", "options"]

    def answer_made(self, make: Callable[[], Model]) -> Response:
        """Answer with what was made, once however often it is asked for."""
        return self.once(lambda: self.answer(make(), status=201))
