"""The walls stand: imports run one way, connectors know no ORM, the sandbox and the product do not know each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from audsync_web.vendors.connectors.registry import VENDORS

ROOT = Path(__file__).resolve().parent.parent

# A package may import itself, what stands below it here, and what is shared. Composition may import everything.
LAYERS: dict[str, set[str]] = {
    "uploads": {"segments", "audsync_web.vendors", "audsync_web.people", "audsync_web.jobs", "audsync_web.api"},
    "segments": {"audsync_web.vendors", "audsync_web.people", "audsync_web.jobs", "audsync_web.api"},
    "audsync_web.vendors": {"audsync_web.people", "audsync_web.jobs", "audsync_web.api"},
    "audsync_web.api": {"audsync_web.people", "audsync_web.jobs"},
    "audsync_web.people": {"audsync_web.jobs", "audsync_web.api"},
    "audsync_web.jobs": set(),
    "audsync_web.sandbox": set(),
}
SHARED = {"env", "crypto", "http", "keyset", "exports", "errors", "templatetags", "settings", "context", "storage_url"}
COMPOSITION = {"urls", "celery", "wsgi", "apps", "supervisor", "management", "checks", "context"}


def product_files() -> Iterator[Path]:
    for top in ("audsync_web", "segments", "uploads"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_by(path: Path) -> Iterator[str]:
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = package.split(".")
                base = ".".join([*up[: len(up) - node.level + 1], base]).rstrip(".")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def layer_of(module: str) -> str | None:
    matches = [layer for layer in LAYERS if module == layer or module.startswith(layer + ".")]
    return max(matches, key=len) if matches else None


def is_ours(module: str) -> bool:
    return module.split(".")[0] in {"audsync_web", "segments", "uploads"}


def test_imports_run_one_way() -> None:
    wrong = []
    for path in product_files():
        layer = layer_of(module_of(path))
        if layer is None:
            continue
        for target in imported_by(path):
            below = layer_of(target)
            if below is not None and below != layer and below not in LAYERS[layer]:
                wrong.append(f"{module_of(path)} imports {target}")
    assert not wrong, "\n".join(wrong)


def test_connectors_know_no_orm_no_celery_and_no_request() -> None:
    wrong = [
        f"{module_of(path)} imports {target}"
        for path in product_files()
        if "connectors" in path.parts
        for target in imported_by(path)
        if target.split(".")[0] in {"django", "celery", "rest_framework", "segments", "uploads"}
        or (target.startswith("audsync_web.") and not target.startswith("audsync_web.vendors.connectors"))
    ]
    assert not wrong, "\n".join(wrong)


def test_the_sandbox_and_the_product_do_not_know_each_other() -> None:
    wrong = []
    for path in product_files():
        inside = "sandbox" in path.parts
        command = path.name == "sandbox.py" and "commands" in path.parts
        for target in imported_by(path):
            of_sandbox = target.startswith("audsync_web.sandbox")
            if (inside and is_ours(target) and not of_sandbox) or (not inside and not command and of_sandbox):
                wrong.append(f"{module_of(path)} imports {target}")
    assert not wrong, "\n".join(wrong)


def test_the_file_engine_knows_no_django() -> None:
    wrong = [
        f"{module_of(path)} imports {target}"
        for path in product_files()
        if "engine" in path.parts
        for target in imported_by(path)
        if target.split(".")[0] in {"django", "celery", "requests", "segments"}
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("segments", {"publishing.py"}),
        (
            "uploads",
            {
                "delivery/job.py",
                "inspection/preflight.py",
                "intake/sources.py",
                "erasure/asking.py",
                "erasure/steps.py",
                "benchmarks/delivery.py",
            },
        ),
    ],
)
def test_only_few_modules_obtain_a_live_connector(package: str, allowed: set[str]) -> None:
    wrong = [
        f"{module_of(path)} imports {target}"
        for path in (ROOT / package).rglob("*.py")
        if path.relative_to(ROOT / package).as_posix() not in allowed and "migrations" not in path.parts
        for target in imported_by(path)
        if target in {"audsync_web.vendors.runtime.connector_for", "audsync_web.vendors.runtime.build_connector"}
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_but_its_connector_names_a_vendor() -> None:
    """A vendor is added by its connector and a line in the registry; what another module decides, it asks the
    connector's declarations."""
    ours = {"connectors", "sandbox", "management", "benchmarks"}
    wrong = [
        f"{module_of(path)} names {node.value}"
        for path in product_files()
        if not ours & set(path.parts) and "benchmark" not in path.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in VENDORS
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_has_grown_past_one_job() -> None:
    long = [
        f"{module_of(path)}: {count} lines"
        for path in product_files()
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 450
    ]
    assert not long, "\n".join(long)


# What stands at `uploads/`, from the bottom up: each imports only what stands before it.
UPLOADS = (
    "engine",
    "models",
    "files",
    "rules",
    "receiving",
    "settling",
    "membership",
    "services",
    "lifecycle",
    "intake",
    "delivery",
    "inspection",
    "erasure",
    "housekeeping",
    "tasks",
    "views",
    "api",
    "urls",
    "api_urls",
    "benchmarks",
    "apps",
)


def test_the_packages_of_uploads_import_one_way() -> None:
    order = {name: place for place, name in enumerate(UPLOADS)}
    wrong = []
    for path in sorted((ROOT / "uploads").rglob("*.py")):
        own = module_of(path).split(".")
        if "migrations" in own or own == ["uploads"]:
            continue
        for target in imported_by(path):
            top, _, rest = target.partition(".")
            name = rest.partition(".")[0]
            if top == "uploads" and order.get(name, len(order)) > order[own[1]]:
                wrong.append(f"{module_of(path)} imports {target}")
    assert not wrong, "\n".join(wrong)
