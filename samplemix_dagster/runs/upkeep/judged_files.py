"""Which files of evaluations are needed: what a result names, and what one at work may name yet."""

from collections.abc import Iterable, Iterator

from samplemix_dagster.storage.ask.relations.judged_views import results
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.lake.store import StoredFile


def named_by_results(lake: Lake) -> Iterator[str]:
    """Yield the keys of every result, of the losses that it is made of, and of its overlaps."""
    for found in results(lake):
        yield keys.evaluation_result(found["evaluation"])
        made = [*found.get("trainings", []), *found.get("weight_decays", [])]
        yield from (keys.evaluation_losses(one["address"]) for one in made)
        if "overlaps" in found:
            yield keys.evaluation_overlaps(found["overlaps"])


def of_one_at_work(files: Iterable[StoredFile], named: set[str], newest: float) -> set[str]:
    """Return what no result names yet, where an evaluation may be at work.

    One takes hours where its learner is large, and names its losses at the end. While it trains,
    something of it is young: then all that is not named may be its.

    Args:
        files: Files of the lake.
        named: Keys that results name.
        newest: When the grace began: what was modified later is young.
    """
    own = [one for one in files if one.key.startswith(f"{keys.EVALUATIONS}/")]
    unnamed = [one for one in own if one.key not in named]
    is_at_work = any(
        one.modified >= newest for one in unnamed if one.key != keys.CURRENT_EVALUATION
    )
    return {one.key for one in unnamed} if is_at_work else set()
