"""A hub, an address with a bad certificate, and the real command in a home of its own."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from installed_command import Command
from loopback_hub import Hub, running_hub


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def hub(command: Command) -> Iterator[Hub]:
    """A hub on loopback that the command asks, and a catalogue with its one model, ``small``."""
    with running_hub() as hub:
        command.environment["HF_ENDPOINT"] = hub.address
        (command.home / "catalogue.toml").write_text(
            '[small]\ntitle = "Small"\nrepo = "acme/small"\nfile = "model.litertlm"\nlicence = "Gemma"\n'
        )
        yield hub


@pytest.fixture
def tls_address() -> Iterator[str]:
    """An address where every connection is answered with a certificate that nobody trusts."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):  # the end of the test
                while True:
                    connection, _ = listener.accept()
                    with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True):
                        pass

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
