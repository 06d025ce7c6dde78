"""export: a mixture's draws -> files for trainers, in training order."""

from collections.abc import Mapping
from typing import Any

from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.export_formats.wanted import Wanted
from samplemix_dagster.show.presentation import many
from samplemix_dagster.wiring.assets.asset import Look
from samplemix_dagster.wiring.assets.shown.told import address_value, table_value
from samplemix_dagster.wiring.metadata import Metadata

_COLUMNS = ("name", "num_draws", "num_tokens", "num_bytes", "digest")
_OF_IDS = {
    "num_documents_holding_eos": "documents_holding_eos",
    "num_bos_tokens": "bos_tokens",
    "num_documents_holding_bos": "documents_holding_bos",
    "num_escaped_documents": "documents_written_in_pieces",
    "num_escape_tokens": "tokens_of_pieces",
}


def _present(project: Project, outcome: Outcome) -> Metadata:
    facts = outcome.facts
    has_console = project.config.s3.endpoint is None
    files = facts["files"]
    return {
        "training_data": (
            f"{facts['num_draws']:,} draws, {many(facts['num_tokens'])} tokens, "
            f"in {len(files):,} file{'' if len(files) == 1 else 's'}"
        ),
        "format": Wanted.of_manifest(facts).words,
        "folder": address_value(facts["folder"], has_console=has_console),
        "files": table_value([{key: file[key] for key in _COLUMNS} for file in files]),
        "mixture_version": facts["version"],
        "draws": facts["num_draws"],
        "tokens": facts["num_tokens"],
        **_of_ids(facts),
    }


def _of_ids(facts: Mapping[str, Any]) -> Metadata:
    """Return what is shown of EOS and BOS; nothing of an export of texts."""
    if "num_added_tokens" not in facts:
        return {}
    others = facts.get("num_bos_tokens", 0) + facts.get("num_escape_tokens", 0)
    eos_tokens = facts["num_added_tokens"] - others
    shown = {told: facts[name] for name, told in _OF_IDS.items() if name in facts}
    return {"eos_tokens": eos_tokens, **shown}


def look(name: str, export: str = "") -> Look:
    """Return what a person sees of one of a mixture's exports; one alone has no name."""
    whose = f"The export {export!r}" if export else "The export"
    return Look(
        description=(
            f"{whose} of mixture {name!r}: its draws as files of near-equal size, in an "
            "order in which every window is close to the whole mixture; read back and counted "
            "against the ledger."
        ),
        kinds=("export", "file"),
        present=_present,
    )
