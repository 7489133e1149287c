"""The API's world."""

from tests.api_world import account, api, box, marketer_api, stranger_api

__all__ = ["account", "api", "box", "marketer_api", "stranger_api"]
