"""Run a module as a program that ends when whoever started it has ended, even by KILL.

``python -m samplemix_dagster.door.tied FD MODULE ...``: FD is the reading end of a pipe of which
the starter has the other one and writes nothing, so that it ends when the starter does.
"""

import os
import runpy
import signal
import sys
import threading
import time

_GRACE_SECONDS = 5.0


def end_with(pipe: int) -> None:
    """End this process, first gently, when nobody has the other end of a pipe any more."""

    def wait() -> None:
        while os.read(pipe, 64):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
