"""Tags and filters of the console's templates. Templates decide nothing; these only write."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django import template
from django.forms import BoundField, CheckboxInput, CheckboxSelectMultiple, RadioSelect, Select, Textarea
from django.template import Context
from django.utils import timezone
from django.utils.html import format_html, urlize
from django.utils.safestring import SafeString, mark_safe

from control_plane.usage.selectors.exchanges import Exchange
from control_plane.web import numbers
from control_plane.web.context import LAYOUTS
from control_plane.web.icons import icon_svg

register = template.Library()


@register.simple_tag
def icon(name: str, size: int = 16, classes: str = "") -> SafeString:
    return icon_svg(name, size, classes)


@register.filter
def money(nano_usd: int | None) -> SafeString | str:
    """An amount, the full precision on hover."""
    if nano_usd is None:
        return "–"
    return format_html('<span title="{}">{}</span>', numbers.money_exact(nano_usd), numbers.money(nano_usd))


@register.filter
def linked(text: str) -> SafeString:
    """A text with its addresses as links; whatever else looks like markup stays text."""
    # All that is no text of these is what urlize wrote.
    return mark_safe(urlize(text, nofollow=True, autoescape=True).replace("<a href=", '<a class="link" href='))  # noqa: S308


@register.filter
def money_text(nano_usd: int) -> str:
    return numbers.money(nano_usd)


@register.filter
def money_exact(nano_usd: int) -> str:
    return numbers.money_exact(nano_usd)


@register.filter
def rate(nano_usd_per_million: int | None) -> str:
    return "–" if nano_usd_per_million is None else numbers.rate(nano_usd_per_million)


@register.filter
def tokens(count: int | None) -> SafeString | str:
    """A count, shortened; all digits on hover."""
    if count is None:
        return "–"
    if abs(count) < 1000:
        return str(count)
    return format_html('<span title="{}">{}</span>', f"{count:,}", numbers.compact(count))


@register.filter
def count(value: int) -> str:
    """All digits, thousands separated."""
    return f"{value:,}"


@register.filter
def wait_ms(milliseconds: int) -> str:
    return numbers.wait(milliseconds)


@register.filter
def duration_us(microseconds: int | None) -> str:
    return numbers.duration(microseconds)


@register.filter
def duration_or_dash(microseconds: int) -> str:
    """Zero stands for a thing that did not happen."""
    return numbers.duration(microseconds or None)


@register.filter
def shard_label(shard: str) -> str:
    """A shard without the organization in front: policy, keys/0, deny."""
    return shard.split("/", 2)[-1]


@register.filter
def json_text(value: object) -> str:
    """A fact of the audit as text: words as they are, lists with commas, nothing as a dash."""
    if value in ("", None, [], {}):
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    return json.dumps(value, ensure_ascii=False)


@register.filter
def unbroken(text: str) -> str:
    """A sentence whose per cents stay with their numbers at the end of a line."""
    return text.replace(" %", "\u00a0%")


@register.filter
def words(text: str) -> list[str]:
    return text.split()


@register.filter
def firsts(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """The names of choices that stand with their labels."""
    return [name for name, _ in pairs]


@register.filter
def tokens_out(exchange: Exchange) -> int:
    """All that the model wrote."""
    return exchange.tokens.output + exchange.tokens.reasoning


@register.filter
def size(value: int) -> str:
    return numbers.size(value)


@register.simple_tag
def in_unit(value: int | None, unit: str) -> SafeString | str:
    """A chart's value in the chart's unit; a dash where nothing is known."""
    if value is None:
        return "–"
    match unit:
        case "money":
            return money(value)
        case "duration":
            return duration_us(value)
        case "share":
            return f"{value / 10:g} %"
        case _:
            return tokens(value)


@register.filter
def share_of(part: int, whole: int) -> str:
    return numbers.share(part, whole)


@register.filter
def item(mapping: Mapping[Any, Any], key: Any) -> Any:
    return mapping.get(key)


@register.filter
def any_has(rows: Iterable[object], name: str) -> bool:
    """Whether a column has a value anywhere; one without is left out of its table."""
    return any(getattr(row, name) is not None for row in rows)


@register.simple_tag
def share_bar(part: int, whole: int) -> SafeString:
    """A small bar; the number stands beside it, so it is hidden from screen readers."""
    width = 0 if whole <= 0 else max(0.0, min(100.0, 100 * part / whole))
    return format_html(
        '<span class="share" aria-hidden="true"><svg viewBox="0 0 100 6" preserveAspectRatio="none">'
        '<rect width="{}" height="6"/></svg></span>',
        f"{width:.1f}",
    )


@register.simple_tag
def when(moment: datetime | None, empty: str = "never") -> SafeString | str:
    """A relative time, the exact instant and zone on hover. The browser keeps it current."""
    if moment is None:
        return format_html('<span class="muted">{}</span>', empty)
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        moment.astimezone(UTC).isoformat(timespec="seconds"),
        _exact(moment),
        numbers.ago(moment, timezone.now()),
    )


@register.simple_tag
def exact(moment: datetime | None) -> SafeString | str:
    """An exact time in the reader's zone, for tables of record."""
    if moment is None:
        return "–"
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}" class="number nowrap">{}</time>',
        moment.astimezone(UTC).isoformat(timespec="milliseconds"),
        _exact(moment),
        local.strftime("%d %b %H:%M:%S") if local.year == timezone.localtime().year else local.strftime("%d %b %Y"),
    )


def _exact(moment: datetime) -> str:
    local = timezone.localtime(moment)
    zone = timezone.get_current_timezone()
    name = zone.key if isinstance(zone, ZoneInfo) else str(zone)
    return f"{local.strftime('%d %b %Y, %H:%M:%S')} {name}"


@register.filter
def day(value: date) -> str:
    return value.strftime("%d %b %Y")


@register.simple_tag
def copyable(text: str, label: str, shown: str = "") -> SafeString:
    """A monospaced text with a button that copies it. label: what it is, for the button's name."""
    return format_html(
        '<span class="copyable"><code title="{}">{}</code>{}</span>', text, shown or text, copy_button(text, label)
    )


@register.simple_tag
def copy_button(text: str, label: str) -> SafeString:
    return format_html(
        '<button type="button" class="copy" data-copy="{}" aria-label="Copy {}" title="Copy {}">{}{}</button>',
        text,
        label,
        label,
        icon_svg("copy", 14, "idle"),
        icon_svg("check", 14, "done"),
    )


@register.simple_tag
def state(tone: str, word: str, title: str = "") -> SafeString:
    """A state with its word. tone: works, look, stopped, told or off."""
    return format_html('<span class="state state-{}" title="{}">{}</span>', tone, title, word)


@register.simple_tag(takes_context=True)
def query(context: Context, **changes: object) -> str:
    """The page's own query string with some parameters changed; None or "" takes one away. Paging starts anew."""
    request = context["request"]
    parameters = request.GET.copy()
    for transient in ("after", "before", "format"):
        parameters.pop(transient, None)
    for name, value in changes.items():
        parameters.pop(name, None)
        if value not in (None, ""):
            parameters[name] = str(value)
    return "?" + urlencode(sorted(parameters.lists()), doseq=True) if parameters else request.path


@register.simple_tag(takes_context=True)
def query_set(context: Context, name: str, value: str) -> str:
    """`query` with one parameter whose name is not known when the template is written."""
    return query(context, **{name: value})


@register.simple_tag(takes_context=True)
def form_attributes(context: Context) -> SafeString:
    """A form that answers where it stands: in the sheet through htmx, on a page of its own without."""
    request = context["request"]
    address = request.get_full_path()
    if context["layout"] == LAYOUTS["sheet"]:
        return format_html('method="post" action="{}" hx-post="{}" hx-target="#sheet"', address, address)
    return format_html('method="post" action="{}"', address)


@register.inclusion_tag("web/components/field.html")
def field(bound: BoundField, label: str = "") -> dict[str, object]:
    """A form field: label above, help below, errors inline and tied to the input for screen readers."""
    widget = bound.field.widget
    kind = (
        "checks"
        if isinstance(widget, CheckboxSelectMultiple)
        else "radios"
        if isinstance(widget, RadioSelect)
        else "check"
        if isinstance(widget, CheckboxInput)
        else "select"
        if isinstance(widget, Select)
        else "textarea"
        if isinstance(widget, Textarea)
        else "input"
    )
    described = []
    if bound.errors:
        described.append(f"{bound.id_for_label}-error")
    if bound.help_text:
        described.append(f"{bound.id_for_label}-help")
    attributes: dict[str, str] = {
        "class": {"select": "select", "textarea": "textarea", "check": "checkbox checkbox-sm"}.get(kind, "input")
    }
    if described:
        attributes["aria-describedby"] = " ".join(described)
    if bound.errors:
        attributes["aria-invalid"] = "true"
    control: str | None = None
    if kind not in ("checks", "radios"):
        control = bound.as_widget(attrs={**attributes, **_kept(widget.attrs, attributes)})
    return {
        "bound": bound,
        "kind": kind,
        "label": label or bound.label,
        "control": control and mark_safe(control),  # noqa: S308  # Django's own rendering of the widget
        "is_optional": not bound.field.required
        and kind not in ("check", "radios")
        and not widget.attrs.get("data-needed"),
    }


@register.simple_tag
def bare(bound: BoundField) -> SafeString:
    """The input of a field alone, for rows that write label and errors themselves."""
    attributes = {"class": "select" if isinstance(bound.field.widget, Select) else "input"}
    if bound.errors:
        attributes |= {"aria-invalid": "true", "aria-describedby": f"{bound.id_for_label}-error"}
    control = bound.as_widget(attrs={**attributes, **_kept(bound.field.widget.attrs, attributes)})
    return mark_safe(control)  # noqa: S308  # Django's own rendering of the widget


def _kept(given: Mapping[str, Any], ours: Mapping[str, str]) -> dict[str, Any]:
    """What the form gave the widget; its classes are added to ours."""
    kept = dict(given)
    if "class" in kept:
        kept["class"] = f"{ours['class']} {kept['class']}"
    return kept
