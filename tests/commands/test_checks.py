"""What a start warns of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audsync_web import checks


def ids(found: list[Any]) -> list[str]:
    return [message.id for message in found]


def test_a_misspelt_variable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.unknown_variables(None) == []
    monkeypatch.setenv("AUDSYNC_MAX_UPLOAD_SIZE", "1")
    assert "AUDSYNC_MAX_UPLOAD_SIZE" in checks.unknown_variables(None)[0].msg


def test_short_secrets_are_told_without_showing_them(settings: Any) -> None:
    assert checks.weak_secrets(None) == []
    settings.SECRET_KEY, settings.ENCRYPTION_KEYS = "tiny", ["also"]
    found = checks.weak_secrets(None)
    assert ids(found) == ["audsync.W002", "audsync.W003"]
    assert "tiny" not in str(found)


def test_a_server_that_others_reach_without_https_is_told(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
    assert checks.open_doors(None) == []
    settings.ALLOWED_HOSTS = ["audsync.example", "*"]
    assert ids(checks.open_doors(None)) == ["audsync.W004", "audsync.W005", "audsync.W006"]
    settings.HTTPS, settings.ALLOW_PRIVATE_VENDOR_HOSTS = True, False
    settings.ALLOWED_HOSTS = ["audsync.example"]
    assert checks.open_doors(None) == []


def test_a_data_folder_that_others_may_enter_is_told(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    tmp_path.chmod(0o700)
    assert checks.private_data_folder(None) == []
    tmp_path.chmod(0o755)
    assert ids(checks.private_data_folder(None)) == ["audsync.W007"]
    settings.DATA_DIR = tmp_path / "none"
    assert checks.private_data_folder(None) == []
