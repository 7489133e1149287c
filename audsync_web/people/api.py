"""`POST /login`: a bearer token for one person in one company."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from audsync_web.api.authentication import REALM
from audsync_web.api.errors import ApiError
from audsync_web.api.schema import ErrorSerializer
from audsync_web.api.views import ApiView
from audsync_web.errors import too_many_tries
from audsync_web.http import client_address
from audsync_web.templatetags.formats import format_duration

from .actors import Actor, NotAllowed
from .logins import WRONG_PAIR, login_check
from .models import Membership, Role, User
from .throttle import TooManyTries
from .tokens import login_token_issue


class LoginSerializer(serializers.Serializer[Any]):
    """A person's e-mail and password; `company` is a slug, the person's first company without it."""

    email = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=1024, trim_whitespace=False)
    company = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=60)


class TokenSerializer(serializers.Serializer[Any]):
    """A bearer token, good for 24 hours."""

    token = serializers.CharField()


class LoginView(ApiView):
    """Log in. The `Origin` header is ignored, and no cookie is made."""

    authentication_classes = ()
    permission_classes = ()
    keeps_answers = False

    @extend_schema(
        operation_id="login",
        request=LoginSerializer,
        responses={200: TokenSerializer, 429: OpenApiResponse(ErrorSerializer, "Too many tries; see Retry-After.")},
    )
    def post(self, request: Request) -> HttpResponseBase:
        """A token for the pair; 401 for a wrong one, 404 for a company that is not theirs, 429 when throttled."""
        given = LoginSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        address = client_address(request._request)
        try:
            user = login_check(
                email=given.validated_data["email"], password=given.validated_data["password"], address=address
            )
        except TooManyTries as wait:
            return too_many_tries(request._request, wait.seconds, format_duration(wait.seconds))
        if user is None:
            raise ApiError(status.HTTP_401_UNAUTHORIZED, WRONG_PAIR, {"WWW-Authenticate": REALM})
        membership = _membership(user, given.validated_data.get("company") or "")
        actor = Actor(membership.company, Role(membership.role), user=user, via="api", address=address)
        return Response({"token": login_token_issue(actor=actor)})


def _membership(user: User, slug: str) -> Membership:
    theirs = user.memberships.select_related("company").order_by("pk")
    found = theirs.filter(company__slug=slug).first() if slug else theirs.first()
    if found is not None:
        return found
    if slug:
        raise Http404
    raise NotAllowed("You are in no company yet. Ask an admin of the company for an invitation.")
