"""The API's world."""

from tests.api_world import account, api, marketer_api, stranger_api

__all__ = ["account", "api", "marketer_api", "stranger_api"]
