"""How many parameters models have: the reference's fit says it, an encoder's files do."""

from pathlib import Path

from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.models.files import first_fold


def reference_parameters(lake: Lake, name: str) -> int | None:
    """Return the parameters of a reference that is in use; None without one."""
    fit = f"reference-{name}"
    current = lake.read_json(keys.current_fit(fit))
    if current is None:
        return None
    stated = lake.read_json(keys.fit_note(keys.fit_folder(fit, current["version"])))
    found = ((stated or {}).get("facts") or {}).get("num_parameters")
    return None if found is None else int(found)


def stored_parameters(folder: Path) -> int | None:
    """Return the numbers in a model's ``safetensors`` files, by their headers; None without any."""
    from safetensors import safe_open

    total = 0
    for file in sorted(first_fold(folder).glob("*.safetensors")):
        with safe_open(str(file), framework="numpy") as tensors:
            for name in tensors.keys():  # noqa: SIM118  no mapping
                shape = tensors.get_slice(name).get_shape()
                size = 1
                for length in shape:
                    size *= length
                total += size
    return total or None
