"""The files of a fit: whether they are what was written, and which version was in use.

A version's ``fit.json`` has the digests of its files, a digest of itself, and what the note of the
version in use says of it. So where that note is gone, it can be written again.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.stages import FitStage, NotFittedError
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.contents.shapes import SEAL, content_digest
from samplemix_dagster.storage.lake.lake import Lake

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes


def sealed_fit(stated: Mapping[str, Any]) -> dict[str, object]:
    """Return what is written as ``fit.json``: with a digest of itself."""
    return {**stated, SEAL: content_digest(stated, SEAL)}


def check_fit(lake: Lake, folder: str) -> None:
    """Compare the files of a version with their digests, once for a lake opened.

    Raises:
        DamagedError: One is missing or is not what was written.
    """
    if folder in lake.checked:
        return
    stated = lake.read_json(keys.fit_note(folder))
    if stated is None:
        raise lake.damage(keys.fit_note(folder), "it is gone")
    for file, digest in stated.get("files", {}).items():
        key = f"{folder}/{file}"
        if not lake.exists(key):
            raise lake.damage(key, "it is gone")
        if lake.digest(key) != digest:
            raise lake.damage(key, "its bytes are not those that were written")
    lake.checked.add(folder)


def lost_fit(recipes: "Recipes", fit: FitStage, name: str) -> dict[str, object]:
    """Return what the note of the version in use said, where it is gone; empty if nothing tells.

    It is the version of today's recipe that a published mixture was made from, or the only one.
    """
    lake, folder = recipes.lake, fit.folder(name)
    versions = sorted(lake.names(keys.fits_folder(folder)))
    if not versions:
        return {}
    try:
        recipe = recipes.fit_recipe(fit, name)
    except (NotFittedError, InputError):
        return {}
    found = {}
    for version in versions:
        stated = lake.read_json(keys.fit_note(keys.fit_folder(folder, version)))
        if stated is not None and stated["recipe"] == recipe:
            found[version] = stated
    published = [version for version in _published(lake, folder) if version in found]
    if not published and len(found) != 1:
        return {}
    version = published[0] if published else next(iter(found))
    basis = found[version].get("basis", {})
    return {
        "version": version,
        "recipe": recipe,
        "recipe_fingerprint": fingerprint(recipe),
        "inputs": basis.get("inputs"),
        "space": fit.space(recipes),
        "sample": basis.get("sample"),
    }


def _published(lake: Lake, folder: str) -> list[str]:
    """Return the versions of a fit that current mixtures were made from."""
    found = []
    for name in sorted(lake.names(keys.MIXTURES)):
        current = lake.read_json(keys.current_version(name))
        if current is not None:
            manifest = lake.read_json(keys.manifest(name, current["version"]), {})
            found.append(manifest.get("fits", {}).get(folder, ""))
    return found
