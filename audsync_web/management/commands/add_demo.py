"""`manage.py add_demo`: the demo's company, its people, and its accounts at the local sandbox."""

from __future__ import annotations

import secrets
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from audsync_web.people.actors import system_actor
from audsync_web.people.models import Company, Role
from audsync_web.people.services import company_create, person_add
from audsync_web.vendors.services import account_provision, account_values

WAIT_SECONDS = 30.0
SAMPLE_ROWS = 100_000
FIRST_SAMPLE = 7_314_159_265_358_000_000
PEOPLE = (
    ("mo@northwind.example", "Mo Castellan", Role.MANAGER, "client success manager"),
    ("ines@northwind.example", "Ines Okafor", Role.MARKETER, "marketer"),
    ("ada@northwind.example", "Ada Lindqvist", Role.ADMIN, "admin"),
)
NAMES = {
    "anonymised": "Anonymised EU",
    "mediarithmics": "mediarithmics",
    "synerise": "Synerise",
    "xandr": "Xandr seat",
    "acoustic": "Exchange",
}
# The sandbox answers in seconds, so the demo asks in seconds: nobody should wait an hour to see how it looks.
QUICK: dict[str, dict[str, Any]] = {
    "anonymised": {"pollFirstSeconds": 1, "pollMaxSeconds": 2, "minSecondsBetweenUploads": 2, "requestsPerSecond": 20},
    # Fed with account ids, so that one file of plain numbers reaches every vendor of the demo.
    "mediarithmics": {
        "identifier": "user_account_id",
        "compartmentId": "1042",
        "pollFirstSeconds": 1,
        "pollMaxSeconds": 2,
        "requestsPerSecond": 20,
    },
    "synerise": {"pollFirstSeconds": 1, "pollMaxSeconds": 2, "requestsPerSecond": 50},
    "xandr": {"pollFirstSeconds": 1, "pollMaxSeconds": 2, "minSecondsBetweenUploads": 5},
    "acoustic": {},
}


class Command(BaseCommand):
    """Make the demo company; prints how to log in."""

    help = "Make the demo company, connected to a running sandbox."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--sandbox", required=True, help="where the sandbox answers")

    def handle(self, *args: Any, **options: Any) -> None:
        accounts = _demo_accounts(options["sandbox"])
        passwords = {email: secrets.token_urlsafe(9) for email, *_ in PEOPLE}
        with transaction.atomic():
            company = company_create(slug="northwind", name="Northwind Outdoor")
            self._add_people(company, passwords)
            self._connect(company, accounts)
        self.stdout.write("Northwind Outdoor, connected to five vendors in the local sandbox. Log in as:")
        for email, _, _, label in PEOPLE:
            self.stdout.write(f"  {email:26} {passwords[email]:14} ({label})")
        self.stdout.write(f"A file of {SAMPLE_ROWS:,} members to try: {_sample_file()}")

    def _add_people(self, company: Company, passwords: dict[str, str]) -> None:
        actor = system_actor(company, "command")
        for email, name, role, _ in PEOPLE:
            person_add(actor=actor, email=email, role=role, password=passwords[email], name=name)

    def _connect(self, company: Company, accounts: dict[str, Any]) -> None:
        actor = system_actor(company, "command")
        for vendor, given in accounts.items():
            checked = account_values(
                vendor=vendor,
                base_url=given["baseUrl"],
                credentials=given["credentials"],
                settings={**given["settings"], **QUICK.get(vendor, {})},
            )
            account_provision(actor=actor, name=NAMES.get(vendor, vendor), checked=checked)


def _sample_file() -> Path:
    """A file that every vendor of the demo can take, with a few rows that none can."""
    path = Path(settings.DATA_DIR) / "demo-members.csv"
    rows = [str(FIRST_SAMPLE + number) for number in range(SAMPLE_ROWS)]
    rows[10], rows[20], rows[30] = rows[9], "two,values", "x" * 300
    path.write_text("\n".join(["provider_id", *rows, ""]), encoding="ascii")
    return path


def _demo_accounts(url: str) -> dict[str, Any]:
    """The sandbox's own word on how to sign in, as soon as it answers."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            accounts: dict[str, Any] = requests.get(f"{url}/_control/demo", timeout=5).json()
            return accounts
        except requests.RequestException:
            if time.monotonic() > deadline:
                raise CommandError(f"No sandbox answers at {url}.") from None
            time.sleep(0.1)
