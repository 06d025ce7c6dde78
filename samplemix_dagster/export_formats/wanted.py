"""What an export is asked for as, and what its folder in a lake is called.

A folder is ``<format>-<files>``, with the values of a format's own options between:
``jsonl.zst-4``, ``tokens-end-4``. So another option is another folder. Some options stand there
only at another value than their default: ``tokens-end-refuse-4``.
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
MOST_FILES = 100_000
"""Their names have five digits."""


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
            ConfigError: There is no such format, an option has no such value, two contradict each
                other, or the format needs more files, or there are too many.
        """
        form = format_of(name)
        options = form.options
        if num_files > MOST_FILES:
            raise ConfigError(f"files: at most {MOST_FILES:,}, not {num_files:,}")
        if num_files < form.least_files:
            raise ConfigError(f"files: {name} needs at least {form.least_files}, not {num_files}")
        own = {key: every_option.get(key, one.default) for key, one in options.items()}
        for key, value in own.items():
            if not options[key].allows(value):
                raise ConfigError(f"{key} is {options[key].words}, not {value!r}")
        if conflict := form.conflict(own):
            raise ConfigError(f"{name}: {conflict}")
        return cls(name=name, num_files=num_files, options=own)

    @classmethod
    def of_folder(cls, folder: str) -> Self:
        """Return what the export in a folder of a lake was asked for as.

        Raises:
            ValueError: No export's folder is called so.
        """
        name = folder.partition("-")[0]
        if (form := FORMATS.get(name)) is not None:
            found = re.fullmatch(_pattern(form), folder)
            if found is not None:
                values = {key: found[key] or form.options[key].default for key in form.options}
                wanted = cls(name=name, num_files=int(found["files"]), options=values)
                if wanted.folder == folder:
                    return wanted
        raise ValueError(f"{folder!r} is no folder of an export")

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> Self:
        """Return what an export was asked for as."""
        return cls(
            name=manifest["format"],
            num_files=len(manifest["files"]),
            # An option that came later is not said where it stands at its default.
            options={key: one.default for key, one in format_of(manifest["format"]).options.items()}
            | manifest.get("options", {}),
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
        return "-".join([self.name, *self.said_options.values(), str(self.num_files)])

    @property
    def said_options(self) -> Mapping[str, str]:
        """Its options but those that are left unsaid at their default, in the format's order."""
        return {
            key: self.options[key]
            for key, one in self.form.options.items()
            if one.is_named or self.options[key] != one.default
        }

    @property
    def words(self) -> str:
        """What it is, for a sentence."""
        values = ", ".join(f"{key}: {value}" for key, value in self.said_options.items())
        return f"{self.name} ({values})" if values else self.name

    @property
    def has_places(self) -> bool:
        """Whether a file beside the others says where each draw lies."""
        return self.form.unit == "tokens"

    def file_names(self) -> set[str]:
        """Return the names of its files, without the manifest."""
        names = {name for n in range(self.num_files) for name in self.form.file_names(n)}
        return names | set(self.form.others) | ({PLACES} if self.has_places else set())


def _pattern(form: Format) -> str:
    """Return what folders of a format's exports are called, with a group for each option."""
    options = (
        f"-(?P<{key}>{one.pattern})" if one.is_named else f"(?:-(?P<{key}>{one.pattern}))?"
        for key, one in form.options.items()
    )
    return re.escape(form.name) + "".join(options) + "-(?P<files>[0-9]+)"


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
