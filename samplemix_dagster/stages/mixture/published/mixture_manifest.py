"""A mixture version's manifest: its published form.

The form is a pydantic model, so that the JSON schema, the check of a manifest and this page say
the same. How a mixture is drawn is in ``stages/mixture/mixing.py``, what of a project goes into its
manifest in ``traced.py``; what can be done with a manifest afterwards is in ``trace``.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.errors import CheckFailedError, ConfigError, LakeError
from samplemix_dagster.storage.lake import keys

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project

SCHEMA = 3
"""Version of the manifest's form that is written; raised when a key comes, changes or goes."""
_READ = (2, 3)
"""Forms that are read: form 2 does not state ``needs``, and they are found by hash."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShardEntry(_Part):
    """One input file."""

    source: str
    """The source that it belongs to."""
    digest: str = Field(pattern="^[0-9a-f]{32}$")
    """128-bit BLAKE2b of its bytes, and of its values where it has some."""
    path: str
    """Where it lay, relative to the project's folder."""
    partition: str
    """The source, or the part of it."""
    size_bytes: int = Field(ge=0)
    """Size of the file."""
    previous: str | None
    """Digest that the path had before, if it was rewritten."""
    values: dict[str, str] = {}
    """What its path gave to fields of its documents; its digest is of its bytes and these."""


class FeatureEntry(_Part):
    """One stage's tables for one source."""

    asset: str
    """The asset that shows it."""
    folder: str
    """Folder of its tables in the lake; each file there is named by a shard's digest."""
    fingerprint: str = Field(pattern="^[0-9a-f]{24}$")
    """Hash of the recipe."""
    recipe: dict[str, object]
    """Everything that the tables depend on beside the shard."""


class ModelEntry(_Part):
    """One model or tokenizer."""

    digest: str
    """Digest of its files: what results depend on."""
    found: str
    """Where it was found, as configured; for people, since no result depends on it."""
    revision: str | None
    """Commit of a hub model."""


class Machine(_Part):
    """Where models ran."""

    device: str
    """Kind of device; no result depends on its name."""
    dtype: str
    """Number format of models; part of the recipes of scores."""


class Report(BaseModel):
    """The keys of the report that other code reads; docs/outputs.md has all of them."""

    model_config = ConfigDict(extra="allow", frozen=True)

    budget_tokens: int
    realised_tokens: int
    corpus_tokens: int
    num_documents: int
    num_documents_drawn: int
    num_draws: int
    mean_quality: float
    mean_diversity: float
    sources: dict[str, dict[str, object]]
    languages: dict[str, dict[str, object]]
    clusters: dict[str, dict[str, object]]
    topics: dict[str, dict[str, object]]
    copies: dict[str, int]
    warnings: list[str]


class MixtureManifest(_Part):
    """Everything that a mixture version was made from."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="A mixture version's manifest")

    form: Literal[2, 3] = Field(alias="schema")
    """Version of this form."""
    name: str
    """The mixture's name; no version depends on it."""
    version: str = Field(pattern="^[0-9a-f]{24}$")
    """Hash of the recipe and of the shards."""
    config: dict[str, object]
    """The mixture's own settings."""
    project: dict[str, object]
    """The effective configuration, defaults filled in, without what cannot change a result."""
    recipe: dict[str, object]
    """Everything that the version is a hash of, beside the shards."""
    fits: dict[str, str]
    """Version of each fit; digest of the reference, the encoder and the tokenizer."""
    fit_recipes: dict[str, dict[str, object]]
    """Recipe of each fit: everything that it depends on beside the shards."""
    features: dict[str, dict[str, FeatureEntry]]
    """By source, then by stage."""
    needs: dict[str, list[str]] = {}
    """Which nodes of the graph of recipes each node is made from; absent from form 2."""
    models: dict[str, ModelEntry]
    """``reference``, ``encoder`` and ``tokenizer``."""
    machine: Machine
    """Where models ran."""
    shards: list[ShardEntry]
    """Every shard, by source and digest."""
    scales: dict[str, float]
    """The settled scale of each source, or of each group of which shares are held."""
    design_scales: dict[str, float] = {}
    """The scale of each at which copies are expected; absent from versions of before."""
    ledger: dict[str, str]
    """Digest of each ledger file."""
    report: Report
    """What the mixture is like."""
    made_at: str
    """When, in UTC."""
    made_by: str | None
    """The user's name on that machine."""
    run_id: str | None
    """Dagster's run; null when it was made without Dagster."""
    samplemix_version: str
    """Version of this package."""
    packages: dict[str, str]
    """Versions of the packages that results come from."""
    git: dict[str, object] | None
    """Commit of the project's folder and whether it was dirty; null outside a repository."""
    digest: str = Field(pattern="^[0-9a-f]{24}$")
    """Hash of all the keys above, so that an altered manifest is noticed."""


def sealed(manifest: Mapping[str, Any]) -> dict[str, object]:
    """Return a manifest with its own digest."""
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    return {**rest, "digest": fingerprint(json.loads(json.dumps(rest)))}


def manifest_schema() -> dict[str, object]:
    """Return the JSON schema of a manifest."""
    found = MixtureManifest.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def read_traced(
    project: "Project", name: str, version: str, *, as_is: bool = False
) -> dict[str, Any]:
    """Return a version's manifest, when it can be traced.

    Args:
        project: The project.
        name: The mixture.
        version: Its version.
        as_is: Whether one that was altered is wanted too, by who says what is wrong with it.

    Raises:
        LakeError: There is none, or it is damaged.
        ConfigError: It was made by an older version of this package.
        CheckFailedError: It does not have the published form.
    """
    key = keys.manifest(name, version)
    manifest = project.lake.read_json_as_is(key) if as_is else project.lake.read_json(key)
    if manifest is None:
        raise LakeError(f"the lake has no {key}; `samplemix run` makes the current version again.")
    if not isinstance(manifest, dict):
        raise project.lake.damage(key, "it has another shape: it is no object")
    if manifest.get("schema") not in _READ:
        raise ConfigError(
            f"{name}@{version[:12]} was made by another version of this package: its manifest has "
            f"form {manifest.get('schema')}, and tracing needs {_READ[0]} or {SCHEMA}. Remove "
            f"{keys.version_folder(name, version)} from the lake and `samplemix run` to make it "
            "again."
        )
    try:
        MixtureManifest.model_validate(manifest)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CheckFailedError(
            f"the manifest of {name}@{version[:12]} does not have the published form: {place}: "
            f"{first['msg']} ({error.error_count()} such places). It was altered."
        ) from None
    return dict(manifest)
