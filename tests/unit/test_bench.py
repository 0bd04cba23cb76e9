"""The benchmark runs, and measures what the product really does: no figure of it is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.reviews import SIZES, reviews
from tests.support.reviews import answered

ROOT = Path(__file__).resolve().parents[2]


def test_reviews_have_the_size_they_claim_and_are_injected() -> None:
    for size, length in SIZES.items():
        for made in reviews(size):
            assert len(made.content) == length
            assert answered(made.content).decision.reason == "Injected"


def test_the_quick_engine_benchmark_prints_one_table() -> None:
    command = [sys.executable, "-m", "bench", "--quick", "--only", "a", "-o", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
