"""The tools: which build of torch is wanted and named; which files a value passes through."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest

from samplemix_dagster.door.own_pages import Answer
from samplemix_dagster.show.presentation import duration
from samplemix_dagster.show.terminal import plain_line

ROOT = Path(__file__).parents[1]


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return loaded("install_torch")


@pytest.fixture(scope="module")
def walker() -> ModuleType:
    return loaded("walks")


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


def test_a_file_is_on_a_walk_where_a_function_has_the_value_in_hand(walker: ModuleType) -> None:
    with walker.traced(lambda value: value == "marked") as walk:
        plain_line("marked")
        duration(3.0)
    assert walk.functions("samplemix_dagster/show/terminal.py") == ["plain", "plain_line"]
    assert list(walk.files()) == ["samplemix_dagster/show/terminal.py"]
    assert walk.ran == {
        f"samplemix_dagster/show/{name}.py" for name in ("terminal", "presentation")
    }


@pytest.mark.parametrize(
    ("value", "is_in_hand"),
    [
        ("marked", True),
        (["other", "marked"], True),
        ({"a": "marked"}, True),
        (pa.table({"text": ["other", "marked"]}), True),
        (Answer(200, "marked"), True),
        ([["marked"]], False),
        ("other", False),
    ],
)
def test_a_value_is_found_in_a_variable_and_one_level_inside_it(
    walker: ModuleType, value: object, is_in_hand: bool
) -> None:
    assert walker.is_in_hand(value, lambda part: isinstance(part, str) and part == "marked") is (
        is_in_hand
    )
