"""Services without a socket: what a profile asks, given to the mock's router."""

from __future__ import annotations

from urllib.parse import urlsplit

from PIL import Image

from probe import from_callable
from probe.api import request as requests_of
from probe.api.http import Reply
from probe.api.profile import catalogue
from probe.api.profile.settings import Settings
from probe.image import encode
from probe.mock import environment, services
from probe.mock.message import Asked
from probe.types import Codec

PROFILES = [name for name in catalogue.names() if name in services.load()]
AMAZON = ("rekognition-labels", "rekognition-moderation")
CODEC = Codec("jpeg", 95)
URL = "http://127.0.0.1:1"
KEY = "right"


def brightness(images):
    """nsfw = how bright the picture is in its middle, to the hundredth."""
    values = [image.getpixel((image.width // 2, image.height // 2))[0] for image in images]
    return [{"sfw": 1 - v / 250, "nsfw": v / 250} for v in values]


def backend(fn=brightness, **kwargs):
    return from_callable(fn, ["sfw", "nsfw"], identity="brightness 1", question="nsfw", **kwargs)


def picture(score, size=(140, 132), codec=CODEC):
    """A flat picture that `brightness` gives this score."""
    return encode(Image.new("RGB", size, (round(score * 250),) * 3), codec)


def profile_of(name):
    return services.load()[name].profile


def asked(name, images, key=KEY, mime="image/jpeg", profile=None):
    """The request that the profile makes of these encoded pictures."""
    profile = profile or profile_of(name)
    settings = Settings(profile, environment(URL, key))
    made = requests_of.render(profile, settings, images, mime)
    parts = urlsplit(made.url)
    headers = {title.lower(): value for title, value in made.headers.items()}
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    return Asked(made.method, target, headers, made.body)


def reply(said):
    return Reply(said.status, said.headers, said.body, True)
