"""What a form refuses is said in our words: one short line that goes with the name of the field."""

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.test import Client

from audsync_web.people.models import Company, User
from audsync_web.templatetags.ui import form_errors
from tests.conftest import LoggedIn
from tests.factories import make_vendor_account

pytestmark = pytest.mark.django_db


class EveryKind(forms.Form):
    """A field of each kind that our forms have, with each of its limits."""

    days = forms.IntegerField(min_value=1, max_value=3650)
    share = forms.DecimalField(min_value=0, max_value=100, decimal_places=1)
    gigabytes = forms.FloatField(min_value=0.001)
    name = forms.CharField(max_length=5)
    day = forms.DateField()
    role = forms.ChoiceField(choices=[("admin", "Admin")])
    places = forms.TypedMultipleChoiceField(choices=[("1", "One")], coerce=int)
    person = forms.ModelChoiceField(User.objects.none())
    email = forms.EmailField()


GOOD = {"days": 1, "share": 2, "gigabytes": 3, "name": "Kim", "day": "2027-03-31", "role": "admin", "places": ["1"]}
GOOD |= {"email": "kim@northwind.example"}


@pytest.mark.parametrize(
    ("field", "typed", "line"),
    [
        ("days", "0", "must be at least 1"),
        ("days", "3651", "must be at most 3650"),
        ("days", "1.5", "must be a whole number"),
        ("share", "101", "must be at most 100"),
        ("share", "1.25", "has too many decimals: 1 at most"),
        ("share", "many", "must be a number"),
        ("gigabytes", "0", "must be at least 0.001"),
        ("gigabytes", "many", "must be a number"),
        ("name", "", "is missing"),
        ("name", "Kimberly", "must have at most 5 characters; it has 8"),
        ("name", "K\0", "must hold no null character"),
        ("day", "tomorrow", "must be a day like 2027-03-31"),
        ("role", "king", "must be one of those that are offered"),
        ("places", ["2"], "must be one of those that are offered"),
        ("person", "7", "must be one of those that are offered"),
        ("email", "kim", "must be an e-mail address"),
    ],
)
def test_a_fault_is_told_in_one_short_line_of_our_words(field: str, typed: Any, line: str) -> None:
    assert EveryKind(GOOD | {field: typed}).errors[field] == [line]


@pytest.mark.parametrize(
    ("url", "typed", "label", "line"),
    [
        ("/company/settings", {"keep_originals_days": "4000"}, "Keep uploaded files (days)", "must be at most 3650"),
        ("/segments/new", {"name": "x", "duration_days": "0"}, "Members stay for (days)", "must be at least 1"),
        ("/keys", {"name": ""}, "Name", "is missing"),
        ("/people/invite", {"email": "kim", "role": "admin"}, "E-mail address", "must be an e-mail address"),
    ],
)
def test_a_page_tells_a_fault_at_its_field_and_above_all_fields(
    url: str, typed: dict[str, str], label: str, line: str, logged_in: LoggedIn, admin: User, company: Company
) -> None:
    make_vendor_account(company)
    page = logged_in(admin).post(url, typed).content.decode()
    assert f"{label}</a>: {line}" in page
    assert f"<span>{line}</span>" in page
    assert "Ensure" not in page
    assert "This field" not in page


def test_the_login_page_has_the_same_words(client: Client) -> None:
    form = client.post("/login", {"username": "", "password": ""}).context["form"]
    assert {str(bound.errors[0]) for bound in form_errors(form)["fields"]} == {"is missing"}
