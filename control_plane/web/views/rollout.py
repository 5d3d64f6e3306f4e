"""Roll-out: a tool, a format and a group in the address; files to copy or download, and the steps around them."""

from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from control_plane.onboarding.rollout.catalog import all_tools, format_names, formats_of, package_of
from control_plane.onboarding.rollout.plan import RolloutContext, RolloutTool
from control_plane.onboarding.selectors import rollout_context
from control_plane.organizations.models import Team
from control_plane.organizations.reach import teams_within
from control_plane.web.request import ConsoleRequest
from control_plane.web.views.rows import team_options

MOST_LETTERS = 200


@dataclass(frozen=True, slots=True)
class Choice:
    """A link among its like."""

    label: str
    icon: str
    address: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address says: for whom, how the key comes, which tags."""

    team: Team | None
    with_helper: bool
    with_status_line: bool
    project: str
    repository: str

    @property
    def parameters(self) -> dict[str, str]:
        given = {
            "team": self.team.id.hex if self.team else "",
            "key": "" if self.with_helper else "own",
            "bar": "on" if self.with_status_line else "",
            "project": self.project,
            "repository": self.repository,
        }
        return {name: value for name, value in given.items() if value}


@require_GET
def rollout(request: ConsoleRequest) -> HttpResponse:
    asked = _asked(request)
    context = _context(request, asked)
    tool = all_tools().get(request.GET.get("tool", "")) or next(iter(all_tools().values()))
    made = tool.render(context)
    formats = formats_of(made)
    wanted = request.GET.get("format", "")
    chosen = wanted if wanted in formats else formats[0]
    package = package_of(tool, chosen, context)
    assert package is not None
    page = {
        "tool": tool,
        "made": made,
        "package": package,
        "format": chosen,
        "format_name": format_names()[chosen],
        "asked": asked,
        "teams": team_options(request.standing, asked.team.id.hex if asked.team else ""),
        "tools": [
            Choice(one.name, one.icon, _address(asked, one, chosen), one == tool) for one in all_tools().values()
        ],
        "formats": [Choice(format_names()[name], "", _address(asked, tool, name), name == chosen) for name in formats],
        "query": urlencode(asked.parameters),
        "models": [model.name for model in context.models if not model.passes_caller_credential],
    }
    return render(request, "web/rollout/page.html", page)


@require_GET
def rollout_file(request: ConsoleRequest, tool: str, format_name: str, name: str) -> HttpResponse:
    """One file as a download."""
    found = all_tools().get(tool)
    if found is None or format_name not in format_names():
        raise Http404
    package = package_of(found, format_name, _context(request, _asked(request)))
    file = next((one for one in package.files if one.name == name), None) if package is not None else None
    if file is None:
        raise Http404
    response = HttpResponse(file.text, content_type=f"{file.media_type}; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _address(asked: Asked, tool: RolloutTool, format_name: str) -> str:
    return "?" + urlencode({"tool": tool.id, "format": format_name, **asked.parameters})


def _asked(request: ConsoleRequest) -> Asked:
    """An unknown team is passed over: it may have been renamed away, and everybody is the safe reading."""
    parameters = request.GET
    try:
        team = teams_within(request.standing).filter(id=UUID(parameters.get("team", ""))).first()
    except ValueError:
        team = None
    return Asked(
        team,
        parameters.get("key", "") != "own",
        parameters.get("bar", "") == "on",
        parameters.get("project", "")[:MOST_LETTERS],
        parameters.get("repository", "")[:MOST_LETTERS],
    )


def _context(request: ConsoleRequest, asked: Asked) -> RolloutContext:
    return rollout_context(
        request.organization,
        team=asked.team,
        with_helper=asked.with_helper,
        with_status_line=asked.with_status_line,
        project=asked.project,
        repository=asked.repository,
    )
