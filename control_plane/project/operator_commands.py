"""What whoever runs the installation does from a shell: the first organization, its people, join tokens of pods.

`switchyard bootstrap` and `switchyard pod-token` run against DATABASE_URL with the control plane's settings. Nothing
but the shell guards them: whoever may read the settings may do this anyway.
"""

import argparse
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from control_plane.project.processes import set_up


def run_pod_token(argv: Sequence[str] | None = None) -> int:
    """`switchyard pod-token create|list|revoke`; 1 when it was refused."""
    parser = argparse.ArgumentParser(prog="switchyard pod-token", description="Join tokens with which pods dial in.")
    actions = parser.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="make a token; others stay valid, so that a rotation overlaps")
    create.add_argument("--name", default="pods", help="what people call it")
    create.add_argument(
        "--pod",
        action="append",
        default=[],
        metavar="GLOB",
        help="only for pods of this id, such as eu-*; may be given several times; left out: for any pod",
    )
    actions.add_parser("list", help="the tokens in force")
    revoke = actions.add_parser("revoke", help="end a token; pods that present it are refused when they dial in again")
    revoke.add_argument("token", help="id, name or prefix as `list` shows it")
    revoke.add_argument("--reason", default="")
    arguments = parser.parse_args(argv)
    set_up()
    match arguments.action:
        case "create":
            return _told("pod-token", lambda: _create_token(arguments.name, arguments.pod))
        case "list":
            return _told("pod-token", _list_tokens)
        case _:
            return _told("pod-token", lambda: _revoke_token(arguments.token, arguments.reason))


def run_bootstrap(argv: Sequence[str] | None = None) -> int:
    """`switchyard bootstrap`: an organization and a person in it; 1 when it was refused."""
    parser = argparse.ArgumentParser(
        prog="switchyard bootstrap",
        description="Make an organization and its admin. Where the organization is there already, the person joins it; "
        "a person who has an account keeps name and password.",
    )
    parser.add_argument("--organization", required=True, help="name, such as Acme")
    parser.add_argument("--slug", default="", help="short name; made from the name when it is left out")
    parser.add_argument("--email", required=True)
    parser.add_argument("--role", choices=["owner", "admin", "finance", "auditor", "member"], default="owner")
    parser.add_argument("--password-file", type=Path, help="first line is the password; left out: one is made and told")
    arguments = parser.parse_args(argv)
    set_up()
    return _told(
        "bootstrap",
        lambda: _bootstrap(
            arguments.organization, arguments.slug, arguments.email, arguments.role, arguments.password_file
        ),
    )


def _told(command: str, act: Callable[[], str]) -> int:
    """Print what was done, or why it was refused."""
    from django.core.exceptions import ValidationError

    try:
        answer = act()
    except ValidationError as failure:
        print(f"switchyard {command}: {' '.join(failure.messages)}", file=sys.stderr)
        return 1
    except OSError as failure:
        print(f"switchyard {command}: {failure}", file=sys.stderr)
        return 1
    print(answer)
    return 0


def _create_token(name: str, pods: Sequence[str]) -> str:
    from control_plane.audit.services import Actor
    from control_plane.keys.services import pod_token_mint

    # Only the token on standard output, so that a script can put it where it belongs.
    return pod_token_mint(name=name, actor=Actor.system("operator"), pods=pods).token


def _list_tokens() -> str:
    from control_plane.keys.selectors import pod_tokens

    rows = [
        f"{row.id.hex}  {row.prefix:<14}  {row.created_at:%Y-%m-%d %H:%M}Z  {row.name}"
        + (f"  for {', '.join(row.pods)}" if row.pods else "")
        for row in pod_tokens()
    ]
    return "\n".join(rows) or "There is no token in force."


def _revoke_token(wanted: str, reason: str) -> str:
    from django.core.exceptions import ValidationError

    from control_plane.audit.services import Actor
    from control_plane.keys.selectors import pod_tokens
    from control_plane.keys.services import pod_token_revoke

    found = [row for row in pod_tokens() if wanted in (row.id.hex, row.name, row.prefix)]
    if len(found) != 1:
        raise ValidationError(f"{len(found)} tokens in force are called {wanted!r}; `list` shows their ids.")
    pod_token_revoke(token=found[0], actor=Actor.system("operator"), reason=reason)
    return f"{found[0].name} is revoked."


def _bootstrap(name: str, slug: str, email: str, role: str, password_file: Path | None) -> str:
    from django.core.exceptions import ValidationError
    from django.db import transaction
    from django.utils.text import slugify

    from control_plane.accounts.selectors import user_by_email
    from control_plane.accounts.services import user_create
    from control_plane.audit.services import Actor
    from control_plane.organizations.models import Organization, Role
    from control_plane.organizations.selectors import membership_of
    from control_plane.organizations.services import INSTALLATION, membership_add, organization_create
    from control_plane.snapshots.services import everything_compile

    actor, slug = Actor.system("operator"), slug or slugify(name)
    lines: list[str] = []
    with transaction.atomic():
        organization = Organization.objects.filter(slug=slug).first()
        if organization is None:
            if role != "owner":
                raise ValidationError("The first person of a new organization is its owner: leave --role out.")
            organization = organization_create(slug=slug, name=name, contact=email, actor=actor)
            lines.append(f"organization  {organization.name} ({organization.slug})")
        user = user_by_email(email)
        if user is None:
            given = None if password_file is None else password_file.read_text(encoding="utf-8").partition("\n")[0]
            password = secrets.token_urlsafe(15) if given is None else given
            user = user_create(email=email, password=password, actor=actor)
            lines.append(f"{role:<14}{user.email}")
            lines.append(f"password      {'as in the file' if given is not None else password}")
        elif membership_of(user, organization) is not None:
            raise ValidationError(f"{user.email} is a member of {organization.name} already.")
        else:
            lines.append(f"{role:<14}{user.email}, who keeps the password they have")
        membership_add(organization=organization, user=user, role=Role(role), actor=actor, by=INSTALLATION)
    everything_compile()
    return "\n".join(lines)
