"""TrueFoundry's routing_config and load-balancing rules to virtual models. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

STRATEGIES = {"weight": "weight", "priority": "priority", "latency": "latency"}
_TARGET = ("target", "weight", "priority", "retry_config", "fallback_status_codes", "fallback_candidate",
           "override_params", "headers_override", "sla_cutoff")  # fmt: skip
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")


class Notes(Protocol):
    """What this module asks of the report."""

    def add(self, what: str) -> None: ...

    def at(self, inner: str) -> Any: ...

    def left_over(self, given: Mapping[str, Any], known: Any) -> None: ...


def is_route(document: Mapping[str, Any]) -> bool:
    """Whether a document says where a name leads."""
    return "routing_config" in document or document.get("type") == "gateway-load-balancing-config"


def routes_of(document: Mapping[str, Any], notes: Notes) -> Iterator[dict[str, Any]]:
    """The virtual models of a document."""
    if "routing_config" in document:
        notes.left_over(document, ("name", "type", "routing_config"))
        here = notes.at(f"virtual model {document.get('name', '')}")
        name = _model_name(document.get("name"), here)
        spec = _spec(document["routing_config"], here) if name else None
        if spec is not None:
            yield _virtual_model(name, spec)
        return
    rules = document.get("rules")
    for number, rule in enumerate(rules if isinstance(rules, list) else [], start=1):
        if isinstance(rule, dict):
            yield from _rule(rule, notes.at(f"rule {rule.get('id', number)}"))


def _rule(rule: Mapping[str, Any], notes: Notes) -> Iterator[dict[str, Any]]:
    """An older rule: for these models, when somebody asks. The condition on who asks has no place in a name."""
    notes.left_over(rule, ("id", "type", "when", "load_balance_targets", "targets", "sticky_routing"))
    given = rule.get("when")
    when: Mapping[str, Any] = given if isinstance(given, dict) else {}
    for part in sorted(set(when) - {"models"}):
        notes.add(f"when.{part} is not carried: a name leads to the same targets for everybody")
    spec = _spec(rule, notes)
    models = when.get("models") or []
    if spec is None or not models:
        if not models:
            notes.add("it names no model, so there is no name to make; it is not carried")
        return
    for model in models if isinstance(models, list) else [models]:
        if name := _model_name(model, notes):
            yield _virtual_model(name, spec)


def _spec(config: Any, notes: Notes) -> dict[str, Any] | None:
    if not isinstance(config, dict):
        notes.add("routing_config holds no fields; it is not carried")
        return None
    strategy = STRATEGIES.get(str(config.get("type", "")).removesuffix("-routing").removesuffix("-based"))
    targets = config.get("load_balance_targets") or config.get("targets")
    if strategy is None or not isinstance(targets, list) or not targets:
        notes.add(f"type {config.get('type')!r} with these targets is not known; it is not carried")
        return None
    if "when" not in config:
        notes.left_over(config, ("type", "load_balance_targets", "targets", "sticky_routing"))
    made = [made for each in targets if (made := _target(each, strategy, notes)) is not None]
    if not made:
        return None
    if len(made) == 1 and set(made[0]) <= {"model", "weight", "priority"}:
        # One target needs no strategy, and can be applied as it is.
        return {"targets": [{"model": made[0]["model"]}]}
    spec: dict[str, Any] = {"strategy": strategy}
    if config.get("sticky_routing"):
        spec["sticky"] = "session"
        notes.add("sticky_routing becomes sticky: session; its ttl_seconds and session_identifiers are not carried")
    return {**spec, "targets": made}


def _target(given: Any, strategy: str, notes: Notes) -> dict[str, Any] | None:
    if not isinstance(given, dict) or not isinstance(given.get("target"), str):
        notes.add("a target without a model is not carried")
        return None
    here = notes.at(f"target {given['target']}")
    here.left_over(given, _TARGET)
    model = _full_name(given["target"], here)
    if model is None:
        return None
    made: dict[str, Any] = {"model": model}
    if strategy == "weight" and "weight" in given:
        made["weight"] = given["weight"]
    if strategy == "priority":
        made["priority"] = given.get("priority", 0)
    retry = given.get("retry_config")
    if isinstance(retry, dict):
        made["retry"] = {"attempts": retry.get("attempts", 2), "delay_ms": retry.get("delay", 100)}
        if codes := status_codes(retry.get("on_status_codes"), here):
            here.add(
                f"retry_config.on_status_codes {codes} is not carried: what is tried again follows from the failure"
            )
    if codes := status_codes(given.get("fallback_status_codes"), here):
        made["fallback_on"] = codes
        if hidden := [code for code in codes if code in (401, 403)]:
            here.add(f"falling back on {hidden} hides a provider's dead key; think about leaving it out")
    if given.get("fallback_candidate") is False:
        here.add("fallback_candidate: false is not carried; every target may be landed on")
    if isinstance(given.get("override_params"), dict):
        made["set_params"] = given["override_params"]
    headers = given.get("headers_override")
    if isinstance(headers, dict):
        if headers.get("set"):
            made["set_headers"] = {str(name): str(value) for name, value in headers["set"].items()}
        if headers.get("remove"):
            here.add(f"headers_override.remove {headers['remove']} is not carried")
    if given.get("sla_cutoff"):
        here.add("sla_cutoff is not carried; strategy: latency leaves slow targets aside")
    return made


def status_codes(given: Any, notes: Notes) -> list[int]:
    """Numbers, numbers in quotes, or a list of them in one text with commas."""
    if given is None:
        return []
    parts = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else [given]
    found: list[int] = []
    for part in parts:
        text = str(part).strip()
        if text.isdigit() and 400 <= int(text) <= 599:
            if int(text) not in found:
                found.append(int(text))
        else:
            notes.add(f"the status code {text!r} is not carried")
    return found


def _full_name(text: str, notes: Notes) -> str | None:
    """`<provider>/<model>`, the model's own slashes kept."""
    provider, slash, model = text.strip().partition("/")
    if not slash or not model:
        notes.add("it names no provider, as in provider/model; it is not carried")
        return None
    name = re.sub(r"[^a-z0-9._-]+", "-", provider.lower()).strip("-._")[:60]
    if _PROVIDER.fullmatch(name) is None:
        notes.add("its provider's name cannot be written here; it is not carried")
        return None
    if name != provider:
        notes.add(f"the provider {provider} is called {name} here")
    return f"{name}/{model}"


def _model_name(text: Any, notes: Notes) -> str:
    name = re.sub(r"[^A-Za-z0-9._:/@-]+", "-", str(text or "")).strip("-")[:150]
    if not name:
        notes.add("it has no name; it is not carried")
    elif name != text:
        notes.add(f"{text} is called {name} here")
    return name


def _virtual_model(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "VirtualModel", "metadata": {"name": name}, "spec": dict(spec)}
