from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests.api.hostile import Script, TcpProxy, Wild


@pytest.fixture
def wild() -> Iterator[Callable[..., Wild]]:
    """Start servers; they end with the test."""
    with ExitStack() as stack:

        def start(script: Script, **options: Any) -> Wild:
            return stack.enter_context(closing(Wild(script, **options)))

        yield start


@pytest.fixture
def tcp_proxy() -> Iterator[Callable[..., TcpProxy]]:
    """Start proxies; they end with the test, before the servers behind them."""
    with ExitStack() as stack:

        def start(port: int, **toxics: Any) -> TcpProxy:
            return stack.enter_context(closing(TcpProxy(port, **toxics)))

        yield start
