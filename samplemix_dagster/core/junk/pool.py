"""Mix junk into the clean texts of one source, by share of characters, with a label for each text.

Nothing depends on the order in which the texts were found, nor on another source.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.core.junk.luck import Luck
from samplemix_dagster.core.junk.material import CleanText, Material
from samplemix_dagster.core.junk.table import CLEAN, KINDS
from samplemix_dagster.errors import ConfigError, InputError

MOST_SHARE = 0.95
_TRIES = 200

Found = tuple[str | None, str]
"""A text as it was found: its own id, if it has one, and the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What kind of pool is wanted.

    Attributes:
        share: Share of each source's characters that is junk, in [0, 0.95].
        weights: Parts of the junk by kind, relative to each other: none is negative, some are not
            0. A kind that is not named has none.
        seed: Another name gives another pool.
        documents: Share of the clean texts that is kept, in (0, 1].
    """

    share: float
    weights: Mapping[str, float]
    seed: str
    documents: float

    def __post_init__(self) -> None:
        """Refuse what no pool can be.

        Raises:
            ConfigError: A number is out of range, or a kind is unknown.
        """
        if not 0 <= self.share <= MOST_SHARE:
            raise ConfigError(f"the share of junk lies in 0 to {MOST_SHARE}, not {self.share:g}")
        if not 0 < self.documents <= 1:
            raise ConfigError(
                f"the fraction of documents lies above 0 and up to 1, not {self.documents:g}"
            )
        unknown = sorted(self.weights.keys() - KINDS.keys())
        if unknown:
            raise ConfigError(f"there is no kind {unknown[0]!r}; there are {', '.join(KINDS)}")
        weights = self.weights.values()
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
            raise ConfigError("weights of kinds are at least 0, and one of them is above")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One text of the pool, and what is known of it."""

    id: str
    """16 hexadecimal digits: a hash of seed, source and text, which says nothing of the label."""
    text: str
    kind: str
    made_from: str | None = None
    """Id of the clean text of this pool that it was made from."""
    original_id: str | None = None
    """The id that a clean text had where it was found."""


def mix_source(
    source: str, found: Sequence[Found], asked: Asked, is_document: Callable[[str], bool]
) -> list[Labelled]:
    """Return a source's clean texts and its junk, in the order of their ids.

    Junk goes on until it has its share of all characters, so that it has too much by less than one
    document; so has each kind, together with those made before it. In a source of few texts a kind
    can go without any.

    Args:
        source: The source's name.
        found: Its texts, at least one; their order does not matter.
        asked: What is wanted.
        is_document: Whether a reader would take a text. Junk that it would not is made again.

    Raises:
        InputError: A kind cannot be made from these texts.
    """
    luck = Luck(asked.seed, source)
    ids = _Ids(asked.seed, source)
    ordered = sorted(found, key=lambda text: (doc_id(text[1]), text[0] or ""))
    clean = [
        Labelled(id=ids.next(text), text=text, kind=CLEAN, original_id=own) for own, text in ordered
    ]
    clean.sort(key=lambda text: (luck.uniform(f"kept {text.id}"), text.id))
    clean = clean[: math.ceil(asked.documents * len(clean))]
    material = Material([CleanText(text.id, text.text) for text in clean], luck)
    junk = _junk(material, asked, ids, is_document)
    return sorted([*clean, *junk], key=lambda text: text.id)


class _Ids:
    """Ids of a source's texts: a text that comes again has another."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._seen: Counter[str] = Counter()

    def next(self, text: str) -> str:
        identity = doc_id(text)
        self._seen[identity] += 1
        named = json.dumps([*self._names, identity, self._seen[identity]])
        return hashlib.blake2b(named.encode(), digest_size=8).hexdigest()

    def knows(self, text: str) -> bool:
        return doc_id(text) in self._seen


def _junk(
    material: Material, asked: Asked, ids: _Ids, is_document: Callable[[str], bool]
) -> Iterator[Labelled]:
    """Yield junk kind by kind; which goes first is luck, so that not always the same go short."""
    num_clean = sum(len(text.text) for text in material.texts)
    wanted = num_clean * asked.share / (1 - asked.share)
    total = math.fsum(asked.weights.values())
    names = [name for name in KINDS if asked.weights.get(name)]
    target = made = 0.0
    for name in sorted(names, key=lambda name: material.luck.uniform(f"turn of {name}")):
        target += wanted * asked.weights[name] / total
        texts = _texts_of(name, material, ids, is_document)
        while made < target * (1 - 1e-12):
            found = next(texts)
            made += len(found.text)
            yield found


def _texts_of(
    name: str, material: Material, ids: _Ids, is_document: Callable[[str], bool]
) -> Iterator[Labelled]:
    """Yield texts of one kind without end; none that the pool has already."""
    number = last = 0
    while number - last < _TRIES:
        junk = KINDS[name].make(material, material.luck.of(name, number))
        number += 1
        if is_document(junk.text) and not ids.knows(junk.text):
            last = number
            yield Labelled(
                id=ids.next(junk.text), text=junk.text, kind=name, made_from=junk.made_from
            )
    source = material.luck.names[-1]
    raise InputError(
        f"source {source}: {_TRIES} tries gave no {name!r} that is a document and new, from "
        f"{len(material.texts):,} texts. Leave that kind out, or ask for a smaller share."
    )
