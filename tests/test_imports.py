"""What importing the package needs of the system."""

import subprocess
import sys

IMPORT_ALL = """
import importlib, pkgutil, sys
sys.modules["fcntl"] = None  # as on a system that is no Unix
import samplemix_dagster
found = pkgutil.walk_packages(samplemix_dagster.__path__, "samplemix_dagster.")
names = [module.name for module in found]
for name in names:
    if not name.endswith(".__main__"):
        importlib.import_module(name)
print(len(names))
"""


def test_every_module_can_be_imported_where_there_is_no_fcntl() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 200
