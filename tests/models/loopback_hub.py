"""A Hugging Face hub on loopback that can fail in every way. It speaks what a download needs of the hub's HTTP.

``/OWNER/REPO/resolve/REVISION/FILE`` answers with the hub's headers and redirects to ``/cdn/…``, which gives the
bytes, and ranges of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Request:
    method: str
    path: str
    range: str | None
    authorization: str | None


@dataclass
class Hub:
    """What the hub has, how it behaves, and what it was asked.

    Attributes:
        content: The bytes of its only file, ``acme/small/model.litertlm``.
        etag: The checksum that it announces; None for the true one.
        size: The size that it announces; None for the true one.
        refuse: Answer every question for a file with this status, error code and error message.
        token: Give the file only for this token: 401 without one or with another.
        consented: Whether that token's account accepted the licence; else 403.
        cut_after: For each of the next downloads, break the connection after so many bytes.
        ignores_ranges: Send the whole file whatever range was asked for.
        corrupt: Flip a byte of what is sent.
        gate: When set, a download waits for it after its first half.
    """

    content: bytes = b""
    etag: str | None = None
    size: int | None = None
    refuse: tuple[int, str, str] | None = None
    token: str | None = None
    consented: bool = True
    cut_after: list[int] = field(default_factory=list)
    ignores_ranges: bool = False
    corrupt: bool = False
    gate: threading.Event | None = None
    half_sent: threading.Event = field(default_factory=threading.Event)
    requests: list[Request] = field(default_factory=list)
    address: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def downloads(self) -> list[Request]:
        """The requests for bytes, in order."""
        return [one for one in self.requests if one.method == "GET" and one.path.startswith("/cdn/")]


@contextlib.contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub that listens while the ``with`` lasts."""
    hub = Hub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        if hub.gate is not None:
            hub.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.state
        asked = self.path  # a proxy is asked for a whole address
        self.path = urlsplit(asked).path
        hub.requests.append(
            Request(self.command, asked, self.headers.get("Range"), self.headers.get("Authorization"))
        )
        if self.path.startswith("/cdn/"):
            self._bytes()
        elif hub.refuse is not None:
            self._refuse(*hub.refuse)
        elif not self.path.startswith("/acme/small/resolve/"):
            self._refuse(404, "RepoNotFound", "Repository not found")
        elif not self.path.startswith(("/acme/small/resolve/main/", f"/acme/small/resolve/{COMMIT}/")):
            self._refuse(404, "RevisionNotFound", "Invalid rev id")
        elif not self.path.endswith("/model.litertlm"):
            self._refuse(404, "EntryNotFound", "Entry not found")
        elif hub.token is not None and self.headers.get("Authorization") is None:
            self._refuse(401, "GatedRepo", "Access to model acme/small is restricted.")
        elif hub.token is not None and self.headers["Authorization"] != f"Bearer {hub.token}":
            self._refuse(401, "", "Invalid credentials in Authorization header")
        elif not hub.consented:
            self._refuse(403, "GatedRepo", "Access to model acme/small is restricted.")
        else:
            self._redirect()

    def _refuse(self, status: int, code: str, message: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _redirect(self) -> None:
        hub = self.state
        self.send_response(302)
        # Another host name than the hub's own: as with the real one, the token must not go there.
        self.send_header("Location", hub.address.replace("127.0.0.1", "localhost") + "/cdn/model")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-Etag", f'"{hub.etag or hub.sha256}"')
        self.send_header("X-Linked-Size", str(hub.size or len(hub.content)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _bytes(self) -> None:
        hub = self.state
        content = bytearray(hub.content)
        if hub.corrupt:
            content[len(content) // 2] ^= 0xFF
        start = 0
        asked = self.headers.get("Range")
        if asked and not hub.ignores_ranges:
            start = int(asked.removeprefix("bytes=").split("-")[0])
        if start >= len(content):
            self._refuse(416, "", "Requested range not satisfiable")
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = memoryview(content)[start:]
        if hub.cut_after:
            self.wfile.write(body[: hub.cut_after.pop(0)])
            self.wfile.flush()
            self.close_connection = True
            return
        half = len(body) // 2
        self.wfile.write(body[:half])
        self.wfile.flush()
        hub.half_sent.set()
        if hub.gate is not None:
            hub.gate.wait()
        with contextlib.suppress(OSError):
            self.wfile.write(body[half:])
