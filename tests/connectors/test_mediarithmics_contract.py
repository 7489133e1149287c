"""mediarithmics keeps the promises of every connector."""

from __future__ import annotations

from .contract import ConnectorContract
from .mediarithmics_kit import HASHES


class TestMediarithmicsContract(ConnectorContract):
    vendor = "mediarithmics"
    base_path = "/v1"
    wrong_credentials = {"apiToken": "wrong-mediarithmics-token"}
    members = HASHES
    effects = {"create": ["create"], "publish": [], "send": ["import", "execution"]}
    switches = {
        "throttle": "429",
        "server_error": "500",
        "drop_before_create": "m9.drop_before",
        "drop_after_create": "m9.drop_after",
        "drop_before_import": "m1.drop_before",
        "drop_after_import": "m1.drop_after",
        "drop_before_execution": "m4.drop_before",
        "drop_after_execution": "m4.drop_after",
        "unknown_status": "unknown_word",
    }
