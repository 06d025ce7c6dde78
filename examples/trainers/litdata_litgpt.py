"""litgpt's own pre-training, on the folder of an export as ``litdata`` with ``sequence: 128``.

``litdata_litgpt.py FOLDER WORK``: a small model is described, and the rest is ``litgpt pretrain``
with its module ``LitData``, which shuffles blocks. Writes ``losses.json`` into the folder of work.
"""

import csv
import json
import sys
from pathlib import Path

from litgpt import Config
from litgpt.args import EvalArgs, TrainArgs
from litgpt.data import LitData
from litgpt.pretrain import setup

STEPS, BATCH, SEQUENCE = 50, 8, 128


def main(folder: str, work: str) -> None:
    """Train for 50 steps."""
    facts = json.loads(Path(folder, "manifest.json").read_text())
    config = Config(
        name="small",
        block_size=SEQUENCE,
        vocab_size=facts["vocabulary_size"],
        padded_vocab_size=facts["vocabulary_size"],
        n_layer=2,
        n_head=4,
        n_embd=128,
    )
    setup(
        model_name="small",
        model_config=config,
        out_dir=Path(work),
        precision="32-true",
        data=LitData(data_path=folder, num_workers=0),
        train=TrainArgs(
            max_tokens=STEPS * BATCH * SEQUENCE,
            global_batch_size=BATCH,
            micro_batch_size=BATCH,
            max_seq_length=SEQUENCE,
            lr_warmup_steps=1,
            log_interval=1,
            save_interval=None,
            max_norm=1.0,
            min_lr=1e-3,
            tie_embeddings=False,
        ),
        eval=EvalArgs(
            interval=10 * STEPS, max_iters=1, initial_validation=False, final_validation=False
        ),
        optimizer={"class_path": "torch.optim.AdamW", "init_args": {"lr": 1e-3}},
        devices=1,
        logger_name="csv",
        seed=0,
    )
    [metrics] = Path(work, "logs").rglob("metrics.csv")
    with metrics.open(newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file) if row.get("loss")]
    Path(work, "losses.json").write_text(json.dumps(losses))


if __name__ == "__main__":
    main(*sys.argv[1:])
