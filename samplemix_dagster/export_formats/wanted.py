"""What an export is asked for as, and what its folder in a lake is called.

A folder is ``<format>-<files>``, with the values of a format's own options between:
``jsonl.zst-4``, ``tokens-end-4``. So another option is another folder.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from samplemix_dagster.errors import ConfigError
from samplemix_dagster.export_formats.format import Format
from samplemix_dagster.export_formats.table import FORMATS, format_of

MANIFEST = "manifest.json"
PLACES = "draws.parquet"
"""Where each draw lies, for a format of ids; texts carry their ids themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A format, its options, and a number of files."""

    name: str
    num_files: int
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, num_files: int, every_option: Mapping[str, str]) -> Self:
        """Return what is asked for; of the options, those that the format reads.

        Raises:
            ConfigError: There is no such format, or an option has no such value.
        """
        options = format_of(name).options
        own = {key: every_option[key] for key in options}
        for key, value in own.items():
            if value not in options[key]:
                raise ConfigError(f"{key} is {' or '.join(options[key])}, not {value!r}")
        return cls(name=name, num_files=num_files, options=own)

    @classmethod
    def of_folder(cls, folder: str) -> Self:
        """Return what the export in a folder of a lake was asked for as.

        Raises:
            ValueError: No export's folder is called so.
        """
        name, *values, files = folder.split("-")
        form = FORMATS.get(name)
        options = dict(zip(form.options if form else (), values, strict=False))
        if form is not None and re.fullmatch(r"[0-9]+", files):
            found = cls(name=name, num_files=int(files), options=options)
            known = all(options.get(key) in form.options[key] for key in form.options)
            if known and len(values) == len(options):
                return found
        raise ValueError(f"{folder!r} is no folder of an export")

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> Self:
        """Return what an export was asked for as."""
        return cls(
            name=manifest["format"],
            num_files=len(manifest["files"]),
            options=manifest.get("options", {}),
        )

    @property
    def form(self) -> Format:
        """The format.

        Raises:
            ConfigError: There is no such format.
        """
        return format_of(self.name)

    @property
    def folder(self) -> str:
        """What its folder in a lake is called."""
        values = (self.options[key] for key in self.form.options)
        return "-".join([self.name, *values, str(self.num_files)])

    @property
    def words(self) -> str:
        """What it is, for a sentence."""
        values = ", ".join(f"{key}: {self.options[key]}" for key in self.form.options)
        return f"{self.name} ({values})" if values else self.name

    @property
    def has_places(self) -> bool:
        """Whether a file beside the others says where each draw lies."""
        return self.form.unit == "tokens"

    def file_names(self) -> set[str]:
        """Return the names of its files, without the manifest."""
        names = {name for n in range(self.num_files) for name in self.form.file_names(n)}
        return names | set(self.form.others) | ({PLACES} if self.has_places else set())


def is_export_folder(folder: str) -> bool:
    """Whether a folder below a version's exports is called as one of ours."""
    try:
        Wanted.of_folder(folder)
    except ValueError:
        return False
    return True


def is_export_file(folder: str, name: str) -> bool:
    """Whether a file in such a folder has the form of one of ours."""
    if not is_export_folder(folder):
        return False
    wanted = Wanted.of_folder(folder)
    is_beside = name == MANIFEST or (name == PLACES and wanted.has_places)
    return is_beside or wanted.form.has_file(name)
