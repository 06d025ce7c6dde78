"""The files of a mixture version and of its exports: whether they are what was written.

The ledger is known by the digests in the version's manifest, exported files by those in theirs.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from samplemix_dagster.errors import ConfigError, DamagedError, LakeError
from samplemix_dagster.export_formats.wanted import Wanted
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.contents import shapes
from samplemix_dagster.storage.lake.contents.json_forms import EXPORT
from samplemix_dagster.storage.lake.lake import Lake

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project


def mend_manifest(lake: Lake, folder: str) -> None:
    """Write a version's manifest from its copy, or the copy from the manifest, where one is good.

    A copy that an older version never wrote is written, too.
    """
    both = [keys.manifest_in(folder), keys.manifest_copy_in(folder)]
    good = [key for key in both if intact_manifest(lake, key)]
    if len(good) == 1:
        [bad] = set(both) - set(good)
        lake.write_bytes(bad, lake.path(good[0]).read_bytes(), replace=True)


def intact_manifest(lake: Lake, key: str) -> dict[str, object]:
    """Return a manifest that is what was written; an empty one where it is not, or is gone."""
    try:
        return dict(lake.read_json(key, {}))
    except DamagedError:
        return {}


def ledger_problems(lake: Lake, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with ledger files of a version, by key; every byte is read."""
    folder = keys.version_folder(manifest["name"], manifest["version"])
    problems = {}
    for file, digest in manifest["ledger"].items():
        key = f"{folder}/{file}"
        if not lake.exists(key):
            problems[key] = "is gone"
        elif lake.digest(key) != digest:
            problems[key] = "has other bytes than when it was made"
    return problems


def check_ledger(lake: Lake, manifest: Mapping[str, Any]) -> int:
    """Compare a version's ledger with its digests; return how many files it has.

    Raises:
        DamagedError: A file is missing or is not what was written.
    """
    problems = ledger_problems(lake, manifest)
    errors = [lake.damage(key, f"it {problem}") for key, problem in problems.items()]
    if errors:
        raise errors[0]
    return len(manifest["ledger"])


def export_asset(mixture: str, export: str = "") -> str:
    """Return the asset of one of a mixture's exports; one alone has no name of its own."""
    return f"export/{mixture}/{export}" if export else f"export/{mixture}"


def export_key(project: "Project", name: str, version: str, export: str = "") -> str:
    """Return the lake folder of one of a version's exports."""
    return f"{keys.exports_of(name, version)}/{wanted_export(project, name, export).folder}"


def wanted_export(project: "Project", name: str, export: str = "") -> Wanted:
    """Return what the configuration asks one of a mixture's exports to be.

    Args:
        project: The project.
        name: The mixture.
        export: Which of its exports; one alone has no name.

    Raises:
        ConfigError: The mixture has no such export.
    """
    exports = project.config.exports_of(name)
    if not export and len(exports) > 1:
        raise ConfigError(
            f"mixture {name!r} has several exports; name one with --export: {', '.join(exports)}"
        )
    if export not in exports:
        raise ConfigError(f"mixture {name!r} has no export {export!r}; it has {', '.join(exports)}")
    return exports[export].wanted


def is_exported(project: "Project", name: str, version: str, export: str = "") -> bool:
    """Whether a version stands in the lake as an export asks, every file with its size.

    Raises:
        DamagedError: The manifest is damaged, or a file is missing or has another size.
    """
    key = export_key(project, name, version, export)
    manifest = project.lake.read_json(f"{key}/manifest.json")
    if manifest is None:
        return False
    for file, problem in size_problems(project.lake, key, manifest).items():
        raise project.lake.damage(f"{key}/{file}", f"it {problem}")
    return True


def size_problems(lake: Lake, key: str, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return which files of an export are missing or have another size, by name; one listing."""
    sizes, problems = lake.sizes(key), {}
    for file in shapes.every_file(manifest):
        found = sizes.get(file["name"])
        if found is None:
            problems[file["name"]] = "is gone"
        elif found != file["num_bytes"]:
            problems[file["name"]] = f"has {found:,} bytes instead of {file['num_bytes']:,}"
    return problems


def export_problems(lake: Lake, key: str, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with the files of an export, by name; every byte is read."""
    problems = size_problems(lake, key, manifest)
    for file in shapes.every_file(manifest):
        name = file["name"]
        if name not in problems and lake.digest(f"{key}/{name}") != file["digest"]:
            problems[name] = "has other bytes than when it was written"
    return problems


def require_export(lake: Lake, key: str, manifest: Any, place: str) -> dict[str, object]:
    """Return the manifest of an export that stands outside the lake, if all of it is as written.

    Raises:
        LakeError: Something is missing or was changed; nothing here makes it again by itself.
    """
    try:
        shapes.checked(EXPORT, manifest)
        problem = shapes.export_problem(manifest)
    except ValueError as error:
        problem = str(error)
    name = "manifest.json"
    if not problem:
        for file, found in export_problems(lake, key, manifest).items():
            name, problem = file, found
            break
    if problem:
        raise LakeError(f"{place}/{name} is damaged ({problem}); remove {place} and export again.")
    return dict(manifest)
