"""transformers' Trainer, on the folder of an export as ``huggingface``.

``huggingface_trainer.py FOLDER TOKENIZER WORK``: texts are tokenized here, so the tokenizer of the
budget is named; EOS ends each document. Writes ``losses.json`` into the folder of work.
"""

import json
import sys
from pathlib import Path

from datasets import load_dataset
from transformers import (
    DataCollatorForLanguageModeling,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

STEPS, BATCH, SEQUENCE = 50, 8, 128


def main(folder: str, tokenizer_folder: str, work: str) -> None:
    """Train for 50 steps, in the order of the export."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tokenizer_folder)
    tokenizer.pad_token = tokenizer.eos_token
    texts = load_dataset(folder, split="train", cache_dir=f"{work}/datasets")

    def encoded(rows: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        ended = [text + tokenizer.eos_token for text in rows["text"]]
        return {"input_ids": tokenizer(ended, truncation=True, max_length=SEQUENCE)["input_ids"]}

    sequences = texts.map(encoded, batched=True, remove_columns=texts.column_names)
    size = {"n_positions": SEQUENCE, "n_embd": 128, "n_layer": 2, "n_head": 4}
    trainer = Trainer(
        model=GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **size)),
        args=TrainingArguments(
            output_dir=work,
            max_steps=STEPS,
            per_device_train_batch_size=BATCH,
            learning_rate=1e-3,
            train_sampling_strategy="sequential",  # the order of the export
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
            seed=0,
        ),
        train_dataset=sequences,
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
    )
    trainer.train()
    losses = [float(one["loss"]) for one in trainer.state.log_history if "loss" in one]
    Path(work, "losses.json").write_text(json.dumps(losses))


if __name__ == "__main__":
    main(*sys.argv[1:])
