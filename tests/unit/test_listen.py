"""The socket that the service listens on."""

from __future__ import annotations

import socket

import pytest

from oneshelf.core.errors import Stop
from oneshelf.web.serve import listen


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_accepted_connection_sends_at_once(host: str) -> None:
    """A marketplace keeps its connection open: an answer must not wait 40 ms for a delayed acknowledgement."""
    try:
        door = listen(host, 0)
    except Stop:
        pytest.skip(f"this machine has no {host}")
    with door, socket.create_connection(door.getsockname()[:2]), door.accept()[0] as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_port_that_is_taken_is_said_with_what_to_do() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(Stop, match=f"Port {port} of 127.0.0.1 can't be used.*ONESHELF_PORT"):
            listen("127.0.0.1", port)
