"""Where alerts go."""

from typing import Any

from django import forms

from control_plane.alerts.channels.catalog import all_channels
from control_plane.alerts.models import AlertChannel, Topic
from control_plane.alerts.services import ChannelFacts
from control_plane.web.forms.rule_text import MONO, LinesField


class ChannelForm(forms.Form):
    """A mailing list or a webhook, by a name that stages of budgets call it by."""

    type = forms.ChoiceField(
        choices=lambda: [(one.type, one.label) for one in all_channels().values()],
        widget=forms.RadioSelect,
        label="How",
    )
    name = forms.CharField(
        max_length=100,
        widget=forms.TextInput(attrs={"placeholder": "finance", **MONO}),
        help_text="Stages of budgets name it: channel:finance.",
    )
    description = forms.CharField(
        required=False, max_length=500, label="What it is for", widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    addresses = LinesField(
        label="E-mail addresses", placeholder="ai-spend@example.com", help_text="One a line.", rows=3
    )
    url = forms.CharField(
        required=False,
        max_length=300,
        label="Address that is called",
        widget=forms.TextInput(
            attrs={"placeholder": "https://hooks.example.com/switchyard", "data-needed": True, **MONO}
        ),
        help_text="A POST with JSON, signed with a secret of the channel.",
    )
    cost_centre = forms.CharField(
        required=False,
        max_length=100,
        label="Cost centre it speaks for",
        help_text="Stages that tell the cost_centre_owner come here for teams of this cost centre.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    hears = forms.MultipleChoiceField(
        required=False,
        choices=Topic.choices,
        widget=forms.CheckboxSelectMultiple,
        label="What else comes here",
        help_text="Besides what stages of budgets name it for.",
    )
    new_secret = forms.BooleanField(
        required=False, label="Make a new secret", help_text="The old one stops at once. The new one is shown once."
    )
    is_active = forms.BooleanField(required=False, initial=True, label="In use")

    def __init__(self, channel: AlertChannel | None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.channel = channel
        if channel is None:
            del self.fields["is_active"], self.fields["new_secret"]
            self.fields["type"].initial = next(iter(all_channels()))
            return
        del self.fields["type"]
        for name, needed in (("addresses", "addresses"), ("url", "url"), ("new_secret", "url")):
            if needed not in all_channels()[channel.type].takes:
                del self.fields[name]
        self.initial = {
            "name": channel.name,
            "description": channel.description,
            "addresses": "\n".join(channel.addresses),
            "url": channel.url,
            "cost_centre": channel.cost_centre,
            "hears": channel.hears,
            "is_active": channel.is_active,
        }

    @property
    def chosen_type(self) -> str:
        return self.channel.type if self.channel is not None else str(self.cleaned_data["type"])

    @property
    def facts(self) -> ChannelFacts:
        """What was typed; fields of another type of channel are left out."""
        given, takes = self.cleaned_data, all_channels()[self.chosen_type].takes
        return ChannelFacts(
            name=given["name"],
            description=given["description"],
            addresses=tuple(given["addresses"]) if "addresses" in takes else None,
            url=given["url"] if "url" in takes else None,
            cost_centre=given["cost_centre"],
            hears=tuple(given["hears"]),
            is_active=given.get("is_active", True),
            secret="" if given.get("new_secret") else None,
        )
