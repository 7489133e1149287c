"""Our words for what a form refuses, in the place of Django's: short, behind the field's name, as connectors say it.

Django has them as attributes of its classes and no setting for them. A field's own `error_messages` still win.
"""

from __future__ import annotations

from django import forms
from django.core import validators
from django.db import models

MISSING = "is missing"
NOT_OFFERED = "must be one of those that are offered"


def use_plain_words() -> None:
    """Put our words in; once, before any form is made."""
    forms.Field.default_error_messages["required"] = MISSING
    models.Field.default_error_messages |= {"blank": MISSING, "null": MISSING}
    forms.IntegerField.default_error_messages["invalid"] = "must be a whole number"
    for number in (forms.FloatField, forms.DecimalField):
        number.default_error_messages["invalid"] = "must be a number"
    forms.DateField.default_error_messages["invalid"] = "must be a day like 2027-03-31"
    for choice in (forms.ChoiceField, forms.MultipleChoiceField, forms.ModelChoiceField):
        choice.default_error_messages["invalid_choice"] = NOT_OFFERED
    forms.MultipleChoiceField.default_error_messages["invalid_list"] = NOT_OFFERED
    validators.EmailValidator.message = "must be an e-mail address"
    validators.MinValueValidator.message = "must be at least %(limit_value)s"
    validators.MaxValueValidator.message = "must be at most %(limit_value)s"
    validators.MaxLengthValidator.message = "must have at most %(limit_value)d characters; it has %(show_value)d"
    validators.DecimalValidator.messages["max_decimal_places"] = "has too many decimals: %(max)s at most"
    validators.ProhibitNullCharactersValidator.message = "must hold no null character"
