"""Keeping erased people out: keyed hashes of what may not come back, and the test that planning asks.

A row is tested in two steps. Its mark, made for whole blocks at once, says whether it may be one of those that were
erased; only then is its keyed hash made and compared. Neither mark nor hash says anything without the secret key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from audsync_web.crypto import derived_key
from audsync_web.vendors.connectors.identifiers import KINDS, OPAQUE, PLAIN, conversion
from uploads.engine import lines as ln
from uploads.engine.converting import converted
from uploads.engine.lines import Lines
from uploads.engine.marking import Marker, Marks
from uploads.models import ErasedHash

from .phones import number_of, numbers_of

HASHES = {"email_sha256": "sha256", "email_md5": "md5"}
PHONE = "phone"
# A number without its country: what two spellings have in common when one of them does not name it.
PHONE_NATIONAL = "phone_national"
# Ids of devices pass as they are written, and are the same in capitals.
CASELESS = {key for key, kind in KINDS.items() if kind.rule.case == "lower" or "a-fA-F" in kind.rule.pattern}
# Kinds that may hold anything, so an e-mail address or its hash as well.
OPEN = {key for key, kind in KINDS.items() if kind.rule in (OPAQUE, PLAIN)}

Mask = npt.NDArray[np.bool_]


def plain_form(kind: str, value: str) -> str:
    """A value as a membership of that kind has it: trimmed, and in lower case where case says nothing."""
    text = value.strip()
    known = KINDS.get(kind)
    return known.rule.brought_to_case(text) if known is not None else text


def forms_of(kind: str, value: str) -> dict[str, str]:
    """An identifier in every kind that follows from it: an e-mail address is also its two hashes."""
    own = plain_form(kind, value)
    forms = {kind: own}
    if kind == "email":
        forms |= {hashed: hashlib.new(name, own.encode()).hexdigest() for hashed, name in HASHES.items()}
    return forms


# --- what is stored --------------------------------------------------------------------------------------------------


def keyed_hash(kind: str, value: str | bytes) -> bytes:
    """32 bytes that say nothing about the identifier to anybody without the secret key."""
    data = value.encode() if isinstance(value, str) else value
    return hmac.digest(derived_key("erased"), kind.encode() + b"\0" + data, "sha256")


@lru_cache(maxsize=2)
def _marker(key: bytes) -> Marker:
    return Marker(key)


def marker() -> Marker:
    """Makes the marks that are stored beside the hashes."""
    return _marker(derived_key("erased-marks"))


def hashes_of(kind: str, value: str, regions: Collection[str] = ()) -> list[ErasedHash]:
    """What keeps an identifier out in every form that it has, unsaved. `regions` are the countries that a telephone
    number may be of which names none."""
    if kind == PHONE:
        return list(_hashes_of_number(value, regions))
    found = [_hash(form, text, given=form == kind) for form, text in forms_of(kind, value).items()]
    if kind == "email" and value.strip() != plain_form(kind, value):
        # Somebody may have hashed the address in the letters that it was given in.
        for hashed, algorithm in HASHES.items():
            found.append(_hash(hashed, hashlib.new(algorithm, value.strip().encode()).hexdigest(), given=False))
    return found


def _hashes_of_number(value: str, regions: Collection[str]) -> Iterator[ErasedHash]:
    for number in numbers_of(value, regions):
        if number.e164:
            yield _hash(PHONE, number.e164, given=True)
        yield _hash(PHONE_NATIONAL, number.national, given=not number.e164)


def _hash(kind: str, text: str, *, given: bool) -> ErasedHash:
    data = (text.lower() if kind in CASELESS else text).encode()
    mark = marker().of_tail(data) if kind in {PHONE, PHONE_NATIONAL} else marker().of_value(data)
    return ErasedHash(kind=kind, digest=keyed_hash(kind, data), given=given, mark=mark.to_bytes(8, "big"))


# --- the test --------------------------------------------------------------------------------------------------------


def erased_test(company_id: int, kind: str, identifier: str, region: str = "") -> ErasedTest | None:
    """Tells which of an upload's own identifiers belong to erased people; None where the company has erased nobody.

    `kind` is what the upload says it holds, `identifier` what the destination is fed with: a value that passes byte for
    byte counts as both. `region` is the country of telephone numbers that name none.
    """
    kinds = {kind, identifier} if conversion(kind, identifier) == "as_is" else {kind}
    rows = ErasedHash.objects.filter(company_id=company_id, kind__in=_wanted(kinds))
    test = ErasedTest(rows.only("kind", "digest", "given", "mark"), kinds, region)
    return test if test.knows_anybody else None


def _wanted(kinds: Collection[str]) -> set[str]:
    wanted = set(kinds)
    if "email" in wanted or wanted & OPEN:
        wanted |= set(HASHES)
    if wanted & OPEN:
        wanted.add("email")
    return wanted | {PHONE_NATIONAL} if PHONE in wanted else wanted


class ErasedTest:
    """Says of every line of a block whether it names somebody among the given hashes."""

    def __init__(self, rows: Iterable[ErasedHash], kinds: Collection[str], region: str = "") -> None:
        self._kinds = set(kinds)
        self._region = region
        self._key = derived_key("erased")
        self._marker = marker()
        self._digests: set[tuple[str, bytes]] = set()
        self._given: set[tuple[str, bytes]] = set()
        marks: dict[str, set[int]] = {}
        self._unmarked = False
        for row in rows:
            digest = (row.kind, bytes(row.digest))
            # The hashes that follow from an address are met by the address itself; in a file of addresses only a
            # person who was named by a hash needs more.
            if row.kind in HASHES and row.kind not in self._kinds and not row.given and not self._kinds & OPEN:
                continue
            self._digests.add(digest)
            if row.given:
                self._given.add(digest)
            self._unmarked |= not row.mark
            marks.setdefault(row.kind, set()).add(int.from_bytes(bytes(row.mark), "big"))
        tails = marks.pop(PHONE, set()) | marks.pop(PHONE_NATIONAL, set())
        self._tails = _sorted(tails)
        self._texts = _sorted(set().union(*marks.values()))
        self._hashed = {
            kind: _sorted(marks[kind]) for kind in HASHES if "email" in self._kinds and self._has_given(kind)
        }

    def _has_given(self, kind: str) -> bool:
        return any(name == kind for name, _ in self._given)

    @property
    def knows_anybody(self) -> bool:
        """Whether there is anybody to look for."""
        return bool(self._digests)

    def __call__(self, lines: Lines) -> Mask:
        """True for every line that names somebody who was erased."""
        candidates = np.ones(len(lines), np.bool_) if self._unmarked else self._candidates(lines)
        found = np.zeros(len(lines), np.bool_)
        for place in np.flatnonzero(candidates):
            found[place] = self._names(ln.line_at(lines, int(place))[:-1])
        return found

    def _candidates(self, lines: Lines) -> Mask:
        """Those whose marks are among the wanted ones: all who were erased, and hardly anybody else."""
        found = np.zeros(len(lines), np.bool_)
        if len(self._texts):
            text = bytes(ln.text_of(lines))
            found |= _among(self._marker.of(lines), self._texts)
            if (lower := text.lower()) != text and self._kinds & (CASELESS | OPEN):
                found |= _among(self._marker.of(ln.from_text(lower)), self._texts)
        for kind, wanted in self._hashed.items():
            hashes = converted(bytes(ln.text_of(lines)).lower(), "sha256" if kind == "email_sha256" else "md5")
            found |= _among(self._marker.of(ln.from_text(hashes)), wanted)
        if len(self._tails):
            found |= _among(self._marker.of_tails(lines), self._tails)
        return found

    def _names(self, value: bytes) -> bool:
        return any(self._knows(kind, text) for kind, text in self._forms(value)) or (
            PHONE in self._kinds and self._is_number(value.decode())
        )

    def _forms(self, value: bytes) -> Iterator[tuple[str, bytes]]:
        lower = value.lower()
        for kind in self._kinds:
            yield kind, value
            if kind in CASELESS:
                yield kind, lower
        if self._kinds & OPEN:
            for kind in ("email", *HASHES):
                yield kind, lower
        for kind in self._hashed:
            yield kind, hashlib.new(HASHES[kind], lower).hexdigest().encode()

    def _is_number(self, text: str) -> bool:
        number = number_of(text, self._region)
        national = number.national.encode()
        if number.e164:
            return self._knows(PHONE, number.e164.encode()) or (
                (PHONE_NATIONAL, self._digest(PHONE_NATIONAL, national)) in self._given
            )
        # Without a country it may be anybody's who has that number in theirs; or the plus has been left out.
        full = number_of(f"+{text}").e164
        return self._knows(PHONE_NATIONAL, national) or (bool(full) and self._knows(PHONE, full.encode()))

    def _knows(self, kind: str, data: bytes) -> bool:
        return (kind, self._digest(kind, data)) in self._digests

    def _digest(self, kind: str, data: bytes) -> bytes:
        return hmac.digest(self._key, kind.encode() + b"\0" + data, "sha256")


def _sorted(marks: Collection[int]) -> Marks:
    return np.array(sorted(marks), np.uint64)


def _among(marks: Marks, wanted: Marks) -> Mask:
    return np.isin(marks, wanted) if len(wanted) else np.zeros(len(marks), np.bool_)
