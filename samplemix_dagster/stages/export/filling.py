"""Fill an export: read each shard with draws once, encode its documents, set its draws aside.

Of a shard that was tokenized before, ids are read and no texts; for an export of texts none is
tokenized, but for a few whose count is looked at.
"""

import collections
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.places.shard_places import is_of
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.shard_rows import rules_as_read
from samplemix_dagster.errors import CheckFailedError, InputError
from samplemix_dagster.stages.export.encoding import Encoded, Encoder
from samplemix_dagster.stages.export.order import Draws, ledger_key
from samplemix_dagster.stages.export.token_ids import TOKEN_IDS
from samplemix_dagster.storage.corpus.rows import Openable
from samplemix_dagster.storage.corpus.shards import Document, read_shard
from samplemix_dagster.storage.exports import Spill
from samplemix_dagster.storage.lake.whole_files import digest_file

_TOKENIZED_AT_ONCE = 128


def check_tokenizer(recipes: Recipes, mixture: Mapping[str, Any]) -> None:
    """Refuse a version whose tokens were counted by a tokenizer that is no longer named.

    Raises:
        InputError: They were.
    """
    before, now = mixture["fits"]["tokenizer"], recipes.tokenizer_digest
    if before != now:
        raise InputError(
            f"version {mixture['version'][:12]} counted its tokens with another tokenizer "
            f"({before[:8]}, now {now[:8]}); name that one under `tokenizer` to export it."
        )


def fill(
    recipes: Recipes,
    mixture: Mapping[str, Any],
    draws: Iterable[tuple[int, Draws]],
    spill: Spill,
    encoder: Encoder,
    progress: Progress,
) -> None:
    """Read each shard with draws once and set its draws aside.

    Args:
        recipes: The project's recipes.
        mixture: The version's manifest.
        draws: The draws of each shard that has some, with its number.
        spill: What takes them.
        encoder: What makes of a text what is exported.
        progress: Told of each shard.

    Raises:
        InputError: A shard has gone or changed since.
        CheckFailedError: A text has other tokens than the ledger says.
    """
    placed = {(one.source, one.digest): one for one in recipes.project.all_shards()}
    for number, own in draws:
        shard = mixture["shards"][number]
        by_row: dict[int, list[int]] = collections.defaultdict(list)
        for draw, row in enumerate(own.row.tolist()):
            by_row[row].append(draw)
        key = ledger_key(mixture, shard)
        ledger = recipes.lake.read_table(key, ["row", "doc_id"])
        names = dict(
            zip(ledger.column("row").to_pylist(), ledger.column("doc_id").to_pylist(), strict=True)
        )
        here = placed.get((shard["source"], shard["digest"]))
        found = stored_ids(recipes, here, names, by_row.keys(), encoder)
        if found is None:
            file = _shard_file(recipes.project, shard, here)
            found = _encoded(recipes, shard, file, names, by_row.keys(), encoder)
        for one in found:
            _put(one, by_row[one.document.row], names, shard["source"], own, spill, encoder)
        progress(f"export/{mixture['name']}", "", number + 1, len(mixture["shards"]))


def stored_ids(
    recipes: Recipes,
    shard: PlacedShard | None,
    names: Mapping[int, str],
    rows: Collection[int],
    encoder: Encoder,
) -> Iterator[Encoded] | None:
    """Return the wanted documents of a shard as they were tokenized; None where not all were.

    Their texts are not read then. They are where texts are exported, and where one that gives the
    id of EOS is to be written in pieces.
    """
    vocabulary = encoder.vocabulary
    if vocabulary is None or vocabulary.inside == "escape" or shard is None:
        return None
    keys = [recipes.feature_key(stage, shard) for stage in (TOKEN_IDS, DOCUMENTS)]
    if not all(recipes.lake.exists(key) for key in keys):
        return None
    ids = recipes.lake.read_table(keys[0])
    documents = recipes.lake.read_table(keys[1], ["doc_id", "row", "id"])
    known = dict(
        zip(
            documents.column("row").to_pylist(), documents.column("doc_id").to_pylist(), strict=True
        )
    )
    is_same = all(known.get(row) == names[row] for row in rows)
    if not is_same or not ids.column("doc_id").equals(documents.column("doc_id")):
        return None
    return _of_tables(ids, documents, rows)


def _of_tables(ids: pa.Table, documents: pa.Table, rows: Collection[int]) -> Iterator[Encoded]:
    own = documents.column("id").to_pylist()
    tokens = ids.column("ids").combine_chunks()
    for place, row in enumerate(documents.column("row").to_pylist()):
        if row in rows:
            document = Document(row=row, id=own[place], text="", metadata={})
            yield Encoded(document=document, ids=tokens[place].values.to_pylist())


def _encoded(
    recipes: Recipes,
    shard: Mapping[str, Any],
    file: Openable,
    names: Mapping[int, str],
    rows: Collection[int],
    encoder: Encoder,
) -> Iterator[Encoded]:
    """Yield the wanted documents of a shard from its file.

    Raises:
        InputError: It has changed.
    """
    # The ledger says which rows are documents, also where the rules have moved on since.
    rules = replace(
        rules_as_read(recipes, shard["source"], shard["digest"]),
        min_characters=1,
        max_word_characters=0,
        metadata=(),
        wanted=rows,
    )
    counted = encoder.rows_to_count(names, rows)
    held: list[Document] = []
    for row in read_shard(file, rules):
        if isinstance(row, Document) and row.row in rows:
            if doc_id(row.text) != names[row.row]:
                raise InputError(
                    f"{file} changed while it was exported; run again. (Or an older reader "
                    f"read row {row.row} otherwise: then a version that is drawn now has it.)"
                )
            held.append(row)
            if len(held) >= _TOKENIZED_AT_ONCE:
                yield from encoder.encode(held, counted)
                held = []
    yield from encoder.encode(held, counted)


def _put(
    found: Encoded,
    draws_of_it: Iterable[int],
    names: Mapping[int, str],
    source: str,
    draws: Draws,
    spill: Spill,
    encoder: Encoder,
) -> None:
    """Set the draws of a document aside.

    Raises:
        CheckFailedError: It has other tokens than the ledger says.
    """
    name, content = names[found.document.row], encoder.content(found)
    for draw in draws_of_it:
        num_tokens = int(draws.tokens[draw])
        if found.ids is not None and len(found.ids) != num_tokens:
            raise CheckFailedError(
                f"the document {name} of source {source!r} has {len(found.ids):,} tokens, and the "
                f"ledger says {num_tokens:,}: it was not counted by this tokenizer, or another "
                "release of its library counts otherwise."
            )
        spill.add(
            int(draws.file[draw]),
            {
                "doc_id": name,
                "source": source,
                "copy": int(draws.copy[draw]),
                "num_tokens": num_tokens,
                "id": found.document.id,
                **content,
                "position": int(draws.position[draw]),
            },
        )


def _shard_file(project: Project, shard: Mapping[str, Any], here: PlacedShard | None) -> Openable:
    """Return where a shard's bytes are today.

    Raises:
        InputError: They are gone, or the source is.
    """
    if shard["source"] not in project.config.corpus.sources:
        raise InputError(f"source {shard['source']!r} is no longer in the configuration.")
    if here is not None:
        return project.open_shard(here.shard)
    file = project.files.at(shard["path"])
    if file.is_file() and is_of(shard, digest_file(file)):
        return file
    raise InputError(
        f"shard {shard['digest']} of source {shard['source']!r} (was {shard['path']}) is gone or "
        "has changed, so this version cannot be exported any more."
    )
