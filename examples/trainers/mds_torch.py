"""Plain torch, on the folder of an export as ``mds`` with ``sequence: 129``.

``mds_torch.py FOLDER WORK``: MosaicML's ``StreamingDataset`` in a ``DataLoader``, in the order of
the export. Writes ``losses.json`` into the folder of work.
"""

import json
import sys
from pathlib import Path

import torch
import transformers  # noqa: F401 - before what it would look for is covered
from small_model import BATCH, train
from torch.utils.data import DataLoader
from without_pictures import cover_torchvision

cover_torchvision()
from streaming import StreamingDataset  # noqa: E402


def main(folder: str, work: str) -> None:
    """Train for 50 steps."""
    rows = StreamingDataset(local=folder, shuffle=False, batch_size=BATCH)
    loader = DataLoader(rows, BATCH, drop_last=True, collate_fn=ids_of)
    facts = json.loads(Path(folder, "manifest.json").read_text())
    losses = train(loader, facts["vocabulary_size"])
    Path(work, "losses.json").write_text(json.dumps(losses))


def ids_of(rows: list[dict[str, object]]) -> torch.Tensor:
    """Return the ids of some rows, and leave aside which documents they are of."""
    return torch.stack([torch.as_tensor(row["tokens"]) for row in rows]).long()


if __name__ == "__main__":
    main(*sys.argv[1:])
