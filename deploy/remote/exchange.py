"""`switchyard key exchange`: a CI system's own token for a key that lives at most an hour (RFC 8693)."""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

from deploy.remote.api import Api, checked_url
from deploy.remote.refused import Refused

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
TOKEN_TYPE = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105  # a name, not a secret
LARGEST_TOKEN = 16 * 1024


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    try:
        print(exchange(arguments))
    except Refused as failure:
        print(f"switchyard key exchange: {failure}", file=sys.stderr)
        return 1
    return 0


def exchange(arguments: argparse.Namespace) -> str:
    """The key. Raises Refused."""
    url = arguments.url or os.environ.get("SWITCHYARD_URL")
    if not url:
        raise Refused("say where: --url https://<your console>, or set SWITCHYARD_URL")
    api = Api(checked_url(url, named="--url"))
    if arguments.github:
        token = _github_token(arguments.audience or api.url)
    elif arguments.oidc_token_file is not None:
        token = _file_token(arguments.oidc_token_file)
    else:
        token = os.environ.get(arguments.oidc_token_env, "").strip()
        if not token:
            raise Refused(f"the environment variable {arguments.oidc_token_env} is empty")
    if len(token) > LARGEST_TOKEN:
        raise Refused("what was given as the OIDC token is too long to be one")
    fields = {
        "grant_type": GRANT,
        "subject_token": token,
        "subject_token_type": TOKEN_TYPE,
        "service_account": arguments.service_account,
    }
    if arguments.lifetime is not None:
        fields["lifetime_seconds"] = str(arguments.lifetime)
    status, answer = api.post_form("workload-keys", fields)
    if status != 201 and status != 200:
        told = answer.get("error_description") or answer.get("detail") or answer.get("error") or "refused"
        raise Refused(f"{status}: {told}", status=status)
    key = answer.get("access_token")
    if not isinstance(key, str) or not key:
        raise Refused(f"{api.url} did not answer as a Switchyard console does")
    return key


def _file_token(path: Path) -> str:
    try:
        return sys.stdin.read().strip() if str(path) == "-" else path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as failure:
        raise Refused(f"{path} cannot be read: {getattr(failure, 'strerror', None) or failure}") from failure


def _github_token(audience: str) -> str:
    """Ask GitHub Actions for the job's token. Needs `permissions: id-token: write` on the job."""
    address = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")
    bearer = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")
    if not address or not bearer:
        raise Refused("this is no GitHub Actions job with `permissions: id-token: write`")
    if urlsplit(address).scheme not in ("http", "https"):
        raise Refused("ACTIONS_ID_TOKEN_REQUEST_URL is no address")
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        f"{address}{'&' if '?' in address else '?'}audience={quote(audience, safe='')}",
        headers={"Authorization": f"Bearer {bearer}", "Accept": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            value = json.loads(answer.read(LARGEST_TOKEN * 2)).get("value")
    except (urllib.error.URLError, TimeoutError, ValueError, AttributeError) as failure:
        raise Refused(f"GitHub gave no token: {failure}") from failure
    if not isinstance(value, str):
        raise Refused("GitHub gave no token")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="switchyard key exchange",
        description="Exchange a CI job's OIDC token for a key of a service account, printed alone.",
    )
    parser.add_argument("--url", help="the console's address (default: SWITCHYARD_URL)")
    parser.add_argument(
        "--service-account", required=True, help="organization/name of the service account, or its id: acme/ci"
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--oidc-token-file", type=Path, help="a file that holds the token; - for standard input")
    source.add_argument("--oidc-token-env", metavar="NAME", help="an environment variable that holds it")
    source.add_argument("--github", action="store_true", help="ask GitHub Actions for it")
    parser.add_argument("--audience", help="with --github: the audience to ask for (default: the console's address)")
    parser.add_argument("--lifetime", type=int, help="seconds the key lives; at most 3600, the default")
    return parser
