"""Mend a published mixture version: draw again what was damaged, and take it if it is the same.

A version's manifest says what it was made from, and has digests of its ledger and of itself. So
what is drawn again is proven to be what was written, or it is not put into the lake: a version is
never silently rewritten as another.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.stages import NotFittedError
from samplemix_dagster.errors import DamagedError, SampleMixError, UnreachableLakeError
from samplemix_dagster.stages.mixture.drawing.draw import Draw
from samplemix_dagster.stages.mixture.drawing.drawn import MIXTURE
from samplemix_dagster.stages.mixture.mixing import draw_ledger
from samplemix_dagster.stages.mixture.published.mixture_manifest import sealed
from samplemix_dagster.stages.mixture.published.version_files import (
    intact_manifest,
    ledger_problems,
    mend_manifest,
)
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.trace.remade.pinned import pinned, scratch_over
from samplemix_dagster.trace.remade.state_maker import StateMaker
from samplemix_dagster.trace.remade.states import NotComputableError, state_of

_NOT_DRAWN = (NotComputableError, SampleMixError, ValueError, KeyError, TypeError, OSError)
_COMPUTED = ("scales", "design_scales", "ledger", "report")
"""Keys of a manifest that a draw gives; the others are inputs, or who made it and when."""


class _CannotMendError(Exception):
    """A version cannot be drawn again, or comes out otherwise; the message says why."""


def mend_version(project: Project, name: str, version: str, damaged: Iterable[str]) -> str:
    """Make damaged files of a version again; say in words what was done or what is lost.

    What cannot be mended yet, since what it is made from is damaged too, is tried once more when
    the run has made that again (``lake.deferred``).
    """
    lake, folder = project.lake, keys.version_folder(name, version)
    what = f"{', '.join(sorted(damaged))} was damaged"
    try:
        mended = _mend(project, name, version)
    except _CannotMendError as error:
        why = str(error)
    else:
        lake.deferred.discard(folder)
        return f"{what}; {mended}, to the very bytes that its digest names."
    if _is_wanted(project, name, version):
        lake.remove_folder(folder)
        return f"{what}; {folder} is removed and made again."
    if folder not in lake.deferred:
        lake.deferred.add(folder)
        return f"{what}; {name}@{version[:12]} is mended after this run ({why})."
    return f"{what}; {_give_up(project, folder, why)}"


def retry_deferred(project: Project) -> bool:
    """Note again what could not be mended before the run made anything; whether there was any."""
    lake = project.lake
    again = [folder for folder in sorted(lake.deferred) if folder not in lake.retried]
    lake.retried.update(again)
    lake.damaged += [keys.manifest_in(folder) for folder in again]
    return bool(again)


def _mend(project: Project, name: str, version: str) -> str:
    """Draw a version again and put what was damaged into its place.

    Raises:
        _CannotMendError: It cannot be drawn again, or comes out otherwise.
    """
    lake, folder = project.lake, keys.version_folder(name, version)
    mend_manifest(lake, folder)
    manifest, is_intact = intact_manifest(lake, keys.manifest_in(folder)), True
    if not manifest:
        manifest, is_intact = _altered(project, folder), False
    if not manifest:
        raise _CannotMendError("its manifest, which says what it was made from, is gone")
    if not is_intact or ledger_problems(lake, manifest):
        try:
            files, drawn = _drawn_again(project, manifest, version)
        except UnreachableLakeError:
            raise  # it says nothing of the version
        except _NOT_DRAWN as error:
            raise _CannotMendError(f"it cannot be drawn again: {error}") from error
        whole = manifest if is_intact else _proven(manifest, drawn)
        _require_same(whole, drawn)
        for key in ledger_problems(lake, whole):
            lake.write_bytes(key, files[key.removeprefix(f"{folder}/")], replace=True)
        if not is_intact:
            lake.replace_json(keys.manifest_in(folder), whole)
            lake.replace_json(keys.manifest_copy_in(folder), whole)
        return f"{name}@{version[:12]} is drawn again from what is stored"
    return f"{name}@{version[:12]} is made whole from what is stored"


def _require_same(manifest: Mapping[str, Any], drawn: Mapping[str, Any]) -> None:
    for file, digest in drawn["ledger"].items():
        if manifest["ledger"].get(file) != digest:
            raise _CannotMendError(f"{file} comes out with other bytes when it is drawn again")


def _altered(project: Project, folder: str) -> dict[str, object]:
    """Return what an altered manifest says, if it still is an object."""
    try:
        found = project.lake.read_json_as_is(keys.manifest_in(folder))
    except DamagedError:
        return {}
    return dict(found) if isinstance(found, dict) else {}


def _proven(altered: Mapping[str, Any], drawn: Mapping[str, Any]) -> dict[str, object]:
    """Return a manifest as it was written, with what a draw gives in place of what it says.

    Raises:
        _CannotMendError: Its digest does not say that it is; a single digit of it may be off.
    """
    whole = sealed({**altered, **{key: drawn[key] for key in _COMPUTED if key in altered}})
    stated, found = str(altered.get("digest")), str(whole["digest"])
    num_off = sum(one != other for one, other in zip(stated, found, strict=False))
    if len(stated) != len(found) or num_off > 1:
        raise _CannotMendError("its manifest was altered, and nothing else says what it said")
    return whole


def _drawn_again(
    project: Project, manifest: Mapping[str, Any], version: str
) -> tuple[dict[str, bytes], dict[str, object]]:
    """Return the bytes of each ledger file, and what a manifest says of a draw."""
    with scratch_over(project) as lake:
        recipes = pinned(project, state_of(manifest), lake)
        if MIXTURE.wanted(recipes, "pinned") != version:
            raise NotComputableError("its inputs are not those of this version")
        maker = StateMaker(recipes)
        try:
            maker.make()
        except NotComputableError:
            maker.require_same_draw()
        drawn = draw_ledger(Draw(recipes, "pinned"), lake.top, version)
        files = {file: lake.top.path(file).read_bytes() for file in drawn.digests}
        return files, drawn.to_json()


def _is_wanted(project: Project, name: str, version: str) -> bool:
    """Whether the next run would draw this very version."""
    if name not in project.config.mixtures:
        return False
    try:
        return MIXTURE.wanted(Recipes(project), name) == version
    except (NotFittedError, SampleMixError):
        return False


def _give_up(project: Project, folder: str, why: str) -> str:
    """Leave what is left of a version; one whose manifest is damaged is no longer listed."""
    lake = project.lake
    if intact_manifest(lake, keys.manifest_in(folder)):
        return f"{why}. Its manifest and its other files stay."
    if not lake.exists(f"{folder}/{keys.MANIFEST_DAMAGED}"):
        both = [keys.manifest_in(folder), keys.manifest_copy_in(folder)]
        left = [lake.path(key).read_bytes() for key in both if lake.exists(key)]
        lake.write_bytes(f"{folder}/{keys.MANIFEST_DAMAGED}", left[0] if left else b"")
    lake.remove(keys.manifest_in(folder))
    lake.remove(keys.manifest_copy_in(folder))
    return (
        f"{why}. The version is lost: it is no longer listed, its ledger files stay in {folder} "
        f"until `samplemix gc`, and what is left of the manifest is kept there as "
        f"{keys.MANIFEST_DAMAGED}."
    )
