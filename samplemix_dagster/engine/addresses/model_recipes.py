"""What a recipe says of models: where they run, in which number format, and what their files are.

A model is known by the digest of its files, never by its path. What else a result depends on is in
``recipes.py``.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.foundation.reference import REFERENCE
from samplemix_dagster.engine.provenance import machine_marks
from samplemix_dagster.engine.stages import FitStage, NotFittedError
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.models import load as models
from samplemix_dagster.storage.models.files import (
    digest_model,
    digest_tokenizer,
    first_fold,
    resolve_model,
    resolve_tokenizer,
)

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project

_DEFAULT_CONTEXT = 1024


class ModelRecipes:
    """The models of one project at one moment."""

    def __init__(self, project: "Project") -> None:
        self.project = project
        self.config = project.config
        self.lake = project.lake

    def fit(self, fit: FitStage, name: str = "") -> str:
        """Return the version of a fit that is to be used."""
        raise NotFittedError(fit, name)

    @property
    def context_tokens(self) -> int:
        """Most tokens in one window; a model with a shorter context uses its own."""
        return self.config.quality.context_tokens or _DEFAULT_CONTEXT

    @property
    def device(self) -> str:
        """Where models run."""
        return self._machine[0]

    @property
    def dtype(self) -> str:
        """The number format in which models run."""
        return self._machine[1]

    @property
    def encoder_dtype(self) -> str:
        """The number format in which the encoder runs."""
        return self.dtype

    @cached_property
    def _machine(self) -> tuple[str, str]:
        """Device and dtype; what was found on this very machine is not looked for again."""
        compute = self.config.compute
        mark = fingerprint([compute.device, compute.dtype, *machine_marks()])
        key = keys.machine(mark)
        known = self.lake.read_json(key)
        if known is None:
            device = models.pick_device(compute.device)
            known = {"device": device, "dtype": models.pick_dtype(device, compute.dtype)}
            self.lake.write_json(key, known)
        return known["device"], known["dtype"]

    def reference_folder(self, name: str) -> Path:
        """Return the folder of a reference's files.

        Raises:
            NotFittedError: It is to be trained here and has not been.
            ModelError: It cannot be found.
        """
        reference = self.config.references[name]
        if reference.model is not None:
            return resolve_model(reference.model, reference.revision, self.project.root)
        version = self.fit(REFERENCE, name)
        return self.lake.folder(f"{REFERENCE.versions_folder(name)}/{version}/model")

    def counts_ngrams(self, name: str) -> bool:
        """Whether a reference counts n-grams: it reads whole texts, the same on any machine."""
        return self.config.references[name].ngram is not None

    def reference_digest(self, name: str) -> str:
        """Return the digest of a reference's weight, config and tokenizer files."""
        folder = self.reference_folder(name)
        return self._remembered_digest(folder)

    def _remembered_digest(self, folder: Path) -> str:
        """Digest a model folder; an unchanged folder (sizes and times) is not read again."""
        listing = [
            [path.relative_to(folder).as_posix(), path.stat().st_size, path.stat().st_mtime_ns]
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]
        mark = fingerprint([str(folder), listing])
        known = self._digests.get(mark)
        if known is None:
            known = digest_model(folder)
            self._digests[mark] = known
            self.lake.replace_json(keys.MODEL_DIGESTS, self._digests)
        return known

    @cached_property
    def _digests(self) -> dict[str, str]:
        return dict(self.lake.read_json(keys.MODEL_DIGESTS, {}))

    @property
    def tokenizer_folder(self) -> Path:
        """Return the folder (or file) of the tokenizer that counts the budget.

        Models of one reference that are scored crosswise have one tokenizer: the first one's.
        """
        choice = self.config.tokenizer
        if choice.reference is not None:
            return first_fold(self.reference_folder(choice.reference))
        if choice.file is not None:
            return self.project.root / choice.file
        return resolve_tokenizer(str(choice.model), choice.revision, self.project.root)

    @cached_property
    def tokenizer_digest(self) -> str:
        """Return the digest of the budget's tokenizer file."""
        return digest_tokenizer(self.tokenizer_folder)

    @property
    def counts_with_reference(self) -> bool:
        """Whether scoring already counts the budget's tokens."""
        reference = self.reference_folder(self.config.quality.reference)
        return digest_tokenizer(reference) == self.tokenizer_digest

    @property
    def encoder_folder(self) -> Path:
        """Return the folder of the encoder."""
        encoder = self.config.encoder
        return resolve_model(encoder.model, encoder.revision, self.project.root)

    @cached_property
    def encoder_digest(self) -> str:
        """Return the digest of the encoder's files."""
        return self._remembered_digest(self.encoder_folder)
