"""Addresses of the SCIM endpoint, below /scim/v2/. A slash at the end makes no difference."""

from django.urls import re_path

from control_plane.identity.scim import discovery, views

app_name = "scim"
urlpatterns = [
    re_path(r"^ServiceProviderConfig/?$", views.ServiceProviderConfigView.as_view(), name="config"),
    re_path(r"^Schemas(?:/(?P<name>[^/]+))?/?$", views.ListingView.as_view(listed=discovery.schemas), name="schemas"),
    re_path(
        r"^ResourceTypes(?:/(?P<name>[^/]+))?/?$",
        views.ListingView.as_view(listed=discovery.resource_types),
        name="resource-types",
    ),
    re_path(r"^Users/?$", views.PeopleView.as_view(), name="people"),
    re_path(r"^Users/(?P<person_id>[^/]+)/?$", views.PersonView.as_view(), name="person"),
    re_path(r"^Groups/?$", views.GroupsView.as_view(), name="groups"),
    re_path(r"^Groups/(?P<group_id>[^/]+)/?$", views.GroupView.as_view(), name="group"),
    re_path(r"^(?P<path>.*)$", views.NothingView.as_view(), name="nothing"),
]
