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


class DegenerateSampleError(SampleMixError):
    """A sample has no spread, so nothing can be fitted to it."""


class InfeasibleMixtureError(SampleMixError):
    """No mixture with this configuration exists; the message gives the nearest that does."""


class CheckFailedError(SampleMixError):
    """An identity that must hold does not."""

    exit_code = 3


class LakeError(SampleMixError):
    """A file of the lake is missing, damaged or cannot be written."""
