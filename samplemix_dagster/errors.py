"""What can go wrong, grouped by what a caller does next.

Every message says the rule, the value that broke it, where it stands and the way out.
"""


class SampleMixError(Exception):
    """Anything this project raises on purpose: the message is for a person."""

    exit_code = 1


class ConfigError(SampleMixError):
    """``samplemix.yaml`` or a command's words are wrong: correct them and run again."""

    exit_code = 2


class InputError(SampleMixError):
    """A corpus, a shard or a model is not what its configuration says it is."""


class ModelError(SampleMixError):
    """A reference model, a tokenizer or an encoder cannot be loaded."""


class TransientError(SampleMixError):
    """A network or a server failed for a reason that can pass: the same call can work later."""


class DegenerateSampleError(SampleMixError):
    """A sample has no spread, so nothing can be fitted to it."""


class InfeasibleMixtureError(SampleMixError):
    """No mixture with this configuration exists; the message gives the nearest that does."""


class CheckFailedError(SampleMixError):
    """An identity that must hold does not."""

    exit_code = 3


class LakeError(SampleMixError):
    """A file of the lake is missing, damaged or cannot be written."""


class DamagedError(LakeError):
    """A file of the lake is not what was written; what it was made from can make it again.

    Attributes:
        key: The file's key in the lake.
    """

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


class UnreachableInputError(InputError, TransientError):
    """A source's server failed for a reason that can pass."""


class UnreachableLakeError(LakeError, TransientError):
    """The lake's server failed for a reason that can pass."""
