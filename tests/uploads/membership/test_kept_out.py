"""Who was erased stays out of later files, in whatever form they stand there, and nobody else does."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from audsync_web.people.models import Company
from uploads.engine import lines as ln
from uploads.membership.erased import erased_test, hashes_of, keyed_hash
from uploads.models import ErasedHash, Erasure

pytestmark = pytest.mark.django_db

PERSON = "person-1@example.invalid"
HASH = hashlib.sha256(PERSON.encode()).hexdigest()
MD5 = hashlib.md5(PERSON.encode(), usedforsecurity=False).hexdigest()
SOMEBODY = "somebody@example.invalid"


def erase(company: Company, kind: str, value: str, *regions: str) -> Erasure:
    erasure = Erasure.objects.create(company=company, kinds=[kind])
    for row in hashes_of(kind, value, regions):
        row.company_id, row.erasure = company.pk, erasure
        row.save()
    return erasure


def held(company: Company, kind: str, identifier: str, *values: str, region: str = "") -> list[str]:
    """Which of a file's values are held back from a destination."""
    test = erased_test(company.pk, kind, identifier, region)
    if test is None:
        return []
    ordered = sorted(values)
    mask = test(ln.from_text("".join(f"{value}\n" for value in ordered).encode()))
    return [value for value, out in zip(ordered, mask, strict=True) if out]


@pytest.mark.parametrize(
    ("kind", "identifier", "written"),
    [
        ("email", "email", PERSON),
        ("email", "email_sha256", PERSON),
        ("email_sha256", "email_sha256", HASH),
        ("email_md5", "email_md5", MD5),
        ("provider_id", "email", "Person-1@Example.invalid"),
        ("provider_id", "email_sha256", HASH.upper()),
        ("provider_id", "provider_id", PERSON),
        ("custom_id", "custom_id", "PERSON-1@example.invalid"),
        ("custom_id", "custom_id", HASH),
    ],
)
def test_who_was_named_by_an_address_is_held_in_every_form(
    company: Company, kind: str, identifier: str, written: str
) -> None:
    erase(company, "email", " Person-1@EXAMPLE.invalid ")
    assert held(company, kind, identifier, written, SOMEBODY, "0" * 64) == [written]


@pytest.mark.parametrize(
    ("kind", "identifier", "written"),
    [
        ("email", "email", PERSON),
        ("email", "email_sha256", PERSON),
        ("email_sha256", "email_sha256", HASH),
        ("provider_id", "email_sha256", HASH),
        ("provider_id", "email", "PERSON-1@example.invalid"),
    ],
)
def test_who_was_named_by_a_hash_is_held_in_files_of_addresses_too(
    company: Company, kind: str, identifier: str, written: str
) -> None:
    erase(company, "email_sha256", HASH.upper())
    assert held(company, kind, identifier, written, SOMEBODY) == [written]


def test_an_address_hashed_in_the_letters_it_was_given_in_is_held(company: Company) -> None:
    given = "Person-1@Example.invalid"
    erase(company, "email", given)
    odd = hashlib.sha256(given.encode()).hexdigest()
    assert held(company, "email_sha256", "email_sha256", odd, HASH, "0" * 64) == sorted([odd, HASH])


def test_ids_of_devices_are_the_same_in_capitals_and_custom_ids_are_not(company: Company) -> None:
    device = "6d92078a-8246-4ba4-ae5b-76104861e7dc"
    erase(company, "idfa", device.upper())
    assert held(company, "idfa", "idfa", device, device.upper()) == sorted([device, device.upper()])
    erase(company, "custom_id", "crm-A1")
    assert held(company, "custom_id", "custom_id", "crm-A1", "crm-a1") == ["crm-A1"]


SPELLINGS = (
    "+442079460018",
    "+44 20 7946 0018",
    "+44 (0)20 7946-0018",
    "00442079460018",
    "0044 20 7946 0018",
    "442079460018",
    "020 7946 0018",
    "(020) 7946 0018",
    "02079460018",
    "2079460018",
)
OTHER_NUMBERS = ("+442079460019", "020 7946 0019", "+332079460018", "+12125550018", "0018")


@pytest.mark.parametrize("region", ["GB", ""])
@pytest.mark.parametrize("erased_as", ["+44 20 7946 0018", "020 7946 0018", "0044 (20) 79460018"])
def test_a_telephone_number_is_held_in_every_spelling(company: Company, erased_as: str, region: str) -> None:
    erase(company, "phone", erased_as, "GB")
    found = held(company, "phone", "phone", *SPELLINGS, *OTHER_NUMBERS, region=region)
    assert found == sorted(SPELLINGS)


def test_a_national_number_is_that_of_the_accounts_country(company: Company) -> None:
    erase(company, "phone", "+48 600 100 200")
    assert held(company, "phone", "phone", "600 100 200", "+48600100200", region="FR") == ["+48600100200"]
    assert held(company, "phone", "phone", "600 100 200", "+48600100200", region="PL") == [
        "+48600100200",
        "600 100 200",
    ]


def test_a_number_whose_country_nobody_knows_is_held_in_every_country(company: Company) -> None:
    erase(company, "phone", "020 7946 0018")
    found = held(company, "phone", "phone", *SPELLINGS, "+44 20 7946 0019", region="GB")
    assert found == sorted(SPELLINGS)
    assert held(company, "provider_id", "phone", "02079460018") == ["02079460018"]


def test_a_hash_stored_before_there_were_marks_is_met_as_well(company: Company) -> None:
    erasure = erase(company, "email", PERSON)
    ErasedHash.objects.filter(erasure=erasure).update(mark=b"")
    assert held(company, "email", "email", PERSON, SOMEBODY) == [PERSON]


def test_one_among_many_is_found_whatever_block_they_stand_in(company: Company) -> None:
    many = [f"person-{number}@{'x' * (number % 190)}.example.invalid" for number in range(5000)]
    for value in (many[7], many[4321], many[188]):
        erase(company, "email", value)
    assert held(company, "email", "email", *many) == sorted([many[7], many[4321], many[188]])


def test_neither_hash_nor_mark_says_anything_without_the_secret_key(settings: Any) -> None:
    (row, *_) = hashes_of("email", PERSON)
    assert len(row.digest) == 32
    assert row.digest != hashlib.sha256(PERSON.encode()).digest()
    assert row.digest != keyed_hash("custom_id", PERSON)
    settings.SECRET_KEY = "another secret key of this company's"
    (other, *_) = hashes_of("email", PERSON)
    assert row.digest != other.digest
    assert row.mark != other.mark


def test_companies_that_erased_nobody_pay_nothing(company: Company) -> None:
    assert erased_test(company.pk, "email", "email_sha256") is None
    erase(company, "phone", "+442079460018")
    assert erased_test(company.pk, "email", "email_sha256") is None
