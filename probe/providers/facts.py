"""What an unknown server says of itself when asked without a picture, which is free.

Server and model metadata of the Open Inference Protocol, lists of models, OpenAPI documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from probe.api.http import Reply
from probe.api.json import load_json
from probe.errors import BackendError, Unreachable

MOST_MODELS = 4
MOST_PATHS = 200

Get = Callable[[str, str], Reply]
"""Sends (method, url) without a picture."""


@dataclass(slots=True)
class Facts:
    """said: sentences for people. models: names that the server gave. inputs: of the model's
    tensors by name. paths: those that take POST, with the schema of their body by its type."""

    said: list[str] = field(default_factory=list)
    inference: bool = False
    models: list[str] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    paths: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def facts_of(base: str, get: Get) -> Facts:
    """Ask the server at `base`. Raises Unreachable where nobody answers at all."""
    found = Facts()
    about = _json(get, "GET", f"{base}/v2")
    if isinstance(about, dict) and "name" in about and "version" in about:
        found.inference = True
        found.said.append(f"it names itself {about['name']} {about['version']} (Open Inference)")
        index = _json(get, "POST", f"{base}/v2/repository/index")
        found.models += _names(index, "name")
    listed = _json(get, "GET", f"{base}/v1/models")
    if isinstance(listed, dict):
        found.models += _names(listed.get("models"), "name") + _names(listed.get("data"), "id")
    found.models = list(dict.fromkeys(found.models))[:MOST_MODELS]
    if found.models:
        found.said.append(f"it lists the models {', '.join(found.models)}")
    if found.inference and found.models:
        about = _json(get, "GET", f"{base}/v2/models/{found.models[0]}")
        tensors = about.get("inputs") if isinstance(about, dict) else None
        for tensor in tensors if isinstance(tensors, list) else []:
            if isinstance(tensor, dict) and isinstance(tensor.get("name"), str):
                found.inputs[tensor["name"]] = str(tensor.get("datatype", ""))
    for place in ("openapi.json", "docs.json"):
        document = _json(get, "GET", f"{base}/{place}")
        if isinstance(document, dict) and isinstance(document.get("paths"), dict):
            found.paths = dict(_posts(document))
            found.said.append(f"its /{place} lists {len(found.paths)} paths that take POST")
            break
    return found


def _json(get: Get, method: str, url: str) -> Any:
    """The JSON at a URL, None where there is none."""
    try:
        reply = get(method, url)
        return load_json(reply.body) if reply.status == 200 else None
    except Unreachable:
        raise
    except BackendError:
        return None


def _names(rows: Any, key: str) -> list[str]:
    """The names in a list of texts, or of objects that have them under `key`."""
    if not isinstance(rows, list):
        return []
    names = [row.get(key) if isinstance(row, dict) else row for row in rows]
    return [name for name in names if isinstance(name, str) and 0 < len(name) <= 200]


def _posts(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, methods in list(document["paths"].items())[:MOST_PATHS]:
        post = methods.get("post") if isinstance(methods, dict) else None
        if isinstance(post, dict) and isinstance(path, str):
            body = post.get("requestBody")
            content = body.get("content") if isinstance(body, dict) else None
            yield (
                path,
                {
                    kind: _schema(document, one)
                    for kind, one in (content.items() if isinstance(content, dict) else ())
                },
            )


def _schema(document: Mapping[str, Any], content: Any) -> Mapping[str, Any]:
    """The properties of a body, a reference within the document followed once."""
    schema = content.get("schema") if isinstance(content, dict) else None
    if isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found.get(step) if isinstance(found, dict) else None
        schema = found
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties if isinstance(properties, dict) else {}
