"""What the components promise to the people who read the pages."""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from django import forms
from django.conf import settings
from django.http import HttpRequest
from django.template import engines
from django.template.loader import render_to_string
from django.test import RequestFactory

from audsync_web.templatetags import formats, statuses, ui
from audsync_web.vendors.connectors.registry import VENDORS

ROOT = Path(settings.BASE_DIR)
COMPONENTS = ROOT / "templates" / "components"
NOW = datetime(2026, 11, 22, 4, 47, 12, tzinfo=UTC)

DESIGN_WORDS = [
    "receiving",
    "inspecting",
    "ready",
    "delivering",
    "completed",
    "partial",
    "failed",
    "cancelled",
    "queued",
    "preparing",
    "sending",
    "submitted",
    "processing",
    "superseded",
    "staged",
    "created",
    "creating",
    "publishing",
    "published",
    "archived",
    "pending",
]


def render(source: str, request: HttpRequest | None = None, **context: Any) -> str:
    template = engines["django"].from_string("{% load ui %}" + source)
    return str(template.render(context, request or RequestFactory().get("/uploads/")))


class ConnectForm(forms.Form):
    name = forms.CharField(help_text="As your colleagues will know it.")
    region = forms.ChoiceField(choices=[("eu", "Europe")])
    mode = forms.ChoiceField(widget=forms.RadioSelect, choices=[("replace", "Replace"), ("add", "Add")])
    size = forms.IntegerField(required=False)
    agree = forms.BooleanField()


def refused_form() -> ConnectForm:
    form = ConnectForm({"region": "moon"})
    form.add_error(None, "The vendor refused these credentials.")
    return form


class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (984581, "984 581"),
            (0, "0"),
            (999, "999"),
            (-3011, "~3 011"),
            (None, "—"),
            ("", "—"),
            ("1200", "1 200"),
            (Decimal(5000), "5 000"),
            (True, "—"),
        ],
    )
    def test_a_count_has_thin_spaces_and_an_unknown_one_is_a_dash(self, value: object, shown: str) -> None:
        assert formats.format_count(value) == shown.replace(" ", formats.THIN).replace("~", formats.MINUS)

    def test_a_sentence_has_its_numbers_as_the_page_has_them(self) -> None:
        told = formats.format_prose("900 of 1,200 leave, 1,234,567 stay; 12,3456 and crm,77 are no numbers")
        assert told == "900 of 1~200 leave, 1~234~567 stay; 12,3456 and crm,77 are no numbers".replace(
            "~", formats.THIN
        )
        assert render("{{ text|prose }}", text="<b> 1,000") == f"&lt;b&gt; 1{formats.THIN}000"

    @pytest.mark.parametrize(("value", "shown"), [(12408, "+12 408"), (-3011, "~3 011"), (0, "0"), (None, "—")])
    def test_a_change_carries_its_sign(self, value: object, shown: str) -> None:
        assert formats.format_signed(value) == shown.replace(" ", formats.THIN).replace("~", formats.MINUS)

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1 kB"),
            (50_000_000, "50 MB"),
            (1_234_567_890, "1.2 GB"),
            (999_700, "1 MB"),
            (10**18, "1000 PB"),
            (None, "—"),
        ],
    )
    def test_a_size_is_in_the_decimal_units_of_the_vendors(self, value: object, shown: str) -> None:
        assert formats.format_bytes(value) == shown.replace(" ", formats.THIN)

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (0, "0~s"),
            (4.4, "4~s"),
            (200, "3~min 20~s"),
            (3600, "1~h"),
            (3605, "1~h"),
            (7500, "2~h 5~min"),
            (timedelta(days=3, hours=4, minutes=9), "3~d 4~h"),
            (-5, "0~s"),
            (None, "—"),
        ],
    )
    def test_a_duration_names_its_two_largest_units(self, value: object, shown: str) -> None:
        assert formats.format_duration(value) == shown.replace("~", formats.THIN)

    @pytest.mark.parametrize(
        ("value", "shown"),
        [(1, "100~%"), (0.99999, "99.9~%"), (0.00001, "<~0.1~%"), (0, "0~%"), (0.412, "41.2~%"), (None, "—")],
    )
    def test_only_all_is_a_hundred_percent_and_only_none_is_nought(self, value: object, shown: str) -> None:
        assert formats.format_share(value) == shown.replace("~", formats.THIN)


class TestTimes:
    @pytest.mark.parametrize(
        ("distance", "shown"),
        [
            (timedelta(seconds=2), "just now"),
            (timedelta(seconds=42), "42~s ago"),
            (timedelta(minutes=3, seconds=50), "3~min ago"),
            (timedelta(hours=2), "2~h ago"),
            (timedelta(days=1), "1~day ago"),
            (timedelta(days=5), "5~days ago"),
            (timedelta(minutes=-5), "in 5~min"),
            (timedelta(days=40), "13 Oct 2026"),
        ],
    )
    def test_a_moment_is_told_from_now(self, distance: timedelta, shown: str) -> None:
        assert formats.format_relative(NOW - distance, NOW) == shown.replace("~", formats.THIN)

    def test_a_timestamp_carries_the_whole_moment_in_utc(self) -> None:
        berlin = datetime(2026, 11, 22, 5, 47, 12, tzinfo=timezone(timedelta(hours=1)))
        html = render("{% timestamp moment %}", moment=berlin)
        assert 'datetime="2026-11-22T04:47:12Z"' in html
        assert 'title="22 Nov 2026, 04:47:12 UTC"' in html

    def test_a_moment_that_never_was_is_said_in_words(self) -> None:
        html = render('{% timestamp moment "never" %}', moment=None)
        assert "never" in html
        assert "<time" not in html


class TestStatus:
    @pytest.mark.parametrize("word", [*DESIGN_WORDS, "needs attention"])
    def test_every_status_word_has_a_face_of_its_own(self, word: str) -> None:
        assert statuses.status_word(word) in statuses.FACES

    def test_statuses_of_one_job_are_told_apart_without_colour(self) -> None:
        ends = ["completed", "partial", "failed", "cancelled", "superseded", "staged", "needs attention"]
        assert len({statuses.status_face(word).icon for word in ends}) == len(ends)

    @pytest.mark.parametrize("spelling", ["needs attention", "needs_attention", "NEEDS_ATTENTION"])
    def test_a_status_is_known_in_each_spelling(self, spelling: str) -> None:
        html = render("{% status_badge word %}", word=spelling)
        assert "state-warn" in html
        assert "Needs attention" in html

    def test_an_unknown_word_is_shown_as_it_is(self) -> None:
        html = render("{% status_badge word %}", word="ODD_<word>")
        assert "ODD_&lt;word&gt;" in html
        assert "state-mute" in html

    def test_the_vendors_own_word_stands_beside_ours(self) -> None:
        assert "VALIDATING" in render('{% status_badge "processing" detail="VALIDATING" %}')

    def test_every_icon_that_is_named_is_in_the_sprite(self) -> None:
        sprite = ElementTree.parse(ROOT / "static/img/icons.svg")  # noqa: S314 (our own file)
        drawn = {symbol.get("id") for symbol in sprite.getroot()}
        sources = [*(ROOT / "templates").rglob("*.html")]
        named = {name for path in sources for name in re.findall(r'{% icon "([^"]+)"', path.read_text())}
        named |= {face.icon for face in statuses.FACES.values()} | {statuses.UNKNOWN.icon}
        assert named
        assert named <= drawn

    def test_an_icon_is_silent_unless_it_has_a_name(self) -> None:
        assert 'aria-hidden="true"' in ui.icon("upload")
        assert 'aria-label="Upload"' in ui.icon("upload", label="Upload")


class TestBalance:
    def test_numbers_that_add_up_are_joined_by_an_equals_sign(self) -> None:
        html = render('{% balance_line 100 "rows" duplicates=12 rejected=3 members=85 %}')
        assert "=\n" in html
        assert "so far" not in html
        assert [int(width) for width in re.findall(r'width="(\d+)"', html)] == [120, 30, 850]

    @pytest.mark.parametrize("members", [None, 84])
    def test_numbers_that_do_not_add_up_yet_never_claim_to(self, members: int | None) -> None:
        html = render('{% balance_line 100 "rows" rejected=15 members=members %}', members=members)
        assert "so far" in html

    def test_a_tiny_part_can_still_be_seen_and_the_bar_never_overflows(self) -> None:
        spans = ui._spans([1, 0, 10_000_000], 10_000_001)
        assert spans[0][1] >= 4
        assert spans[1][1] == 0
        assert sum(width for _, width in spans) == 1000

    def test_one_is_not_told_in_the_plural(self) -> None:
        html = render('{% balance_line 3 "rows" members=2 duplicates=1 rejected=0 %}')
        assert re.search(r">1</span> duplicate<", html)
        assert re.search(r">2</span> members<", html)

    def test_an_empty_total_has_an_empty_bar(self) -> None:
        assert "<rect" not in render('{% balance_line 0 "rows" members=0 %}')


class TestProgress:
    def test_a_bar_tells_its_share_and_name(self) -> None:
        html = render('{% progress 412 1000 label="Xandr seat" name="bar" %}')
        assert '<progress id="bar" max="1000" value="412" aria-label="Xandr seat">' in html
        assert f"41.2{formats.THIN}%" in html

    @pytest.mark.parametrize("maximum", [None, 0])
    def test_a_bar_without_a_known_end_claims_no_figure(self, maximum: int | None) -> None:
        html = render("{% progress 5 maximum label='Waiting' %}", maximum=maximum)
        assert "value=" not in html
        assert "%" not in html


class TestForms:
    def test_a_field_ties_its_label_help_and_error_together(self) -> None:
        html = render("{% field form.name %}", form=refused_form())
        assert '<label class="form-label" for="id_name">' in html
        assert 'aria-describedby="id_name_helptext id_name_error"' in html
        assert 'id="id_name_helptext"' in html
        assert 'id="id_name_error"' in html
        assert 'aria-invalid="true"' in html
        assert 'class="form-control is-invalid"' in html

    def test_an_optional_field_says_so(self) -> None:
        assert "optional" in render("{% field form.size %}", form=ConnectForm())

    def test_choices_are_a_group_with_a_legend(self) -> None:
        html = render("{% field form.mode %}", form=ConnectForm())
        assert "<legend" in html
        assert html.count('type="radio"') == 2

    def test_a_tick_box_sits_in_its_label(self) -> None:
        html = render("{% field form.agree %}", form=ConnectForm())
        assert re.search(r'<label class="form-check"><input type="checkbox"[^>]*class="form-check-input"', html)

    def test_the_summary_lists_every_error_at_once_with_links(self) -> None:
        html = render("{% form_errors form %}", form=refused_form())
        assert "The vendor refused these credentials." in html
        assert "4 fields need another look" in html
        assert 'href="#id_name"' in html
        assert 'href="#id_region"' in html

    def test_a_good_form_has_no_summary(self) -> None:
        assert render("{% form_errors form %}", form=ConnectForm()).strip() == ""


class TestLists:
    def test_a_sorted_head_turns_round_keeps_the_filter_and_drops_the_cursor(self) -> None:
        request = RequestFactory().get("/history/?status=failed&sort=when&cursor=abc")
        html = render('<table><tr>{% sort_header "When" "when" %}</tr></table>', request)
        assert 'aria-sort="ascending"' in html
        assert 'href="?status=failed&amp;sort=-when"' in html

    def test_a_head_shows_the_order_that_holds_when_nothing_was_chosen(self) -> None:
        html = render('{% sort_header "When" "when" default="-when" %}')
        assert 'aria-sort="descending"' in html

    def test_the_filter_keeps_what_was_searched_and_offers_to_clear_it(self) -> None:
        request = RequestFactory().get("/history/?q=%3Cb%3E&sort=when")
        html = render('{% filter_bar search="q" target="#results" %}{% endfilter_bar %}', request)
        assert 'value="&lt;b&gt;"' in html
        assert 'name="sort" value="when"' in html
        assert 'hx-get="/history/"' in html
        assert "data-filter-clear>" in html

    def test_an_unfiltered_list_has_nothing_to_clear(self) -> None:
        request = RequestFactory().get("/history/?sort=when&cursor=abc")
        assert "data-filter-clear hidden" in render('{% filter_bar search="q" %}{% endfilter_bar %}', request)

    def test_pages_have_links_only_where_there_is_more(self) -> None:
        html = render_to_string("components/pagination.html", {"older_url": "?before=7", "newer_url": ""})
        assert 'rel="next"' in html
        assert 'rel="prev"' not in html


class TestChart:
    def test_a_plot_is_drawn_from_a_table_that_stays(self) -> None:
        html = render(
            '{% chart "Members" columns rows "area" %}',
            columns=["Day", "Members", "Refused"],
            rows=[(date(2026, 10, 1), 984581, None)],
        )
        assert 'data-chart="area"' in html
        assert '<th scope="row" data-value="2026-10-01">1 Oct 2026</th>' in html
        assert f'data-value="984581">984{formats.THIN}581</td>' in html
        assert 'data-value="">—</td>' in html

    def test_a_plot_without_figures_says_so(self) -> None:
        assert "Nothing to plot yet" in render('{% chart "Members" columns rows %}', columns=["Day"], rows=[])


class TestBlocks:
    def test_what_is_put_into_a_component_from_outside_is_escaped(self) -> None:
        html = render(
            "{% card title %}{{ text }}{% endcard %}{% copy_field text 'id' %}{% vendor_badge 'xandr' text %}"
            "{% empty_state title %}{% endempty_state %}{% kv_list facts %}{% stat_tile title text %}",
            title="<script>",
            text='"><script>',
            facts={"<script>": "<script>"},
        )
        assert "<script>" not in html

    def test_a_vendor_is_named_even_when_it_is_new(self) -> None:
        assert "Acoustic Exchange" in render('{% vendor_badge "acoustic" %}')
        assert "newvendor" in render('{% vendor_badge "newvendor" %}')

    def test_a_dialog_is_named_by_its_title(self) -> None:
        html = render('{% dialog "rename" "Rename it" %}body{% enddialog %}')
        assert 'id="rename" aria-labelledby="rename-title"' in html

    def test_the_banner_appears_only_while_no_worker_runs(self) -> None:
        assert "No worker is running" in render_to_string("components/worker_banner.html", {"workers_missing": True})
        assert "No worker" not in render_to_string("components/worker_banner.html", {})


def guide() -> dict[str, Any]:
    return {
        "crumbs": [{"label": "Segments", "url": "#s"}, {"label": "Lapsed buyers"}],
        "tabs": [{"label": "Destinations", "url": "#d", "active": True, "count": 3}],
        "words": [*DESIGN_WORDS, "needs attention", "ODD_WORD"],
        "vendors": list(VENDORS),
        "facts": [("File", "lapsed-2026.csv")],
        "events": [{"title": "Received", "at": NOW, "text": "370 MB", "tone": "ok"}],
        "columns": ["Day", "Members"],
        "rows": [(date(2026, 10, day), 900000 + day) for day in range(1, 20)],
        "bar_columns": ["Vendor", "Accepted"],
        "bars": [("Anonymised", 984581), ("Xandr", 701332)],
    }


def render_guide() -> str:
    request: Any = RequestFactory().get("/")
    northwind = SimpleNamespace(slug="northwind", name="Northwind Outdoor")
    contoso = SimpleNamespace(slug="contoso", name="Contoso Travel")
    request.company = northwind
    request.memberships = [SimpleNamespace(company=each, role="manager") for each in (northwind, contoso)]
    request.user = SimpleNamespace(email="mo@northwind.example")
    context = {
        "request": request,
        "navigation": [
            {"label": "Overview", "url": "/", "icon": "layout-dashboard", "active": True},
            {"label": "People", "url": "/people/", "icon": "users", "group": "Administration"},
        ],
        "logout_url": "/logout",
        "company_switch_url": "/switch",
        "form": refused_form(),
        "at": NOW,
        "soon": NOW + timedelta(minutes=5),
        "guide": guide(),
    }
    return render_to_string("components/_styleguide.html", context)


@pytest.mark.parametrize(
    ("days", "words"),
    [(-3, "3\u202fdays ago"), (-1, "yesterday"), (0, "today"), (1, "tomorrow"), (9, "in 9\u202fdays")],
)
def test_a_day_is_days_away_and_not_hours(days: int, words: str) -> None:
    assert formats.format_days_away(datetime.now(UTC).date() + timedelta(days=days)) == words


class TestPages:
    def test_every_component_renders_together_without_an_inline_script_or_style(self) -> None:
        html = render_guide()
        assert not re.search(r"<[^>]+\sstyle=", html)
        assert not re.search(r"<[^>]+\son[a-z]+=", html)
        assert "<style" not in html
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))

    def test_nothing_comes_from_another_host(self) -> None:
        assert not re.search(r'(?:src|href)="(?:https?:)?//', render_guide())

    def test_the_page_that_one_is_on_and_the_company_are_marked(self) -> None:
        html = render_guide()
        assert '<a href="/" aria-current="page">' in html
        assert 'value="northwind" aria-current="true"' in html
        assert 'action="/logout"' in html

    def test_no_id_is_given_twice(self) -> None:
        ids = re.findall(r'\sid="([^"]+)"', render_guide())
        assert len(ids) == len(set(ids))

    @pytest.mark.parametrize("name", ["500.html", "error.html"])
    def test_an_error_page_needs_no_request(self, name: str) -> None:
        html = render_to_string(name, {"heading": "Nothing is here", "shell": "base_plain.html"})
        assert html.count("<h1") == 1
        assert "<title>" in html

    def test_the_page_for_a_broken_server_uses_no_other_template(self) -> None:
        source = (ROOT / "templates/500.html").read_text()
        assert not re.search(r"{% (?:extends|include|load|static|url)", source)

    def test_every_component_says_what_it_takes(self) -> None:
        heads = {path.name: path.read_text().lstrip() for path in COMPONENTS.glob("*.html")}
        assert [name for name, text in heads.items() if not text.startswith("{#")] == []
