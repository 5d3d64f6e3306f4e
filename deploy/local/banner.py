"""What a person sees once everything is ready."""

from collections.abc import Mapping

from deploy.local.first_run import FirstRun
from deploy.local.surroundings import PROVIDER_KEYS, LocalSettings

EXAMPLE_MODEL = "claude-sonnet-4-6"


def text(
    settings: LocalSettings, first_run: FirstRun, environment: Mapping[str, str], took_s: float, is_first: bool
) -> str:
    """Compose the banner: where, with which key, what to try."""
    start = "first start" if is_first else "start"
    headline = "Switchyard is up"
    pods = {1: "one pod", 2: "two pods share the port"}.get(settings.pods, f"{settings.pods} pods share the port")
    known = [name for name in PROVIDER_KEYS if environment.get(name)]
    if known:
        real = f"keys of this shell: {', '.join(known)}"
    else:
        real = f"real ones: set {' / '.join(PROVIDER_KEYS)} before `make up`, or add them in the console"
    curl = (
        f"curl {settings.gateway_url}/v1/messages -H 'x-api-key: {first_run.virtual_key}' "
        "-H 'anthropic-version: 2023-06-01' "
        f'-d \'{{"model": "{EXAMPLE_MODEL}", "max_tokens": 64, "messages": [{{"role": "user", "content": "Hello"}}]}}\''
    )
    claude = f"ANTHROPIC_BASE_URL={settings.gateway_url} ANTHROPIC_AUTH_TOKEN={first_run.virtual_key} claude"
    return "\n".join(
        (
            "",
            f"{headline:<47}({start} {took_s:.0f} s)",
            f"  Console    {settings.console_url}     {first_run.admin_email}  /  {first_run.admin_password}",
            f"  Gateway    {settings.gateway_url}     key  {first_run.virtual_key}  ({pods})",
            f"  Try it     {curl}",
            f"             {claude}",
            f"  Providers  {'simulated (built in)':<26}{real}",
            f"  Logs       {settings.home / 'logs'}",
            "",
        )
    )
