"""A tagging server on loopback that speaks every known service, for trying out and for tests."""

from probe.mock.environment import environment
from probe.mock.faults import Faults
from probe.mock.planted import PlantedTarget
from probe.mock.server import Server, serve, serve_forever

__all__ = ["Faults", "PlantedTarget", "Server", "environment", "serve", "serve_forever"]
