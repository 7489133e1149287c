"""Files under their names, wherever storage is."""

from __future__ import annotations

import pytest
from django.core.files.storage import default_storage

from uploads import files


@pytest.mark.parametrize("local", [True, False])
def test_what_is_written_again_under_a_name_is_what_stands_there(
    local: bool, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(files, "is_local", lambda: local)
    name = f"company-0/{request.node.name}"
    for text in ("first", "second"):
        with files.new_file(name) as path:
            path.write_text(text)
    with files.local_file(name) as path:
        assert path.read_text() == "second"
    folder, _, own = name.rpartition("/")
    assert [found for found in default_storage.listdir(folder)[1] if found.startswith(own[:-1])] == [own]
    files.delete(name)
    assert not files.exists(name)
