"""What a person types so that a trainer takes an export as it is, in its order if it can."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """What one trainer, or one library, is told of an export."""

    trainer: str
    """Which, and the release where what is said was read."""
    language: str
    """``sh``, ``yaml`` or ``python``."""
    text: str
    """What is typed; capitals stand for what only its reader knows."""
    order: str = ""
    """Why the order of the training is not the export's; empty where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """An export, and how it is to be trained on."""

    folder: str
    files: Sequence[str]
    """Of draws, in order."""
    sequence: int
    """Ids of a training sequence, L."""
    vocabulary_size: int = 0
    """One more than the highest id; 0 of an export of texts, which has none of the next."""
    bytes_of_an_id: int = 0
    eos_id: int | None = None
    bos_id: int | None = None

    def quoted(self, name: str = "") -> str:
        """Return the path of a file, or of the folder, as a string of Python and of YAML."""
        return json.dumps(self._path(name), ensure_ascii=False)

    def shell(self, name: str = "") -> str:
        """Return the same as one word of a shell, in which no pattern is expanded."""
        return shlex.quote(self._path(name))

    def paths(self, indent: str = "") -> str:
        """Return the files as strings of a Python list, one a line."""
        return "\n".join(f"{indent}{self.quoted(name)}," for name in self.files)

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}" if name else self.folder


def maxtext(kind: str, launch: Launch, pattern: str) -> Fragment:
    """Return what MaxText is told of files of a kind that Grain reads."""
    text = (
        f"dataset_type=grain grain_file_type={kind} \\\n"
        f"  grain_train_files={launch.shell(pattern)} \\\n"
        "  tokenize_train_data=true enable_data_shuffling=false"
    )
    return Fragment(trainer="MaxText", language="sh", text=text)
