"""`manage.py bench`: every benchmark runs from end to end, with few rows, and prints its figures."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from audsync_web.management.commands.bench import BENCHES
from uploads.benchmarks.files import bench_xandr_file

ROWS = 2_000
# rows, our seconds, the reference's, the ratio, megabytes, the reference's name
FIGURES = re.compile(r" {2,}([\d,]+) +(\d+\.\d{3}) +(\d+\.\d{3}) +(\d+\.\d{2}) +(\d+)  \S")


def bench(*words: str) -> list[str]:
    out = StringIO()
    call_command("bench", *words, stdout=out)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("name", sorted(BENCHES))
def test_each_benchmark_prints_seconds_ratio_and_memory(name: str, tmp_path: Path) -> None:
    _, *lines = bench(name, "--rows", str(ROWS), "--repeat", "1", "--folder", str(tmp_path))
    assert lines
    for line in lines:
        found = FIGURES.search(line)
        assert found is not None, line
        rows, ours, _, _, memory = found.groups()
        assert rows == f"{ROWS:,}"
        assert float(ours) > 0
        assert int(memory) > 0


def test_the_list_names_every_benchmark() -> None:
    assert [line.split()[0] for line in bench("--list")] == list(BENCHES)


def test_an_unknown_name_is_refused_and_the_list_pointed_out() -> None:
    with pytest.raises(CommandError, match="bench --list"):
        bench("nothing-of-the-kind")


def test_a_vendor_file_whose_lines_differ_from_the_references_ends_the_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uploads.benchmarks.files._printf", lambda vendor: 'printf "%s:0\\n", $0')
    with pytest.raises(Exception, match="cmp"):
        bench_xandr_file(tmp_path, ROWS, 1)
