"""The benchmarks run and compare what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from uploads.engine import benchmarks
from uploads.engine.changes import ChangeReader

BENCHES = [
    benchmarks.bench_check,
    benchmarks.bench_receive,
    benchmarks.bench_snapshot,
    benchmarks.bench_difference,
    benchmarks.bench_formats,
    benchmarks.bench_find,
]


@pytest.mark.parametrize("bench", BENCHES)
def test_a_benchmark_compares_ours_with_a_reference(
    bench: Callable[[Path, int, int], list[benchmarks.BenchRow]], tmp_path: Path
) -> None:
    rows = bench(tmp_path, 2000, 1)
    assert rows
    for row in rows:
        assert row.rows == 2000
        assert row.ratio == pytest.approx(row.ours_seconds / row.reference_seconds)
        assert row.peak_memory > 10_000_000


def test_the_references_find_what_ours_find(tmp_path: Path) -> None:
    benchmarks.bench_difference(tmp_path, 2000, 1)
    with ChangeReader(tmp_path / "changes") as changes:
        assert (changes.adds, changes.removes) == (200, 200)
    assert len((tmp_path / "changes.txt").read_text().splitlines()) == 400
