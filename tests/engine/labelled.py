"""A file of labels for a small project: the label ``origin`` is the name of the source."""

from pathlib import Path

from tests.engine.runs import rows
from tests.projects import read_settings, write_settings


def label_by_source(root: Path) -> None:
    """Write ``origins.csv`` and name it in the configuration; nothing is run."""
    found = rows(root, "select id, source from documents order by source, id")
    lines = [f"{row['id']},{row['source']},{row['source']}\n" for row in found]
    (root / "origins.csv").write_text("id,source,label\n" + "".join(lines))
    settings = read_settings(root)
    settings["labels"] = {"origin": {"file": "origins.csv"}}
    write_settings(root, settings)
