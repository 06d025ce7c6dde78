"""Install torch before everything else: the CPU build where no GPU is there, and say which it is.

A plain ``pip install torch`` on Linux takes the CUDA build, gigabytes that a laptop has no use for.
Run by ``make setup`` with the words: constraints file, then ``auto``, ``cpu`` or ``cuda``.
"""

import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CHOICES = ("auto", "cpu", "cuda")


def main(words: list[str]) -> int:
    """Install the pinned torch; return pip's exit code."""
    constraints, choice = Path(words[0]), words[1] if len(words) > 1 else "auto"
    if choice not in CHOICES:
        sys.stderr.write(f"make: TORCH is one of {', '.join(CHOICES)}, not {choice!r}\n")
        return 2
    pin = pinned(constraints.read_text(encoding="utf-8"))
    if installed() is None:
        code = install(pin, wants_cpu(choice, has_gpu=shutil.which("nvidia-smi") is not None))
        if code:
            return code
    sys.stderr.write(f"torch: {described()}\n")
    return 0


def wants_cpu(choice: str, *, has_gpu: bool) -> bool:
    """Whether the CPU build is to be tried: asked for, or nobody asked and no GPU is there."""
    return choice == "cpu" or (choice == "auto" and not has_gpu)


def pinned(constraints: str) -> str:
    """Return the line of torch in a constraints file."""
    found = re.search(r"^torch==\S+$", constraints, re.MULTILINE)
    return found[0] if found else "torch"


def installed() -> str | None:
    """Return the version of torch that is there, or None."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def install(pin: str, is_cpu: bool) -> int:
    """Install from the index of CPU builds where it answers, and else from the usual one."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    if is_cpu:
        # What torch needs itself comes with the rest; here only where from is chosen.
        quick = ["--retries", "0", "--timeout", "10", "--index-url", CPU_INDEX, "--no-deps", pin]
        done = subprocess.run(
            [*pip, *quick],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode == 0:
            return 0
        sys.stderr.write("torch: the index of CPU builds does not answer; taking the usual one\n")
    return subprocess.run([*pip, "--no-deps", pin], check=False).returncode


def described() -> str:
    """Return which torch is installed, and how large it is."""
    distribution = importlib.metadata.distribution("torch")
    parts = [distribution.locate_file(file) for file in distribution.files or []]
    num_bytes = sum(Path(str(part)).stat().st_size for part in parts if Path(str(part)).is_file())
    needs_cuda = any(need.startswith(("nvidia-", "cuda-")) for need in distribution.requires or [])
    kind = "the CUDA build, whose own packages follow" if needs_cuda else "the CPU build"
    return f"{distribution.version}, {num_bytes / 1e6:,.0f} MB: {kind}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
