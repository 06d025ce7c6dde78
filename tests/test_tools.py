"""Installing torch: which build is wanted, and that the pinned one is named."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    path = ROOT / "tools" / "install_torch.py"
    spec = importlib.util.spec_from_file_location("install_torch", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("choice", "has_gpu", "is_cpu"),
    [
        ("auto", False, True),
        ("auto", True, False),
        ("cpu", True, True),
        ("cuda", False, False),
    ],
)
def test_the_cpu_build_is_taken_where_no_gpu_is_there_or_it_is_asked_for(
    tool: ModuleType, choice: str, has_gpu: bool, is_cpu: bool
) -> None:
    assert tool.wants_cpu(choice, has_gpu=has_gpu) is is_cpu


def test_the_pinned_version_is_taken(tool: ModuleType) -> None:
    assert tool.pinned((ROOT / "constraints.txt").read_text()).startswith("torch==2.")


def test_where_the_index_of_cpu_builds_does_not_answer_the_usual_one_is_asked(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    class Done:
        def __init__(self, returncode: int) -> None:
            self.returncode = returncode

    def run(command: list[str], **_: object) -> Done:
        asked.append(command)
        return Done(1 if tool.CPU_INDEX in command else 0)

    monkeypatch.setattr(tool.subprocess, "run", run)
    assert tool.install("torch==1", is_cpu=True) == 0
    assert [tool.CPU_INDEX in command for command in asked] == [True, False]
    assert "does not answer" in capsys.readouterr().err


def test_a_word_that_is_no_build_is_refused(tool: ModuleType) -> None:
    assert tool.main([str(ROOT / "constraints.txt"), "rocm"]) == 2


def test_the_installed_build_is_described_with_its_size(tool: ModuleType) -> None:
    assert tool.installed() is not None
    assert " MB: the C" in tool.described()
