"""Which environment variables point a client at a mock server instead of at the service."""

from __future__ import annotations

from probe.api.profile.records import Profile
from probe.api.profile.settings import Settings
from probe.mock import services
from probe.mock.paths import base_of
from probe.mock.services import Service

ANY = "any"

_AMAZON = "AWS_ENDPOINT_URL_REKOGNITION"


def environment(url: str, key: str = ANY, *names: str) -> dict[str, str]:
    """Variable -> value for the services of these names, all of them by default.

    url: the server's. key: what stands in every variable that holds a secret.
    """
    found: dict[str, str] = {}
    for name, service in services.load().items():
        if not names or _public(name) in names:
            found |= _pointed(service.profile, url, key)
    return found


def spoken() -> dict[str, str]:
    """Name -> what it is, of every service."""
    return {_public(name): _about(service) for name, service in services.load().items()}


def _public(name: str) -> str:
    """Operations of one service share its name."""
    return "rekognition" if name.startswith("rekognition") else name


def _about(service: Service) -> str:
    about: str = service.told.get("doc", "") or service.profile.doc
    return about


def _pointed(profile: Profile, url: str, key: str) -> dict[str, str]:
    addresses = {}
    for text in (profile.request.url, profile.request.token.url if profile.request.token else ""):
        found = base_of(text)
        if found is not None:
            addresses[found[0]] = url + found[1]
    secrets = [one.name for one in Settings(profile, {}).variables if one.secret]
    if _AMAZON in addresses:
        secrets += ["AWS_SECRET_ACCESS_KEY"]
        addresses["AWS_DEFAULT_REGION"] = "us-east-1"
    return {**addresses, **dict.fromkeys(secrets, key)}
