"""`manage.py provision`: what the file says, all of it or nothing."""

from __future__ import annotations

import copy
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from audsync_web.people.models import AuditEntry, Company, Membership, Role, User
from audsync_web.vendors.models import VendorAccount
from tests.factories import make_person

PEOPLE = [
    {"email": "mo@northwind.example", "password": "correct horse battery", "role": "manager"},
    {"email": "Ada@northwind.example", "password": "staple of the day", "role": "admin", "name": "Ada"},
]
ACCOUNTS = [
    {
        "vendor": "anonymised",
        "name": "Anonymised EU",
        "baseUrl": "http://127.0.0.1:9001/api/public/v3",
        "credentials": {"email": "ops@northwind.example", "password": "vendor-secret-one"},
        "settings": {},
    },
    {
        "vendor": "mediarithmics",
        "name": "mics",
        "baseUrl": "http://127.0.0.1:9002/v1",
        "credentials": {"apiToken": "vendor-secret-two"},
        "settings": {"datamartId": "1471", "organisationId": "612", "identifier": "email_sha256"},
    },
    {
        "vendor": "synerise",
        "name": "Synerise",
        "baseUrl": "http://127.0.0.1:9003",
        "credentials": {"apiKey": "vendor-secret-three"},
        "settings": {"identifier": "custom_id"},
    },
    {
        "vendor": "xandr",
        "name": "Xandr seat",
        "baseUrl": "http://127.0.0.1:9004",
        "credentials": {"username": "seat", "password": "vendor-secret-four"},
        "settings": {
            "memberId": 7702,
            "identifier": "xandr_id",
            "uploadHosts": ["127.0.0.1"],
            "minSecondsBetweenUploads": 60,
            "newSegmentWaitMinutes": 20,
            "pollFirstSeconds": 60,
            "pollMaxSeconds": 900,
        },
    },
    {
        "vendor": "acoustic",
        "name": "Exchange",
        "baseUrl": "http://127.0.0.1:9005",
        "credentials": {"authKey": "vendor-secret-five"},
        "settings": {"keyLevel": "endpoint"},
    },
]
DOCUMENT = {
    "companies": [{"slug": "northwind", "name": "Northwind Outdoor", "people": PEOPLE, "vendorAccounts": ACCOUNTS}]
}


@pytest.fixture
def document() -> Any:
    return copy.deepcopy(DOCUMENT)


@pytest.fixture
def provision(tmp_path: Path, db: None) -> Any:
    """Runs the command on a document; what it printed, line by line."""

    def run(document: Any) -> list[str]:
        file = tmp_path / "provision.json"
        file.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
        out = io.StringIO()
        call_command("provision", str(file), stdout=out, stderr=io.StringIO())
        return out.getvalue().splitlines()

    return run


def test_the_contracts_own_example_is_carried_out_and_told_line_by_line(provision: Any, document: Any) -> None:
    lines = provision(document)
    assert lines == [
        "made company northwind",
        "made ada@northwind.example admin of northwind",
        "made mo@northwind.example manager of northwind",
        "made vendor account Anonymised EU (anonymised) of northwind",
        "made vendor account mics (mediarithmics) of northwind",
        "made vendor account Synerise (synerise) of northwind",
        "made vendor account Xandr seat (xandr) of northwind",
        "made vendor account Exchange (acoustic) of northwind",
    ]
    assert User.objects.get(email="mo@northwind.example").check_password("correct horse battery")
    account = VendorAccount.objects.get(name="Xandr seat")
    assert (account.settings["memberId"], account.credentials["password"]) in [
        (7702, "vendor-secret-four"),
        ("7702", "vendor-secret-four"),
    ]


def test_running_it_again_changes_nothing_and_prints_nothing(provision: Any, document: Any) -> None:
    provision(document)
    entries = AuditEntry.objects.count()
    assert provision(document) == []
    assert AuditEntry.objects.count() == entries


def test_what_differs_is_changed_and_named(provision: Any, document: Any) -> None:
    provision(document)
    company = document["companies"][0]
    company["name"] = "Northwind"
    company["people"][0] |= {"role": "marketer", "password": "another horse"}
    company["vendorAccounts"][0]["credentials"]["password"] = "rotated"
    assert provision(document) == [
        "changed company northwind: name",
        "changed mo@northwind.example in northwind: role, password",
        "changed vendor account Anonymised EU (anonymised) of northwind",
    ]
    assert VendorAccount.objects.get(name="Anonymised EU").credentials["password"] == "rotated"
    assert Membership.objects.get(user__email="mo@northwind.example").role == Role.MARKETER


def test_an_account_that_a_person_paused_stays_paused_with_what_differs(provision: Any, document: Any) -> None:
    provision(document)
    VendorAccount.objects.filter(name="Synerise").update(status="paused", next_action_at=None)
    document["companies"][0]["vendorAccounts"][2]["credentials"]["apiKey"] = "rotated"
    assert provision(document) == ["changed vendor account Synerise (synerise) of northwind"]
    account = VendorAccount.objects.get(name="Synerise")
    assert (account.status, account.next_action_at, account.credentials) == ("paused", None, {"apiKey": "rotated"})


def test_people_and_accounts_that_the_file_does_not_name_stay(provision: Any, document: Any) -> None:
    provision(document)
    document["companies"][0] |= {"people": [], "vendorAccounts": []}
    assert provision(document) == []
    assert (Membership.objects.count(), VendorAccount.objects.count()) == (2, 5)


def test_no_secret_is_printed_or_put_into_the_audit_trail(
    provision: Any, document: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "\n".join(provision(document)) + str(capsys.readouterr())
    told += str(list(AuditEntry.objects.values()))
    for secret in ("correct horse", "staple", "vendor-secret"):
        assert secret not in told


def test_a_credential_may_come_from_the_environment(
    provision: Any, document: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    document["companies"][0]["vendorAccounts"][0]["credentials"]["password"] = {"env": "VENDOR_PASSWORD"}
    with pytest.raises(CommandError, match=r"credentials\.password: the environment variable VENDOR_PASSWORD is not"):
        provision(document)
    monkeypatch.setenv("VENDOR_PASSWORD", "from outside")
    provision(document)
    assert VendorAccount.objects.get(name="Anonymised EU").credentials["password"] == "from outside"


FAULTS: list[tuple[list[Any], Any, str]] = [
    (["slug"], "Not A Slug", "companies[0].slug: may hold only letters, digits, - and _"),
    (["name"], None, "companies[0].name: is missing"),
    (["colour"], "red", "companies[0].colour: is not known here"),
    (["people"], {}, "companies[0].people: must be a list"),
    (["people", 0, "email"], "nobody", "companies[0].people[0].email: is no e-mail address"),
    (["people", 0, "role"], "king", "companies[0].people[0].role: must be one of manager, marketer, admin"),
    (["people", 0, "password"], "", "companies[0].people[0].password: is missing"),
    (["people", 0, "password"], 7, 'companies[0].people[0].password: must be text or {"env": "NAME"}'),
    (
        ["people", 1, "email"],
        "mo@northwind.example",
        "companies[0].people[1].email: is the same as companies[0].people[0]",
    ),
    (["vendorAccounts", 0, "vendor"], "none", "companies[0].vendorAccounts[0].vendor: must be one of anonymised"),
    (["vendorAccounts", 0, "baseUrl"], "ftp://x", "companies[0].vendorAccounts[0].baseUrl: must be an address"),
    (["vendorAccounts", 1, "credentials"], {}, "companies[0].vendorAccounts[1].credentials.apiToken: is missing"),
    (
        ["vendorAccounts", 3, "settings", "memberId"],
        None,
        "companies[0].vendorAccounts[3].settings.memberId: is missing",
    ),
    (["vendorAccounts", 3, "settings", "colour"], 1, "companies[0].vendorAccounts[3].settings.colour: is not a"),
    (["vendorAccounts", 1, "name"], "Synerise", "companies[0].vendorAccounts[2].name: is the same as"),
]


@pytest.mark.parametrize(("path", "value", "line"), FAULTS)
def test_a_fault_is_one_clear_line_with_its_place_and_nothing_is_made(
    path: list[Any], value: Any, line: str, provision: Any, document: Any
) -> None:
    holder = document["companies"][0]
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    with pytest.raises(CommandError) as refused:
        provision(document)
    assert any(found.strip().startswith(line) for found in str(refused.value).splitlines()), str(refused.value)
    assert not Company.objects.exists()
    assert not User.objects.exists()


def test_all_faults_are_told_at_once(provision: Any, document: Any) -> None:
    document["companies"][0]["people"][0]["role"] = "king"
    document["companies"][0]["vendorAccounts"][3]["settings"].pop("memberId")
    document["extra"] = 1
    with pytest.raises(CommandError) as refused:
        provision(document)
    assert len(str(refused.value).splitlines()) == 4


@pytest.mark.parametrize(
    ("text", "line"),
    [("{", "line 1, column 2: is no JSON"), ("[]", "the file: must be an object"), ("{}", "companies: is missing")],
)
def test_a_file_of_another_kind_is_refused(text: str, line: str, provision: Any) -> None:
    with pytest.raises(CommandError, match=line):
        provision(text)


def test_what_fails_late_leaves_nothing_behind(provision: Any, document: Any) -> None:
    provision(document)
    second = {**copy.deepcopy(document["companies"][0]), "slug": "southwind"}
    document["companies"].insert(0, second)
    document["companies"][1]["vendorAccounts"][4] |= {
        "vendor": "synerise",
        "credentials": {"apiKey": "x"},
        "settings": {"identifier": "custom_id"},
    }
    with pytest.raises(CommandError, match=r"companies\[1\]\.vendorAccounts\[4\]\.vendor: is acoustic already"):
        provision(document)
    assert [company.slug for company in Company.objects.all()] == ["northwind"]


def test_the_last_admin_is_not_demoted_by_a_file(provision: Any, document: Any) -> None:
    provision(document)
    document["companies"][0]["people"][1]["role"] = "marketer"
    with pytest.raises(CommandError, match=r"companies\[0\]\.people\[1\]: The company needs an admin"):
        provision(document)


def test_a_person_of_another_company_is_the_same_person(provision: Any, document: Any, other_company: Company) -> None:
    make_person(other_company, Role.ADMIN, email="mo@northwind.example")
    assert "made mo@northwind.example manager of northwind" in provision(document)
    assert User.objects.filter(email="mo@northwind.example").count() == 1


def test_the_file_may_come_from_standard_input(document: Any, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(json.dumps(document).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    out = io.StringIO()
    call_command("provision", "-", stdout=out)
    assert "made company northwind" in out.getvalue()


def test_before_the_first_start_a_private_data_folder_is_made_without_complaint(document: Any, tmp_path: Path) -> None:
    file, data = tmp_path / "plan.json", tmp_path / "data"
    file.write_text(json.dumps(document))
    environment = {
        "PATH": os.environ["PATH"],
        "AUDSYNC_DATA_DIR": str(data),
        "AUDSYNC_ALLOW_PRIVATE_VENDOR_HOSTS": "1",
    }
    done = subprocess.run(
        [sys.executable, settings.BASE_DIR / "manage.py", "provision", file],
        env=environment,
        umask=0o022,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "made company northwind" in done.stdout
    open_to_others = [path.name for path in [data, *data.rglob("*")] if path.stat().st_mode & 0o077]
    assert (data / "audsync.sqlite3").exists()
    assert not open_to_others


def test_a_file_that_is_not_there_is_one_line(db: None) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("provision", "/nowhere/provision.json")
