"""What each JSON file of the lake holds, as pydantic models."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from samplemix_dagster.export_formats.table import FORMATS

Digest = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Mark = Annotated[str, Field(pattern="^[0-9a-f]{24}$")]
_Name = Annotated[str, Field(pattern=r"^[^/]+$")]
Number = Annotated[str, Field(pattern=r"^-?\d+$")]
_Count = Annotated[int, Field(ge=0)]


def _is_format(name: str) -> str:
    if name not in FORMATS:
        raise ValueError(f"{name!r} is no format of exports")
    return name


class _Closed(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Open(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _Shard(_Closed):
    path: Annotated[str, Field(min_length=1)]
    digest: str
    size: _Count
    mtime_ns: int
    etag: str = ""
    previous: str | None = None
    other_paths: list[str] = []
    other_mtimes_ns: list[int] = []
    other_etags: list[str] = []
    values: dict[str, str] = {}
    content: str = ""


class ShardList(_Closed):
    """The shards of a partition, as they were last recorded."""

    partition: Annotated[str, Field(min_length=1)]
    shards: list[_Shard]
    skipped: list[str]


class State(_Closed):
    """By which recipe a stage was last completed for a source."""

    recipe: dict[str, object]
    folder: Annotated[str, Field(min_length=1)]
    reading: dict[str, object] | None = None
    former: dict[str, object] | None = None


class Refused(_Closed):
    """Why a version was not published."""

    version: _Name
    checks: dict[str, str]
    sentence: str


class CurrentFit(_Closed):
    """Which version of a fit is in use."""

    version: _Name
    recipe: dict[str, object] = {}
    recipe_fingerprint: str | None = None
    inputs: str | None = None
    space: str | None = None
    sample: list[Digest] | None = None


class Fit(_Open):
    """A fit: what it was made by, and of what."""

    version: _Name
    recipe: dict[str, object]
    facts: dict[str, object]
    files: dict[str, str] = {}


class CurrentMixture(_Closed):
    """Which version of a mixture is published."""

    version: _Name


class MixtureManifest(_Open):
    """The manifest of a mixture's version, as far as the lake looks into it."""

    report: dict[str, object]


class _ExportedFile(_Closed):
    name: _Name
    num_draws: _Count
    num_tokens: _Count
    num_bytes: _Count
    digest: Digest


class _OtherFile(_Closed):
    name: _Name
    num_bytes: _Count
    digest: Digest


class Export(_Open):
    """The manifest of an export."""

    name: str
    version: str
    format: Annotated[str, AfterValidator(_is_format)]
    num_draws: _Count
    num_tokens: _Count
    files: list[_ExportedFile]
    others: list[_OtherFile] = []
    options: dict[str, str] = {}
    digest: str


class Report(_Closed):
    """What the report was built from, and its files."""

    version: str
    inputs: dict[str, str]
    files: dict[str, Digest] | None = None


class Machine(_Closed):
    """The device and number format of a machine."""

    device: Annotated[str, Field(pattern=r"^(cpu|mps|cuda(:\d+)?)$")]
    dtype: Literal["float32", "bfloat16", "float16"]


EXPORT = TypeAdapter(Export)
