"""Memory goes back to the system: a process that scored much does not keep what it freed."""

import subprocess
import sys

import pytest

from samplemix_dagster.engine.memory import give_memory_back

PROGRAM = """
import sys
import numpy as np
if sys.argv[1] == "fixed":
    from samplemix_dagster.engine.memory import give_memory_back
    assert give_memory_back()

def resident():
    with open("/proc/self/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmRSS"].split()[0]) / 1024

first = np.ones(4_000_000)  # 32 MB: from its end on, a heap left to itself takes what is smaller
del first
before = resident()
blocks = [np.ones(300_000) for _ in range(20)]
del blocks
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's heap is looked at")
def test_what_was_freed_goes_back_to_the_system() -> None:
    kept_mib = {
        how: float(
            subprocess.run(
                [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
            ).stdout
        )
        for how in ("fixed", "plain")
    }
    assert kept_mib["fixed"] < 5
    assert kept_mib["plain"] > 30


def test_it_is_asked_for_once() -> None:
    assert give_memory_back() is give_memory_back()
