"""How many parameters of a reference a token meets, as its fit says."""

from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake


def reference_parameters(lake: Lake, name: str) -> int | None:
    """Return the parameters of a reference in use that a token meets: all, but of an n-gram model.

    None without a reference.
    """
    fit = f"reference-{name}"
    current = lake.read_json(keys.current_fit(fit))
    if current is None:
        return None
    stated = lake.read_json(keys.fit_note(keys.fit_folder(fit, current["version"])))
    facts = (stated or {}).get("facts") or {}
    found = facts.get("num_parameters_of_a_token", facts.get("num_parameters"))
    return None if found is None else int(found)
