"""The tests of AudSync."""

import pytest

# Helpers beside the test modules assert, too; without this their failures would not show the values.
pytest.register_assert_rewrite(
    "tests.api_world", "tests.browser", "tests.connectors", "tests.processes", "tests.uploads"
)
