"""Template tags for the components in `templates/components/`: `{% load ui %}`.

Each tag fills one component file, whose head comment says what it takes. Nothing here asks the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django import template
from django.forms import BaseForm, BoundField, CheckboxInput, RadioSelect, Select
from django.forms.widgets import CheckboxSelectMultiple, Widget
from django.http import HttpRequest
from django.template.context import Context
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from audsync_web.templatetags import formats
from audsync_web.templatetags.statuses import status_face, status_label
from audsync_web.vendors.connectors.registry import VENDORS, connector_class

register = template.Library()

register.filter("count", formats.format_count)
register.filter("prose", formats.format_prose, is_safe=True)
register.filter("signed", formats.format_signed)
register.filter("bytes", formats.format_bytes)
register.filter("duration", formats.format_duration)
register.filter("share", formats.format_share)
register.filter("absolute", formats.format_moment)
register.filter("days_away", formats.format_days_away)

# A page of a list that is re-sorted or filtered starts again at its beginning.
CURSOR_PARAMETERS = ("cursor", "before", "after")

PART_TONES = {
    "members": "main",
    "adds": "main",
    "accepted": "main",
    "renewed": "soft",
    "removes": "dark",
    "held": "warn",
    "not yet known": "wait",
    "not confirmed": "wait",
    "rejected": "bad",
    "refused": "bad",
}
_SLIVER = 8  # thousandths of the bar: what a part that is not nought takes at least, so that it can be seen


@register.simple_tag
def icon(name: str, classes: str = "", label: str = "") -> SafeString:
    """One icon of the sprite. It is decoration unless `label` gives it a name of its own."""
    href = f"{static('img/icons.svg')}#{name}"
    css = f"icon {classes}".strip()
    if label:
        return format_html('<svg class="{}" role="img" aria-label="{}"><use href="{}"/></svg>', css, label, href)
    return format_html('<svg class="{}" aria-hidden="true" focusable="false"><use href="{}"/></svg>', css, href)


@register.inclusion_tag("components/status_badge.html")
def status_badge(status: object, label: str = "", detail: str = "") -> dict[str, Any]:
    """A status by word, shape and colour; `label` replaces the word, `detail` is the vendor's own word."""
    face = status_face(status)
    return {"label": label or status_label(status), "tone": face.tone, "icon": face.icon, "detail": detail}


@register.inclusion_tag("components/vendor_badge.html")
def vendor_badge(vendor: object, label: str = "") -> dict[str, Any]:
    """A vendor's mark and name; `label` (say the account's name) stands instead of the vendor's."""
    key = str(vendor)
    name = connector_class(key).short_label if key in VENDORS else key
    return {"key": key, "name": name, "label": label or name, "mark": name[:2]}


@register.inclusion_tag("components/timestamp.html")
def timestamp(moment: datetime | None, empty: str = formats.NOTHING) -> dict[str, Any]:
    """A moment as `<time>`: in words, whole in UTC on hover or by choice; `empty` stands for none."""
    if moment is None:
        return {"empty": empty}
    utc = formats.as_utc(moment)
    return {
        "iso": utc.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "absolute": formats.format_absolute(utc),
        "relative": formats.format_relative(utc, datetime.now(UTC)),
    }


@register.inclusion_tag("components/progress.html")
def progress(
    value: float | None, maximum: float | None = 100, label: str = "", hint: str = "", tone: str = "", name: str = ""
) -> dict[str, Any]:
    """A bar of `value` out of `maximum`; not known (None) moves without a figure. `name` becomes its id."""
    context = {"label": label, "hint": hint, "tone": tone, "name": name}
    if value is None or not maximum:
        return context
    # Texts, so that the page's number format can never put a comma into an attribute.
    return {**context, "value": str(value), "maximum": str(maximum), "share": formats.format_share(value / maximum)}


@register.inclusion_tag("components/balance.html")
def balance_line(total: int | None, unit: str = "rows", brief: bool = False, **parts: int | None) -> dict[str, Any]:
    """A total and the parts that make it up, in words and as a bar: `rows = duplicates + rejected + members`.

    `brief` leaves out parts that are nought, unless all are.
    The equals sign stands only when every number is known and they do add up; until then it says "so far".
    """
    if brief and any(parts.values()):
        parts = {name: amount for name, amount in parts.items() if amount != 0}
    known = {name.replace("_", " "): amount for name, amount in parts.items()}
    counted = [amount or 0 for amount in known.values()]
    balanced = total is not None and None not in known.values() and sum(counted) == total
    spans = _spans(counted, max(total or 0, sum(counted)))
    rows = [
        {"name": _of(amount, name), "amount": amount, "tone": PART_TONES.get(name, "mute"), "x": x, "width": width}
        for (name, amount), (x, width) in zip(known.items(), spans, strict=True)
    ]
    return {"total": total, "unit": _of(total, unit), "parts": rows, "balanced": balanced}


def _of(amount: int | None, plural: str) -> str:
    return plural.removesuffix("s") if amount == 1 else plural


def _spans(amounts: Sequence[int], total: int) -> list[tuple[int, int]]:
    """Where each part lies on a bar of 1000: to scale, but never too thin to see."""
    widths = [max(_SLIVER, round(amount * 1000 / total)) if amount and total else 0 for amount in amounts]
    if (excess := sum(widths) - 1000) > 0:
        widths[widths.index(max(widths))] -= excess
    starts = [sum(widths[:index]) for index in range(len(widths))]
    return list(zip(starts, widths, strict=True))


@register.inclusion_tag("components/sort_header.html", takes_context=True)
def sort_header(
    context: Context, label: str, key: str, target: str = "", numeric: bool = False, default: str = ""
) -> dict[str, Any]:
    """A column head that sorts by `?sort=key`, and back by `-key`; it keeps the filter and drops the cursor."""
    request: HttpRequest = context["request"]
    current = request.GET.get("sort", default)
    direction = {key: "ascending", f"-{key}": "descending"}.get(current, "")
    query = request.GET.copy()
    for parameter in CURSOR_PARAMETERS:
        query.pop(parameter, None)
    query["sort"] = f"-{key}" if direction == "ascending" else key
    return {
        "label": label,
        "url": f"?{query.urlencode()}",
        "direction": direction,
        "target": target,
        "numeric": numeric,
    }


@register.inclusion_tag("components/field.html")
def field(
    bound: BoundField, label: str = "", help_text: str = "", wide: bool = False, needed: bool = False
) -> dict[str, Any]:
    """A form field with its label, help, errors and the aria that ties them together.

    `needed` marks one as required that is so only together with another.
    """
    widget = bound.field.widget
    kind = _widget_kind(widget)
    css = f"{widget.attrs.get('class', '')} {_WIDGET_CLASSES[kind]}".strip()
    return {
        "field": bound,
        "kind": kind,
        "widget": "" if kind == "choices" else bound.as_widget(attrs={"class": _with_errors(css, bound)}),
        "label": label or bound.label,
        "help_text": help_text or bound.help_text,
        "required": bound.field.required or needed,
        "wide": wide,
    }


_WIDGET_CLASSES = {"check": "form-check-input", "select": "form-select", "text": "form-control", "choices": ""}


def _widget_kind(widget: Widget) -> str:
    if isinstance(widget, CheckboxInput):
        return "check"
    if isinstance(widget, RadioSelect | CheckboxSelectMultiple):
        return "choices"
    if isinstance(widget, Select):
        return "select"
    return "text"


def _with_errors(css: str, bound: BoundField) -> str:
    return f"{css} is-invalid" if bound.errors else css


@register.inclusion_tag("components/form_errors.html")
def form_errors(form: BaseForm | None) -> dict[str, Any]:
    """What a refused form must have mended, all of it at once, each line a link to its field."""
    if form is None:
        return {}
    fields = [bound for bound in form if bound.errors and not bound.is_hidden]
    hidden = [error for bound in form.hidden_fields() for error in bound.errors]
    return {"general": [*form.non_field_errors(), *hidden], "fields": fields}


@register.inclusion_tag("components/kv_list.html")
def kv_list(items: Mapping[str, object] | Iterable[tuple[str, object]]) -> dict[str, Any]:
    """Facts in two columns, from a mapping or pairs of name and value."""
    return {"items": list(items.items()) if isinstance(items, Mapping) else list(items)}


@register.inclusion_tag("components/stat_tile.html")
def stat_tile(
    label: str, value: object, hint: str = "", icon: str = "", tone: str = "", url: str = ""
) -> dict[str, Any]:
    """One figure that matters, with its name under which it is known everywhere else."""
    return {"label": label, "value": value, "hint": hint, "icon": icon, "tone": tone, "url": url}


@register.inclusion_tag("components/copy_field.html")
def copy_field(value: object, label: str, name: str = "") -> dict[str, Any]:
    """A value to be copied whole, with a button that does it."""
    return {"value": value, "label": label, "name": name}


@register.inclusion_tag("components/chart.html")
def chart(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[object]], kind: str = "line", unit: str = ""
) -> dict[str, Any]:
    """A plot and the table it is drawn from. The first column is a date or a word, the others are numbers.

    `kind` is `line`, `area` or `bars`; `unit` is `bytes`, `share` or nothing for counts.
    """
    cells = [(_chart_head(row[0]), [(_chart_raw(value), value) for value in row[1:]]) for row in rows]
    return {"caption": caption, "columns": columns, "rows": cells, "kind": kind, "unit": unit}


def _chart_head(value: object) -> tuple[str, str]:
    """What the plot reads and what people read, of a row's first cell."""
    if isinstance(value, datetime):
        utc = formats.as_utc(value)
        return utc.isoformat(), f"{utc.day} {utc:%b %Y, %H:%M} UTC"
    isoformat = getattr(value, "isoformat", None)
    return (isoformat(), f"{value:%d %b %Y}".lstrip("0")) if isoformat else (str(value), str(value))


def _chart_raw(value: object) -> str:
    number = formats.as_number(value)
    return "" if number is None else repr(number)


@register.simple_block_tag(end_name="endcard")
def card(
    content: SafeString,
    title: str = "",
    icon: str = "",
    hint: str = "",
    name: str = "",
    flush: bool = False,
    action_url: str = "",
    action_label: str = "",
) -> SafeString:
    """A surface with a heading; `flush` lets a table reach its edges."""
    return _component(
        "card",
        content=content,
        title=title,
        icon=icon,
        hint=hint,
        name=name,
        flush=flush,
        action_url=action_url,
        action_label=action_label,
    )


@register.simple_block_tag(end_name="endpage_header")
def page_header(
    content: SafeString, title: str, lead: str = "", crumbs: Sequence[Mapping[str, str]] = (), status: str = ""
) -> SafeString:
    """The head of a page: where one is, the one `h1`, a line on what it is for; the block holds its actions."""
    return _component("page_header", content=content, title=title, lead=lead, crumbs=crumbs, status=status)


@register.simple_block_tag(end_name="endempty_state")
def empty_state(content: SafeString, title: str, text: str = "", icon: str = "circle-dashed") -> SafeString:
    """What stands where a list has nothing; the block holds the next step as a button or link."""
    return _component("empty_state", content=content, title=title, text=text, icon=icon)


@register.simple_block_tag(takes_context=True, end_name="endfilter_bar")
def filter_bar(
    context: Context,
    content: SafeString,
    label: str = "Filter",
    search: str = "",
    search_label: str = "Search",
    target: str = "",
    export_url: str = "",
) -> SafeString:
    """A list's filter as a plain GET form; the block holds the further fields. `search` is the field's name."""
    request: HttpRequest = context["request"]
    filters = {name: value for name, value in request.GET.items() if name not in CURSOR_PARAMETERS and value}
    return _component(
        "filter_bar",
        content=content,
        label=label,
        search=search,
        search_label=search_label,
        search_value=request.GET.get(search, "") if search else "",
        sort=request.GET.get("sort", ""),
        filtered=bool(set(filters) - {"sort"}),
        path=request.path,
        target=target,
        export_url=export_url,
    )


@register.simple_block_tag(end_name="enddialog")
def dialog(content: SafeString, name: str, title: str, wide: bool = False) -> SafeString:
    """A modal dialog that `data-dialog-open="name"` on a button opens; the block holds its body."""
    return _component("dialog", content=content, name=name, title=title, wide=wide)


@register.simple_block_tag(end_name="endtable_region")
def table_region(content: SafeString, label: str, stack: bool = False) -> SafeString:
    """Holds a table that may be wider than the screen; `stack` turns its rows into cards on a phone."""
    return _component("table_region", content=content, label=label, stack=stack)


def _component(component: str, **context: Any) -> SafeString:
    return render_to_string(f"components/{component}.html", context)
