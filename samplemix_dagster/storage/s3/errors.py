"""What S3 said, as a sentence for a person, and whether the same request can work later.

No sentence holds a credential: what a server answers is shown with access keys blotted out.
"""

import functools
import random
import re
from dataclasses import dataclass

from botocore import exceptions as boto

from samplemix_dagster.errors import (
    InputError,
    LakeError,
    SampleMixError,
    UnreachableInputError,
    UnreachableLakeError,
)

FAILURES = (boto.BotoCoreError, boto.ClientError, OSError)
"""Everything that a request raises."""

_PASSING_CODES = {
    "BandwidthLimitExceeded",
    "InternalError",
    "OperationAborted",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
}
_ACCESS_KEY = re.compile(r"\b(?:A[KS]IA|ABIA|ACCA)[A-Z0-9]{12,}\b")
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.SSOError,
    boto.TokenRetrievalError,
    boto.NoAuthTokenError,
)
_WAYS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile under `s3: profile` or in "
    "AWS_PROFILE, or run where a role gives them"
)

MIB = 1 << 20
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 20.0


def pause(failures: int) -> float:
    """Return the seconds to wait after a number of failures in a row: random, growing, bounded."""
    return random.uniform(0.0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**failures))


@dataclass(frozen=True, slots=True)
class Kind:
    """As which errors a store fails: for good, and for now."""

    final: type[SampleMixError]
    passing: type[SampleMixError]


SOURCE = Kind(InputError, UnreachableInputError)
LAKE = Kind(LakeError, UnreachableLakeError)


@functools.cache
def body_failures() -> tuple[type[Exception], ...]:
    """Return what reading a body raises: it was cut, and the rest can be asked for again."""
    from botocore.httpsession import URLLib3SSLError  # brings urllib3, which is slow to load

    return boto.IncompleteReadError, boto.HTTPClientError, URLLib3SSLError, OSError


def is_absent(error: BaseException) -> bool:
    """Whether S3 answered that there is no such object."""
    return isinstance(error, boto.ClientError) and _code(error) in {"NoSuchKey", "404", "NotFound"}


def is_unchanged(error: BaseException) -> bool:
    """Whether S3 answered that the object is still the one that was named."""
    return isinstance(error, boto.ClientError) and _status(error) == 304


def failure(error: BaseException, url: str, kind: Kind, attempts: int) -> SampleMixError:
    """Return the error to raise for what a request raised.

    Args:
        error: What boto3 raised.
        url: What was asked for, as ``s3://bucket/key``.
        kind: Which errors it becomes.
        attempts: How often it was tried when its reason could pass.
    """
    if can_pass(error):
        return kind.passing(
            f"{url}: {_busy(error)}, {attempts} times in a row. Run again later, or raise "
            "`s3: max_attempts`."
        )
    return kind.final(f"{url}: {_final(error)}")


def can_pass(error: BaseException) -> bool:
    """Whether the same request can work later."""
    if isinstance(error, boto.ClientError):
        return _code(error) in _PASSING_CODES or _status(error) >= 500 or _status(error) == 429
    is_network = isinstance(error, (*body_failures(), boto.ConnectionError))
    return is_network and not isinstance(error, boto.SSLError)


def _busy(error: BaseException) -> str:
    if isinstance(error, boto.ClientError):
        return f"the server answered {_code(error)} ({_said(error)})"
    if isinstance(error, boto.EndpointConnectionError):
        return "the server could not be reached (is `s3: endpoint` right?)"
    if isinstance(error, boto.ConnectTimeoutError | boto.ReadTimeoutError):
        return "the server did not answer in time"
    return "the connection was cut"


def _final(error: BaseException) -> str:
    if isinstance(error, boto.ClientError):
        return _refused(error)
    if isinstance(error, _NO_CREDENTIALS):
        return f"no credentials were found for S3; {_WAYS}."
    if isinstance(error, boto.ProfileNotFound):
        return "the profile under `s3: profile` (or in AWS_PROFILE) is not in the AWS files."
    if isinstance(error, boto.NoRegionError):
        return "no region is known; name it under `s3: region` or in AWS_REGION."
    if isinstance(error, boto.ParamValidationError):
        return "this is no valid bucket and key; correct the URL."
    if isinstance(error, boto.SSLError):
        return "the server's certificate was not accepted; is `s3: endpoint` right?"
    return f"S3 could not be asked ({type(error).__name__}); check the section `s3`."


def _refused(error: boto.ClientError) -> str:
    code, status = _code(error), _status(error)
    if code == "NoSuchBucket":
        return "there is no such bucket; correct the URL, or make the bucket first."
    if is_absent(error):
        return "the object is gone."
    if status == 412:
        return "the object changed while it was read; run again."
    if status in {301, 307} or code in {"AuthorizationHeaderMalformed", "IllegalLocation"}:
        return "the bucket lies in another region; name it under `s3: region`."
    if code in {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}:
        return f"the credentials are not accepted ({code}: {_said(error)}); {_WAYS}."
    if status == 403:
        return (
            f"access is denied ({code}: {_said(error)}); the credentials need the permissions that "
            "docs/s3.md lists."
        )
    return f"the server refused it ({code}: {_said(error)})."


def _code(error: boto.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: boto.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _said(error: boto.ClientError) -> str:
    said = str(error.response.get("Error", {}).get("Message", "")).strip().rstrip(".")
    return _ACCESS_KEY.sub("<access key>", said) or "no reason given"
