"""A tagging server around any backend, on loopback: for trying things out and for tests."""

from probe.mock.server import Server, serve, serve_forever

__all__ = ["Server", "serve", "serve_forever"]
