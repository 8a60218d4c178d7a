"""Services as the mock speaks them: a profile, turned around, and what its answers look like.

`services/*.toml` hold the answers; what is asked stands in the profile of the same name, or in
the file's own `profile` text where no profile can say it (a signature). The keys:

doc         what it is, where there is no profile to say so
paths       further paths that it is spoken at. forms: further JSON forms of its requests
headers     those of the profile whose text the request must have
keys        headers and query: other places where clients put the key
models      model -> labels, by the URL's variable `model_var` (model) or the body's key
            `model_key`. labels: of a service with a single model. shy: it leaves the paths of
            models that it does not know to others
joins       another service whose elements this one's are laid into. wants: when they are
[answer]    body, item, pair, failed_item: JSON templates (`probe.mock.fill`). ok, mixed, failed:
            what the body says of the request. extra: what a pair says besides, by label
[scores]    levels, words (and their numbers): what there is to say. floor, top: what is left
            out, by the request's floor_key, top_key. sorted: the highest score first
[errors]    body; a table for each case with status, headers, what stands in the body, a body of
            its own, or text instead. `other` stands for the cases that are not there
[limits]    formats, and what else the profile does not say
[token]     body: the answer of the step that gives a token
[[pages]]   path, body: what GET answers

A label stands for the backend's label of that name if it has one; else `question` is the score
of the backend's question, `rest` its complement, a number is itself. `"own"` are all labels of
the backend as probabilities, `"raw"` as they are.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any

from probe.api.profile import catalogue, grammar
from probe.api.profile.records import Profile
from probe.limits import Limits
from probe.mock.inverse import Reader, first_read, leaves, reader, template_reader
from probe.mock.message import Asked, Refusal, Sent
from probe.mock.paths import Pattern, path_of

Labels = Mapping[str, float | str] | str

ANY = "*"


@dataclass(frozen=True)
class Case:
    """One way to be turned away: what stands in the error's body, under this status."""

    status: int
    values: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True)
class Service:
    name: str
    profile: Profile
    patterns: tuple[Pattern, ...]
    readers: tuple[Reader, ...]
    models: Mapping[str, Labels]
    told: Mapping[str, Any]
    limits: Limits

    def match(self, asked: Asked) -> dict[str, str] | None:
        """The variables of the request's path, None where it is not for this service."""
        for name, value in self._literal_headers.items():
            if asked.headers.get(name) != value:
                return None
        for pattern in self.patterns:
            found = pattern.match(asked.path)
            if found is not None and not (self.told.get("shy") and self._unknown(found)):
                return found
        return None

    def _unknown(self, found: Mapping[str, str]) -> bool:
        return found.get(self.told.get("model_var", "model")) not in self.models

    @cached_property
    def _literal_headers(self) -> dict[str, str]:
        named = self.told.get("headers", ())
        return {name.lower(): self.profile.request.headers[name] for name in named}

    @property
    def literal(self) -> int:
        return max(pattern.literal for pattern in self.patterns)

    def read(self, asked: Asked) -> list[Sent] | None:
        return first_read(self.readers, asked)

    def model(self, asked: Asked, found: Mapping[str, str]) -> tuple[str, Labels]:
        """Which model is asked, and its labels; Refusal where there is no such model."""
        names = [name for name in self.models if name != ANY]
        name = found.get(self.told.get("model_var", "model")) or self._stated(asked)
        name = name or (names or [""])[0]
        labels = self.models.get(name, self.models.get(ANY))
        if labels is None:
            raise Refusal("model", f"known here: {', '.join(names)}", model=name)
        return name, labels

    def _stated(self, asked: Asked) -> str | None:
        key = self.told.get("model_key")
        document = asked.document if key and self.profile.request.body == "json" else None
        value = document.get(key) if isinstance(document, dict) else None
        return value if isinstance(value, str) else None

    def wanted(self, item: Any) -> bool:
        """Whether a picture's part of the request asks for this service's answer."""
        wants: Mapping[str, list[Any]] = self.told.get("wants", {})
        return all(
            any(path and path[-1] == key and leaf in values for path, leaf in leaves(item))
            for key, values in wants.items()
        )

    def template(self, name: str) -> Any:
        """A template of [answer], parsed; None where there is none of the name."""
        return self._templates.get(name)

    @cached_property
    def _templates(self) -> dict[str, Any]:
        told = self.told["answer"]
        named = ("body", "item", "pair", "failed_item")
        return {name: json.loads(told[name]) for name in named if name in told}

    def case(self, name: str) -> Case:
        """The error of that name; the service's `other` where it has none."""
        errors = self.told["errors"]
        told = errors.get(name) or errors["other"]
        body = json.loads(told["body"]) if "body" in told else self._error_body
        values = {k: v for k, v in told.items() if k not in ("status", "headers", "body")}
        return Case(told["status"], values, told.get("headers", {}), told.get("text", body))

    @cached_property
    def _error_body(self) -> Any:
        return json.loads(self.told["errors"]["body"])


@lru_cache(maxsize=1)
def load() -> Mapping[str, Service]:
    """All services by name, the ones with the most definite paths first."""
    folder = files("probe.mock") / "services"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    found = [_service(name[:-5], (folder / name).read_text("utf-8")) for name in names]
    found.sort(key=lambda service: -service.literal)
    return {service.name: service for service in found}


def _service(name: str, text: str) -> Service:
    told = tomllib.loads(text)
    own = told.get("profile")
    profile = (
        grammar.parse(own, f"{name}.toml")
        if own
        else catalogue.load(str(catalogue.SHIPPED / f"{name}.toml"))
    )
    paths = [path_of(profile.request.url), *told.get("paths", ())]
    forms = [template_reader(form["template"], form.get("item")) for form in told.get("forms", ())]
    limits = told.get("limits", {})
    return Service(
        name=name,
        profile=profile,
        patterns=tuple(Pattern.of(path, profile.vars) for path in paths),
        readers=(reader(profile.request), *forms),
        models=told.get("models") or {ANY: told.get("labels", "own")},
        told=told,
        limits=replace(profile.limits, **{k: v for k, v in limits.items() if k != "formats"}),
    )
