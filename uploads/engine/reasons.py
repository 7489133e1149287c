"""Why a row was not taken: a stable word for programs, a plain sentence, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from audsync_web.vendors.connectors.identifiers import IdentifierRule


@dataclass(frozen=True)
class Reason:
    """What is wrong with a value, to be read after "The value …", and how to mend it."""

    text: str
    what_to_do: str


REASONS: dict[str, Reason] = {
    "too_many_values": Reason(
        "shares its row with other values", "Leave one value in the row, or choose the column when uploading."
    ),
    "missing_column": Reason("is missing: the row has fewer columns than the header", "Complete the row."),
    "bad_quoting": Reason(
        "has a quotation mark that is not closed, or text after the closing one", "Correct the quotation marks."
    ),
    "empty_value": Reason("is empty", "Fill it in, or remove the row."),
    "byte_order_mark": Reason(
        "holds a byte-order mark, a sign that files were joined",
        "Remove the mark and a repeated header, if there is one.",
    ),
    "control_character": Reason("holds a control character or a line break", "Remove it."),
    "too_long": Reason("is too long", "Check that the right column was exported."),
    "not_kind": Reason("does not fit the identifier kind", "Correct the value, or choose another identifier kind."),
    "not_encodable": Reason(
        "holds a character that this vendor's files cannot hold (Latin-1)",
        "Use an identifier without it for this vendor.",
    ),
    "erased": Reason("belongs to a person who was erased", "Nothing: it is kept out on purpose."),
}


def reason_text(code: str, rule: IdentifierRule | None = None) -> str:
    """The sentence's end for a code; a rule, when given, says in its own words what does not fit."""
    if code == "not_kind" and rule is not None:
        return rule.reason
    if code == "too_long" and rule is not None:
        return f"is longer than {rule.max_bytes} bytes"
    return REASONS[code].text
