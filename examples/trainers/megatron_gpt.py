"""Megatron's ``GPTDataset`` and a plain loop, on the folder of an export as ``megatron``.

``megatron_gpt.py FOLDER WORK``: the pairs are blended and cut by megatron-core's own builder, which
shuffles documents and samples. Writes ``losses.json`` into the folder of work.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from small_model import BATCH, SEQUENCE, STEPS, train
from torch.utils.data import DataLoader


def main(folder: str, work: str) -> None:
    """Train for 50 steps."""
    # Megatron builds data sets in one process of a group and tells the others.
    group = f"file://{Path(work).resolve()}/group"
    torch.distributed.init_process_group("gloo", init_method=group, rank=0, world_size=1)
    facts = json.loads(Path(folder, "manifest.json").read_text())
    pairs = [str(path.with_suffix("")) for path in sorted(Path(folder).glob("*.idx"))]
    config = GPTDatasetConfig(
        random_seed=0,
        sequence_length=SEQUENCE,
        blend=(pairs, None),
        split="100,0,0",
        path_to_cache=work,
        tokenizer=SimpleNamespace(
            eod=facts["eos_id"],
            pad=facts["eos_id"],
            vocab_size=facts["vocabulary_size"],
            unique_identifiers={"tokenizer": facts["tokenizer"]},
        ),
        reset_position_ids=False,
        reset_attention_mask=False,
        eod_mask_loss=False,
        allow_ambiguous_pad_tokens=True,
    )
    sizes = [STEPS * BATCH, 0, 0]
    samples, *_ = BlendedMegatronDatasetBuilder(GPTDataset, sizes, lambda: True, config).build()
    batches = (
        torch.cat([batch["tokens"], batch["labels"][:, -1:]], dim=1)
        for batch in DataLoader(samples, BATCH)
    )
    losses = train(batches, facts["vocabulary_size"])
    Path(work, "losses.json").write_text(json.dumps(losses))


if __name__ == "__main__":
    main(*sys.argv[1:])
