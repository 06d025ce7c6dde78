"""The ids and names of clusters and topics: kept from fit to fit where the groups are the same.

A fit numbers its groups from 0; outside of it a group is known by its id. ``ids.json`` beside the
fit holds the id of each number, its name, and the smallest id that no group has had. How groups
are matched is ``core.diversity.matching``'s.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from samplemix_dagster.core.diversity.matching import match_groups
from samplemix_dagster.engine.fitting.fit_files import check_fit
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.stages import IDS_FILE, FitStage
from samplemix_dagster.storage.lake.lake import Lake

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The id and the name of each group of a fit, in the fit's own order."""

    ids: tuple[int, ...]
    names: tuple[str, ...]
    next_id: int
    """The smallest id that no group has had."""

    def write(self, writer: FitWriter) -> None:
        """Write ``ids.json``, and ``names.json`` for those who only look names up."""
        value = {"ids": list(self.ids), "names": list(self.names), "next_id": self.next_id}
        writer.lake.replace_json(IDS_FILE, value)
        names = {str(identity): name for identity, name in zip(self.ids, self.names, strict=True)}
        writer.lake.replace_json("names.json", names)


def read_groups(lake: Lake, folder: str) -> Groups:
    """Return the groups of the fit in a folder of the lake."""
    value = lake.read_json(f"{folder}/{IDS_FILE}")
    return Groups(
        ids=tuple(value["ids"]), names=tuple(value["names"]), next_id=int(value["next_id"])
    )


def carry_over(
    recipes: "Recipes", fit: FitStage, names: list[str], likeness: Callable[[str], Any]
) -> tuple[Groups, dict[str, object] | None]:
    """Return the groups of a new fit, matched to those of the former one where there is one.

    Args:
        recipes: The recipes by which the fit is made.
        fit: The kind of fit.
        names: The new groups' own names, in the fit's order.
        likeness: Returns, for the former fit's folder, how like its groups are to the new ones.

    Returns:
        The groups, and what the matching found: None without a former fit.
    """
    former = recipes.former_fit(fit)
    if former is None:
        count = len(names)
        return Groups(ids=tuple(range(count)), names=tuple(names), next_id=count), None
    folder = f"{fit.versions_folder()}/{former}"
    check_fit(recipes.lake, folder)
    old = read_groups(recipes.lake, folder)
    found = match_groups(likeness(folder), old.ids, old.next_id, least=fit.least_likeness or 0.0)
    kept = [
        old.names[place] if place >= 0 else names[new] for new, place in enumerate(found.matched)
    ]
    return Groups(ids=found.ids, names=tuple(kept), next_id=found.next_id), {
        "former": former,
        "num_matched": found.num_matched,
        "num_new": len(names) - found.num_matched,
        "num_gone": len(old.ids) - found.num_matched,
        "least_likeness": round(min((x for x in found.likeness if x > 0), default=0.0), 4),
    }
