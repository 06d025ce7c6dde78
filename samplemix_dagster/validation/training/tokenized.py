"""Texts as token ids of the budget's tokenizer: those that are judged, and those that are drawn."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.core.learners.ragged import TokenTexts
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.shards.shard_rows import read_documents
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.models.load import load_tokenizer
from samplemix_dagster.storage.models.text_ids import Ids, text_ids
from samplemix_dagster.validation.choosing.corpus import JudgedCorpus
from samplemix_dagster.validation.texts import JudgedText
from samplemix_dagster.validation.training.batches import batches

_AT_ONCE = 128


class TokenSource:
    """The budget's tokenizer, and the documents that it has encoded."""

    def __init__(self, recipes: Recipes) -> None:
        self.recipes = recipes
        tokenizer = load_tokenizer(recipes.tokenizer_folder)
        self._text_ids = text_ids(tokenizer, recipes.config.compute.tokenize_with)
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        self.vocabulary = max(vocabulary.values()) + 1
        """Number of token ids."""

    @property
    def digest(self) -> str:
        """The tokenizer's digest."""
        return self.recipes.tokenizer_digest

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text; words that look like a special token are text."""
        return self._text_ids.of(texts)

    def judged(self, texts: Sequence[JudgedText]) -> TokenTexts:
        """Return pieces as token ids."""
        return TokenTexts.of(self.encode([text.piece for text in texts]))

    def options(self, texts: Sequence[JudgedText]) -> TokenTexts:
        """Return options of tasks, each after its context."""
        # Encoded apart: a token that spans both would be neither read nor judged, and the options
        # of one item would have other contexts.
        contexts = self.encode([text.context for text in texts])
        return TokenTexts.after(contexts, self.encode([text.piece for text in texts]))

    def documents(
        self, corpus: JudgedCorpus, rows: npt.NDArray[np.int64], progress: Progress
    ) -> TokenTexts:
        """Return documents of the corpus, in the order of ``rows``, each shard read once.

        Raises:
            InputError: A shard has changed since it was scored.
        """
        found: dict[int, Ids] = {}
        shard_of = corpus.shard_of[rows]
        for number in np.unique(shard_of).tolist():
            mine = rows[shard_of == number]
            found |= dict(self._of_shard(corpus, number, mine))
            progress("evaluation", "tokens", len(found), rows.size)
        return TokenTexts.of(found[row] for row in rows.tolist())

    def _of_shard(
        self, corpus: JudgedCorpus, number: int, rows: npt.NDArray[np.int64]
    ) -> Iterator[tuple[int, Ids]]:
        wanted = dict(zip(corpus.row_of[rows].tolist(), rows.tolist(), strict=True))
        shard = corpus.shards[number]
        held = (one for one in read_documents(self.recipes, shard) if one.row in wanted)
        missing = set(wanted)
        for batch in batches(held, _AT_ONCE):
            for document, ids in zip(batch, self.encode([d.text for d in batch]), strict=True):
                row = wanted[document.row]
                if doc_id(document.text).encode() != corpus.ids[row]:
                    break
                missing.discard(document.row)
                yield row, ids
        if missing:
            raise InputError(
                f"{shard.shard.path} is not what was scored any more; `samplemix run` scores it, "
                "and then evaluate again."
            )
