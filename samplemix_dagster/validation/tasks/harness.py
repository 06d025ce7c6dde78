"""Task files of lm-eval, the evaluation harness: YAML that says where rows lie and what they ask.

Read is what needs no Python and is judged by likelihood: ``output_type`` ``multiple_choice`` or
``loglikelihood``, templates, local ``data_files``, ``include``. What decides an item and is not
read is refused by its key, since a task that was read by half would be another task.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from samplemix_dagster.config.corpus import Source
from samplemix_dagster.config.text.yaml_text import MOST_BYTES, read_yaml
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import InputError
from samplemix_dagster.validation.tasks.forms import Form
from samplemix_dagster.validation.tasks.templates import Asked, Template, template

ENDINGS = (".yaml", ".yml")
_ROWS = "json"
_JUDGED = ("multiple_choice", "loglikelihood")
_READ = frozenset(
    {
        *("include", "dataset_path", "dataset_kwargs", "test_split", "validation_split"),
        *("output_type", "num_fewshot", "description", "target_delimiter"),
        *("doc_to_text", "doc_to_target", "doc_to_choice"),
    }
)
_OF_NO_CONSEQUENCE = frozenset(
    {
        *("task", "task_alias", "tag", "group", "group_alias", "metadata", "dataset_name"),
        *("training_split", "fewshot_split", "fewshot_config", "fewshot_delimiter", "repeats"),
        *("metric_list", "filter_list", "generation_kwargs", "should_decontaminate"),
        "doc_to_decontamination_query",
    }
)
"""What is about other splits, about examples, of which there are none, or about other figures."""
_FUNCTION = re.compile(r"^\s*(?:-\s+)?([\w\"']+)\s*:\s*!function\b", re.MULTILINE)
_MOST_INCLUDED = 8
_OUT = "write its rows out as JSON lines in one of the forms instead"

Keys = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessTask:
    """A task file: how its rows are asked, and where they lie."""

    form: Form
    source: Source


def is_harness_file(paths: Sequence[str]) -> bool:
    """Whether a task is one task file."""
    return len(paths) == 1 and paths[0].endswith(ENDINGS)


def read_harness_task(project: Project, path: str) -> HarnessTask:
    """Read a task file.

    Args:
        project: Whose files are meant; paths are relative to its folder.
        path: The file; what it names is relative to the folder that it lies in.

    Raises:
        InputError: It is not there, or has what is not read here; the message names the key.
        ConfigError: It is no YAML.
    """
    keys = _with_included(project, path)
    unknown = sorted(keys.keys() - _READ - _OF_NO_CONSEQUENCE)
    if unknown:
        raise InputError(f"{path}: {unknown[0]} is not read here. Take it out, or {_OUT}.")
    _check_kind(path, keys)
    return HarnessTask(form=_asked(path, keys).form(), source=_source(path, keys))


def _with_included(project: Project, path: str) -> dict[str, object]:
    """Return a file's keys over those of the file that it includes, and so on."""
    found: dict[str, object] = {}
    here: str | None = path
    for _ in range(_MOST_INCLUDED):
        if here is None:
            return found
        keys = _keys(project, here)
        found = {**keys, **found}
        included = keys.get("include")
        here = None if included is None else _beside(here, str(included))
    raise InputError(f"{path}: more than {_MOST_INCLUDED} files include one another.")


def _keys(project: Project, path: str) -> dict[str, object]:
    try:
        with project.files.at(path).open("rb") as file:
            text = file.read(MOST_BYTES + 1).decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8.") from None
    if function := _FUNCTION.search(text):
        line = text.count("\n", 0, function.start(1)) + 1
        raise InputError(
            f"{path}:{line}: {function[1]} is a Python function, which is not run here. Write a "
            f"template in its place, or {_OUT}."
        )
    _, keys = read_yaml(text, path)
    if not isinstance(keys, dict):
        raise InputError(f"{path}: a task file is keys with values.")
    return keys


def _beside(path: str, other: str) -> str:
    """Return a file that another one names, relative to that one's folder."""
    return other if "://" in other else str(PurePosixPath(path).parent / other)


def _check_kind(path: str, keys: Keys) -> None:
    kind = keys.get("output_type", "generate_until")
    if kind not in _JUDGED:
        raise InputError(
            f"{path}: output_type is {kind}, and judged by likelihood are {' and '.join(_JUDGED)}: "
            + (
                "name its texts under evaluation.texts instead."
                if kind == "loglikelihood_rolling"
                else "write the answers that are to be told apart as doc_to_choice."
            )
        )
    if keys.get("num_fewshot"):
        raise InputError(
            f"{path}: num_fewshot is {keys['num_fewshot']}, and a question is asked without "
            "examples here. Take it out."
        )
    if kind == "multiple_choice" and not isinstance(keys.get("doc_to_choice"), str | list | dict):
        raise InputError(
            f"{path}: doc_to_choice is neither a template nor a list, and a choice has options."
        )


def _asked(path: str, keys: Keys) -> Asked:
    text, target = template(path, keys, "doc_to_text"), keys.get("doc_to_target")
    if text is None:
        raise InputError(f"{path}: doc_to_text is no text: a field's name, or a template.")
    right = target if isinstance(target, int) else template(path, keys, "doc_to_target")
    if right is None:
        raise InputError(
            f"{path}: doc_to_target is neither a number nor a text: a field's name, or a template."
        )
    return Asked(
        text=text,
        target=right,
        choices=_choices(path, keys),
        description=template(path, keys, "description"),
        delimiter=str(keys.get("target_delimiter", " ")),
    )


def _choices(path: str, keys: Keys) -> Template | tuple[str, ...] | None:
    """Return the options, or what gives them for a row; None where there is nothing to choose."""
    found = keys.get("doc_to_choice")
    if keys["output_type"] != "multiple_choice":
        return None
    if isinstance(found, Mapping):
        found = list(found.values())
    return (
        tuple(map(str, found)) if isinstance(found, list) else template(path, keys, "doc_to_choice")
    )


def _source(path: str, keys: Keys) -> Source:
    place, how = keys.get("dataset_path"), keys.get("dataset_kwargs")
    if place != _ROWS:
        raise InputError(
            f"{path}: dataset_path is {place}, and nothing is downloaded: have its rows as JSON "
            f"lines beside the file, and write dataset_path: {_ROWS} and dataset_kwargs: "
            "{data_files: rows.jsonl}."
        )
    if not isinstance(how, Mapping) or set(how) - {"data_files"} or not how.get("data_files"):
        raise InputError(
            f"{path}: dataset_kwargs names local files and nothing else, such as "
            "{data_files: rows.jsonl}."
        )
    files = how["data_files"]
    if isinstance(files, Mapping):
        split = keys.get("test_split") or keys.get("validation_split")
        if split not in files:
            raise InputError(
                f"{path}: data_files has {', '.join(map(str, files))}, and the split that is "
                f"judged is {split}: name one of them as test_split or validation_split."
            )
        files = files[str(split)]
    names = files if isinstance(files, list) else [files]
    return Source(path=[_beside(path, str(name)) for name in names], format="jsonl")
