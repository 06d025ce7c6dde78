"""Read ``samplemix.yaml``: an error names the file, the line, the key and the nearest known key.

What the keys are and mean is in ``config/project.py``; how YAML is read within bounds, in
``yaml_text.py``.
"""

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from samplemix_dagster.config.mixtures import MIXTURES
from samplemix_dagster.config.project import Config
from samplemix_dagster.config.text.yaml_text import MOST_BYTES, read_yaml
from samplemix_dagster.core.mixture.strategies.table import options_of
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.section import Section


def load_config(path: Path) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigError: The file is missing, is no YAML, or breaks a rule; the message names file, line
            and key, and for an unknown key the nearest known one.
    """
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "no file"
        what = f"{path} is {kind}" if path.exists() else f"no configuration at {path}"
        raise ConfigError(
            f"{what}. Write one with `samplemix init`, or name another with --config FILE."
        )
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}:{line}: this is not UTF-8: byte {content[error.start]:#04x} cannot stand here."
        ) from None
    return parse_config(text, str(path))


def parse_config(text: str, name: str = "samplemix.yaml") -> Config:
    """Check the text of a configuration; ``name`` is what errors call it."""
    node, data = read_yaml(text, name)
    if data is None:
        raise ConfigError(f"{name}: the file is empty; it needs at least `corpus` and `mixtures`.")
    if not isinstance(data, dict):
        raise ConfigError(
            f"{name}:{node.start_mark.line + 1}: this is a {_kind(data)}; a configuration is keys "
            "with values, at least `corpus` and `mixtures`."
        )
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_explain(error, node, name)) from None


def line_of(path: Path, *location: str) -> str:
    """Return where a key stands in a configuration file, as errors say it: ``FILE:LINE: KEY``."""
    try:
        node, _ = read_yaml(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, UnicodeDecodeError, ConfigError):
        return ".".join(location)
    line, key = _place(node, location)
    return f"{path}:{line}: {key or '.'.join(location)}"


def config_schema() -> dict[str, object]:
    """Return the JSON schema of ``samplemix.yaml``, for editors."""
    schema = Config.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "samplemix.yaml",
    }


def _kind(value: object) -> str:
    return "list" if isinstance(value, list) else "single value"


def _explain(error: ValidationError, node: yaml.Node | None, name: str) -> str:
    problems: dict[tuple[int, str], str] = {}
    for item in error.errors():
        line, key = _place(node, item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        named, _, sentence = message.partition(": ")
        if sentence and (not item["loc"] or named in _field_names()):
            # A rule across keys names the one that it is about, in front of its sentence.
            line, _ = _place(node, (*item["loc"], *named.split(".")))
            key, message = ".".join(part for part in (key, named) if part), sentence
        if item["type"] == "extra_forbidden":
            message = f"unknown key.{_nearest(item['loc'])}"
        elif item["type"] == "missing":
            message = "this key is required."
        elif item["type"] in {"model_type", "dict_type", "model_attributes_type"}:
            message = f"this is a section, keys with values, and not {item['input']!r:.40}."
        problems.setdefault((line, key), message)
    lines = [
        f"{name}:{line}: {key}: {text}" if key else f"{name}: {text}"
        for (line, key), text in sorted(problems.items())
    ]
    return "\n".join(lines)


def _place(node: yaml.Node | None, location: tuple[int | str, ...]) -> tuple[int, str]:
    """Return the line (from 1) of the deepest node on the path, and the path that exists."""
    line = 1
    path: list[str] = []
    for part in location:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            found = (node.value[part], node.value[part]) if part < len(node.value) else None
        if found is not None:
            line, node = found[0].start_mark.line + 1, found[1]
            path.append(str(part))
        elif isinstance(node, yaml.MappingNode) and str(part) in _field_names():
            path.append(str(part))
            break
    return line, ".".join(path)


def _field_names() -> set[str]:
    pending, found = [Section], set[str]()
    while pending:
        model = pending.pop()
        found |= set(model.model_fields)
        pending += model.__subclasses__()
    return found


def _nearest(location: tuple[int | str, ...]) -> str:
    unknown = str(location[-1])
    known: set[str] = set()
    models: list[type[BaseModel]] = [Config]
    for part in location[:-1]:
        if str(part) in MIXTURES and set(models) == set(MIXTURES.values()):
            models = [MIXTURES[str(part)]]
            if owners := " or ".join(f"`{n}`" for n in MIXTURES if unknown in options_of(n)):
                return f" It belongs to strategy {owners}, and this mixture's is `{part}`."
            continue
        if tagged := [model for model in models if model.__name__ == part]:
            models = tagged
            continue
        models = [inner for model in models for inner in _inner_models(model, str(part))] or models
    for model in models:
        known |= set(model.model_fields)
    close = difflib.get_close_matches(unknown, sorted(known), n=1)
    if close:
        return f" Did you mean `{close[0]}`?"
    return f" Known here: {', '.join(sorted(known))}."


def _inner_models(model: type[BaseModel], part: str) -> list[type[BaseModel]]:
    field = model.model_fields.get(part)
    if field is None:
        return []
    pending, found = [field.annotation], []
    while pending:
        annotation: Any = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found.append(annotation)
        pending.extend(getattr(annotation, "__args__", ()))
    return found
