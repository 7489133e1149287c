"""The OpenAPI document: bearer tokens, the error shape on every call, readable operation names."""

from __future__ import annotations

from typing import Any, Literal

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from .idempotency import HEADER, LONGEST_KEY


class ErrorSerializer(serializers.Serializer[Any]):
    """What went wrong: exactly one key."""

    error = serializers.CharField(help_text="One line for people, naming the fields at fault.")


ERRORS = {
    "400": "Something in the request is wrong.",
    "401": "The bearer token is missing, wrong or has ended.",
    "403": "Your role does not allow that.",
    "404": "Nothing is here, or it belongs to a company that is not yours.",
}


class Schema(AutoSchema):
    """Adds to every operation what every operation has."""

    def get_override_parameters(self) -> list[Any]:
        """`Idempotency-Key` on every POST that keeps answers."""
        parameters = list(super().get_override_parameters())
        if self.method == "POST" and getattr(self.view, "authentication_classes", None):
            parameters.append(
                OpenApiParameter(
                    HEADER,
                    OpenApiTypes.STR,
                    OpenApiParameter.HEADER,
                    description=f"Up to {LONGEST_KEY} characters; key and body again within 24 h get the first answer.",
                )
            )
        return parameters

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        wanted = dict(ERRORS)
        if not getattr(self.view, "authentication_classes", None):
            del wanted["403"]
        for code, text in wanted.items():
            if code not in bodies:
                body: dict[str, Any] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                    ErrorSerializer, code, direction=direction
                )
                bodies[code] = {**body, "description": text}
        return bodies


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer …`, with the token of a login or an API key."""

    target_class = "audsync_web.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """OpenAPI's description of the scheme."""
        return {"type": "http", "scheme": "bearer", "description": "A token from POST /login, or an API key."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The browser's session, on the calls that pages make themselves."""

    target_class = "uploads.api.tus.SessionActorAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """OpenAPI's description of the scheme."""
        name = settings.SESSION_COOKIE_NAME
        return {"type": "apiKey", "in": "cookie", "name": name, "description": "With X-CSRFToken on writes."}
