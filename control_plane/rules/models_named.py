"""Names of models that an organization's clients may ask for, as rules refer to them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from control_plane.catalog.models import KnownModel
from control_plane.credentials.models import Provider
from control_plane.credentials.selectors import is_served_by
from control_plane.organizations.models import Organization
from control_plane.routing.models import VirtualModel
from control_plane.rules.globs import fits, is_glob
from control_plane.rules.problems import did_you_mean, shown


@dataclass(slots=True)
class ModelNames:
    """What can be asked for: virtual names, `<provider>/<model>`, and models that some provider serves."""

    providers: tuple[Provider, ...] = ()
    virtual: dict[str, tuple[str, str]] = field(default_factory=dict)
    """name: (provider, model)"""
    known: tuple[str, ...] = ()
    """Models of the catalogue that some provider serves, by their own name."""
    by_vendor: dict[str, frozenset[str]] = field(default_factory=dict)
    """The catalogue of each vendor in use."""

    @classmethod
    def of(cls, organization: Organization) -> "ModelNames":
        providers = tuple(Provider.objects.filter(organization=organization).order_by("name"))
        virtual = {
            row.name: (row.target.provider.name, row.target.model)
            for row in VirtualModel.objects.filter(organization=organization).select_related("target__provider")
        }
        catalogue: dict[str, set[str]] = {}
        for row in KnownModel.objects.filter(vendor__in={provider.vendor for provider in providers}):
            catalogue.setdefault(row.vendor, set()).add(row.model)
        known = {
            model
            for provider in providers
            for model in catalogue.get(provider.vendor, ())
            if is_served_by(provider, model)
        }
        by_vendor = {vendor: frozenset(models) for vendor, models in catalogue.items()}
        return cls(providers, virtual, tuple(sorted(known)), by_vendor)

    def names_of(self, name: str) -> tuple[str, ...]:
        """All names that conditions may fit for an exchange that asks for this one."""
        if name in self.virtual:
            provider, model = self.virtual[name]
            return name, f"{provider}/{model}", model
        provider_name, slash, model = name.partition("/")
        if slash and any(provider.name == provider_name for provider in self.providers):
            return name, model
        return (name, *(f"{each.name}/{name}" for each in self.providers if is_served_by(each, name)))

    def is_known(self, name: str) -> bool:
        """Whether an exchange can ask for it: a virtual name, or a model that a provider serves and that is known.

        A provider that serves "*" serves what its vendor's catalogue has, dated or not; where there is no catalogue
        (machines of one's own) it serves any, apart from names that look like `<provider>/<model>`.
        """
        if name in self.virtual or any(self._offers(provider, name) for provider in self.providers):
            return True
        provider_name, slash, model = name.partition("/")
        return bool(slash) and any(
            provider.name == provider_name and self._offers(provider, model) for provider in self.providers
        )

    def _offers(self, provider: Provider, model: str) -> bool:
        if not is_served_by(provider, model):
            return False
        if fits([glob for glob in provider.served_models if glob != "*"], model):
            return True
        catalogue = self.by_vendor.get(provider.vendor, frozenset())
        if not catalogue and "/" not in model:
            return True
        return model in catalogue or any(model.startswith((f"{known}-", f"{known}@")) for known in catalogue)

    def wrong_with(self, name: str) -> str:
        """Say why a name or glob of models refers to nothing; empty: it refers to something, or may one day."""
        if is_glob(name) or self.is_known(name):
            return ""
        full = (f"{each.name}/{model}" for each in self.providers for model in self.known)
        hint = did_you_mean(name, [*self.virtual, *self.known, *full][:5000])
        return f"No provider here has a model {shown(name)}, and no virtual model is called so.{hint}"

    def fitting(self, globs: Iterable[str]) -> list[str]:
        """The names that globs take in, of those that can be listed."""
        listed = [*self.virtual, *self.known]
        return sorted({name for name in listed if any(fits(globs, each) for each in self.names_of(name))})
