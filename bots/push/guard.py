"""Connections to this machine and its networks are refused, whoever makes them: at the very address of each connect.

Depends on hub.outgoing, which says which addresses are private.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from hub.outgoing import private

PRIVATE = "the address is private: allow_private under [delivery] in config.toml permits it"


class PrivateAddress(OSError):
    """A connection that was refused before it was begun."""


_refused_here: ContextVar[list[str] | None] = ContextVar("refused_here", default=None)
"""A list where private addresses are refused; apprise carries the context on into threads of its own."""


@contextmanager
def guarded(allow_private: bool) -> Iterator[list[str]]:
    """Refuses connections to private addresses in this context, and lists them. apprise gives no hold on its
    sockets, so this asks the interpreter: its audit event names the very address of each connect."""
    refused: list[str] = []
    if allow_private:
        yield refused
        return
    _install_audit()
    token = _refused_here.set(refused)
    try:
        yield refused
    finally:
        _refused_here.reset(token)


@cache
def _install_audit() -> None:
    """Once a process: the interpreter has no way to take an audit hook back."""
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in ("socket.connect", "socket.sendto"):
        return
    refused = _refused_here.get()
    if refused is None:
        return
    address = arguments[1]
    host = str(address[0]) if isinstance(address, tuple) and address else ""
    if private(host):
        refused.append(host)
        raise PrivateAddress(PRIVATE)
