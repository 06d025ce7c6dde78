"""How many parameters a reference has, as its fit says."""

from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake


def reference_parameters(lake: Lake, name: str) -> int | None:
    """Return the parameters of a reference that is in use; None without one."""
    fit = f"reference-{name}"
    current = lake.read_json(keys.current_fit(fit))
    if current is None:
        return None
    stated = lake.read_json(keys.fit_note(keys.fit_folder(fit, current["version"])))
    found = ((stated or {}).get("facts") or {}).get("num_parameters")
    return None if found is None else int(found)
