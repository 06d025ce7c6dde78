"""Blocks that are freed stay at hand: the system is not asked for them again."""

import json
import subprocess
import sys

import pytest

from samplemix_dagster.engine.memory import keep_blocks

PROGRAM = """
import json, resource, sys
import numpy as np
from samplemix_dagster.engine.memory import keep_blocks
if sys.argv[1] == "kept":
    assert keep_blocks()

def resident():
    with open("/proc/self/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmRSS"].split()[0]) / 1024

def asked():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

before = resident()
np.ones(6_000_000)  # 48 MB, more than glibc ever keeps by itself
first = asked()
for _ in range(20):
    np.ones(6_000_000)
pages = asked() - first
print(json.dumps({"pages": pages, "held": resident() - before}))
"""


def test_a_block_is_not_asked_for_again() -> None:
    if not keep_blocks():
        pytest.skip("there is no glibc")
    found = {
        how: json.loads(
            subprocess.run(
                [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
            ).stdout
        )
        for how in ("kept", "plain")
    }
    assert found["kept"]["pages"] < found["plain"]["pages"] / 10
    assert found["kept"]["held"] > 40


def test_it_is_asked_for_once() -> None:
    assert keep_blocks() is keep_blocks()
