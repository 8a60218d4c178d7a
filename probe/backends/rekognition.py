"""AWS Rekognition by boto3 (extra `aws`), because its requests are signed.

DetectModerationLabels or DetectLabels of the API of 2016-06-27: one picture a request, scores in
percent. Every label is asked for (MinConfidence 0), so that an absent one scores 0. Keys, region
and endpoint are looked for where botocore does: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_SESSION_TOKEN, AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, and the files in ~/.aws.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from probe.api.http import address
from probe.api.profile.records import Derived, Profile, RequestForm, ResponseForm, ScoreForm
from probe.api.profile.settings import Variable
from probe.api.response.reader import Reader
from probe.backends.amazon import Client
from probe.backends.connection import Connection, Generation, Versioned
from probe.errors import UsageError, nearest
from probe.limits import Limits, Price
from probe.types import Codec, Failure, Scores, Variant

NAME = "rekognition"
VARS = {"operation": "moderation", "region": ""}
LIMITS = Limits(
    batch=1,
    concurrency=8,
    formats=("jpeg", "png"),
    min_side=80,
    max_side=10_000,
    max_bytes=5_242_880,
    inflation=4 / 3,
    price=Price(0.001, "USD", "2026-10-07"),
    missing=0.0,
)
"""Of the developer guide's page of limits; the price is that of the first million pictures."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What is asked for, and how its answer is read. version: where that names the model's."""

    name: str
    method: str
    pairs: str
    options: Mapping[str, Any]
    version: str
    nsfw: Derived | None = None

    @property
    def profile(self) -> Profile:
        return Profile(
            name=f"{NAME} {self.name}",
            request=RequestForm("POST", "", "json", {}, {}),
            response=ResponseForm("[@]", pairs=self.pairs),
            limits=LIMITS,
            scores=ScoreForm(divide=100.0, missing=0.0),
            nsfw=self.nsfw,
            sfw=self.nsfw and Derived(()),
        )


OPERATIONS = {
    "moderation": Operation(
        "DetectModerationLabels",
        "detect_moderation_labels",
        "ModerationLabels[].[Name, Confidence]",
        {"MinConfidence": 0.0},
        "ModerationModelVersion",
        Derived(
            ("Explicit", "Non-Explicit Nudity of Intimate parts and Kissing"),
            "max",
            (1.0, 0.5),
        ),
    ),
    "labels": Operation(
        "DetectLabels",
        "detect_labels",
        "Labels[].[Name, Confidence]",
        {"MinConfidence": 0.0, "MaxLabels": 1000},
        "LabelModelVersion",
    ),
}


SETTINGS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
ENDPOINTS = ("AWS_ENDPOINT_URL_REKOGNITION", "AWS_ENDPOINT_URL")
PLACES = ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", *ENDPOINTS)


def variables(environ: Mapping[str, str] = os.environ) -> tuple[Variable, ...]:
    """The variables that AWS's own settings may come from; none is needed, for there are files."""
    return tuple(
        Variable(name, False, name in SETTINGS, bool(environ.get(name, "").strip()))
        for name in (*SETTINGS, *PLACES)
    )


class Rekognition(Versioned):
    """The service in the region that AWS's own settings name.

    vars: `operation`, `moderation` or `labels`; `region`, in place of the settings' own.
    For moderation `nsfw` is the larger of Explicit and half of Non-Explicit Nudity, sfw 1 - nsfw.

    Raises UsageError for other vars; at first use MissingExtra without boto3, ProfileError
    without a region or keys.
    """

    def __init__(
        self, vars: Mapping[str, str] | None = None, connection: Connection | None = None
    ) -> None:
        self.vars = VARS | dict(vars or {})
        for name in self.vars:
            if name not in VARS:
                raise UsageError(
                    f"{NAME} has no variable {name!r}.{nearest(name, VARS)} "
                    f"It has: {', '.join(VARS)}"
                )
        wanted = self.vars["operation"]
        if wanted not in OPERATIONS:
            raise UsageError(
                f"{NAME} has no operation {wanted!r}.{nearest(wanted, OPERATIONS)} "
                f"It has: {', '.join(OPERATIONS)}"
            )
        self._operation = OPERATIONS[wanted]
        self._connection = connection or Connection()
        self.generation = Generation(NAME)
        self._lock = Lock()
        self._made: Client | None = None
        self.reading = Reader(self._operation.profile)

    def __repr__(self) -> str:
        return f"Rekognition({self._operation.name})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Rekognition, (self.vars, self._connection)

    @property
    def variables(self) -> tuple[Variable, ...]:
        return variables()

    @property
    def service_identity(self) -> str:
        client = self._client()
        options = " ".join(f"{key}={value}" for key, value in self._operation.options.items())
        return f"{NAME} {self._operation.name} {client.region} {client.url} {options}"

    @property
    def limits(self) -> Limits:
        question = "nsfw" if self._operation.nsfw else None
        return replace(LIMITS, host=address(self._client().url), question=question)

    def score(self, variants: Sequence[Variant], codec: Codec) -> list[Scores | Failure]:
        client = self._client()
        self._connection.check(client.url, ["AWS_SECRET_ACCESS_KEY"])
        return [self._ask(client, variant.encode(codec)) for variant in variants]

    def _ask(self, client: Client, picture: bytes) -> Scores | Failure:
        operation = self._operation
        ask = getattr(client.api, operation.method)
        try:
            answer = ask(Image={"Bytes": picture}, **operation.options)
        except Exception as error:
            return client.failure(error)
        answer.pop("ResponseMetadata", None)
        self.generation.check(answer.get(operation.version))
        return self.reading.read(json.dumps(answer, sort_keys=True).encode(), 0, 1)

    def _client(self) -> Client:
        with self._lock:
            if self._made is None:
                self._made = Client(NAME, self.vars["region"], LIMITS.concurrency, self._connection)
            return self._made
