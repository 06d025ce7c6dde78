"""What is typed so that a trainer takes an export as it is."""

import numpy as np

from samplemix_dagster.export_formats.launch import Fragment, Launch
from samplemix_dagster.trace.exports.exported import Exported, sequence_of


def fragments_of(exported: Exported, sequence: int | None = None) -> tuple[Fragment, ...]:
    """Return what each trainer of an export's format is told, for sequences of some ids.

    Raises:
        ConfigError: The export's rows were written for another sequence.
    """
    facts, form = exported.manifest, exported.wanted.form
    bos = facts.get("bos_id") if facts.get("options", {}).get("bos", "none") != "none" else None
    launch = Launch(
        folder=str(exported.folder.resolve()),
        files=exported.files,
        sequence=sequence_of(exported, sequence),
        vocabulary_size=facts.get("vocabulary_size", 0),
        bytes_of_an_id=np.dtype(facts["dtype"]).itemsize if "dtype" in facts else 0,
        eos_id=facts.get("eos_id"),
        bos_id=bos,
    )
    return form.fragments(launch)
