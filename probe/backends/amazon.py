"""boto3's client without its own retries, and its errors as ours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from probe.api.http import address
from probe.backends.connection import Connection
from probe.errors import (
    AuthError,
    BackendError,
    ContractError,
    MissingExtra,
    ProfileError,
    QuotaExhausted,
    Rejected,
    Unreachable,
)
from probe.text import printable
from probe.types import Failure

THROTTLES = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
BUSY = frozenset({"InternalServerError", "ResourceNotReadyException", "ServiceUnavailable"})
KEYS = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
PICTURES = frozenset(
    {"ImageTooLargeException", "InvalidImageFormatException", "InvalidParameterException"}
)
QUOTAS = frozenset({"ServiceQuotaExceededException"})
NO_KEYS = (
    "no AWS keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (`aws configure`)"
)


class Client:
    """The client of one AWS service and the secrets that it may send."""

    def __init__(self, service: str, region: str, threads: int, connection: Connection) -> None:
        """Raises MissingExtra without boto3, ProfileError where AWS's own settings fall short."""
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
        except ImportError as error:
            raise MissingExtra("boto3", "aws") from error
        config = Config(
            connect_timeout=min(connection.timeout, 10.0),
            read_timeout=connection.timeout,
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=threads,
        )
        try:
            self._session = boto3.Session(region_name=region or os.environ.get("AWS_REGION"))
            self.api: Any = self._session.client(
                service, config=config, verify=connection.ca_file or None
            )
        except (BotoCoreError, ValueError) as error:
            raise _unusable(error) from error
        self.api.meta.events.register(f"before-parse.{service}.*", _whole)

    @property
    def url(self) -> str:
        return str(self.api.meta.endpoint_url)

    @property
    def region(self) -> str:
        return str(self.api.meta.region_name)

    def failure(self, error: Exception) -> Failure:
        """What an exception of a call means for its picture; raises what ends a run."""
        from botocore import exceptions as its

        host = address(self.url)
        match error:
            case its.ClientError():
                return self._refusal(error.response, host)
            case its.NoCredentialsError() | its.PartialCredentialsError():
                raise ProfileError(NO_KEYS) from error
            case its.CredentialRetrievalError() | its.SSOError() | its.TokenRetrievalError():
                raise AuthError(f"no AWS keys could be had: {self._shown(error)}") from error
            case its.SSLError():
                raise BackendError(
                    f"no safe connection to {host}: {self._shown(error)}; is it https, with a "
                    "valid certificate? --ca-file names one to trust"
                ) from error
            case its.ConnectionError():
                raise Unreachable(f"no connection to {host}: {self._shown(error)}") from error
            case its.HTTPClientError() | its.IncompleteReadError():
                return Failure("lost", f"{host} gave no whole answer", billed=True)
            case its.BotoCoreError():
                raise ContractError(f"{host}: {self._shown(error)}") from error
            case TypeError() | ValueError() | LookupError() | AttributeError() | RecursionError():
                raise ContractError(f"{host} answered in another form: {error}") from error
        raise error

    def _refusal(self, response: dict[str, Any], host: str) -> Failure:
        about, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
        code, status = str(about.get("Code", "")), int(meta.get("HTTPStatusCode", 0))
        said = self._shown(f"{host} answered {status} {code}: {about.get('Message', '')}")
        if code in KEYS:
            raise AuthError(f"{said}; are the AWS keys and their permissions right?")
        if code in QUOTAS:
            raise QuotaExhausted(said)
        if code in THROTTLES or status == 429:
            return Failure("throttled", said)
        if code in BUSY or status >= 500:
            return Failure("unavailable", said)
        if code in PICTURES:
            return Failure("refused", said)
        if status in (401, 403):
            raise AuthError(said)
        raise Rejected(said)

    def _shown(self, said: object) -> str:
        """A message without the keys."""
        text = " ".join(str(said).split())
        keys = self._session.get_credentials()
        for secret in keys.get_frozen_credentials() if keys else ():
            text = text.replace(secret, "***") if secret else text
        return printable(text, 300)


def _whole(response_dict: Mapping[str, Any], **about: Any) -> None:
    """botocore takes an answer that was cut short for an empty one."""
    from botocore.exceptions import IncompleteReadError

    stated, body = response_dict["headers"].get("content-length", ""), response_dict["body"]
    if stated.isdigit() and len(body) < int(stated):
        raise IncompleteReadError(actual_bytes=len(body), expected_bytes=int(stated))


def _unusable(error: Exception) -> ProfileError:
    from botocore.exceptions import NoRegionError

    if isinstance(error, NoRegionError):
        return ProfileError("no AWS region: set AWS_REGION, or give --set region=us-east-1")
    return ProfileError(f"AWS's settings cannot be used: {printable(str(error), 200)}")
