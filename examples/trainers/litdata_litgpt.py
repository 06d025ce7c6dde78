"""litgpt's own command, on the folder of an export as ``litdata`` with ``sequence: 128``.

``litdata_litgpt.py FOLDER WORK``: a small model is described, and the rest is ``litgpt pretrain``
with its module ``LitData``, which shuffles blocks. Writes ``losses.json`` into the folder of work.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

STEPS, BATCH, SEQUENCE = 50, 8, 128


def main(folder: str, work: str) -> None:
    """Train for 50 steps."""
    facts = json.loads(Path(folder, "manifest.json").read_text())
    model = {
        "name": "small",
        "block_size": SEQUENCE,
        "vocab_size": facts["vocabulary_size"],
        "padded_vocab_size": facts["vocabulary_size"],
        "n_layer": 2,
        "n_head": 4,
        "n_embd": 128,
    }
    said = {
        "model_config": json.dumps(model),
        "out_dir": work,
        "precision": "32-true",
        "data": "LitData",
        "data.data_path": folder,
        "data.num_workers": 0,
        "train.max_tokens": STEPS * BATCH * SEQUENCE,
        "train.global_batch_size": BATCH,
        "train.micro_batch_size": BATCH,
        "train.max_seq_length": SEQUENCE,
        "train.lr_warmup_steps": 1,
        "train.min_lr": 1e-3,
        "train.log_interval": 1,
        "eval.initial_validation": "false",
        "eval.final_validation": "false",
        "devices": 1,
        "logger_name": "csv",
    }
    words = [f"--{key}={value}" for key, value in said.items()]
    subprocess.run([sys.executable, "-m", "litgpt", "pretrain", "small", *words], check=True)
    [metrics] = Path(work, "logs").rglob("metrics.csv")
    with metrics.open(newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file) if row.get("loss")]
    Path(work, "losses.json").write_text(json.dumps(losses))


if __name__ == "__main__":
    main(*sys.argv[1:])
