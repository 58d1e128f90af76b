"""Pages that tell of every script that runs or would, and of every request, in a real Chromium."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route

STATIC = Path(__file__).parents[2] / "gemma_notebook" / "panel" / "static"
# It reports and does not forbid: what would run in a page without a policy does run here, and is seen twice.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "report-uri /csp-report"
)
# Of pages that have a style sheet of their own in them.
STYLED_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

# What a payload calls is noted, and so are the handlers and addresses that only a click would run.
WATCH = """() => {
  window.ran = [];
  for (const name of ["alert", "confirm", "prompt", "print", "open"])
    window[name] = (...args) => { window.ran.push(`${name}(${args})`); return null; };
  document.addEventListener("securitypolicyviolation", (e) =>
    window.ran.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
}"""
SUSPICIOUS = """(root) => [...root.querySelectorAll("*")].flatMap((e) => [
  ...(["script", "iframe", "object", "embed", "img", "link", "meta", "base", "audio", "video", "foreignobject"]
    .includes(e.localName) ? [e.localName] : []),
  ...[...e.attributes].flatMap(({name, value}) =>
    /^on|^(src|srcset|srcdoc|action|formaction|ping|background|poster|data|xlink:href)$/i.test(name) ||
    (name === "href" && !/^(https?:[/][/]|mailto:)/.test(value)) || /url[(]|expression/i.test(name === "style" ? value : "")
      ? [`${e.localName} ${name}=${value}`] : []),
])"""

_PANEL = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Panel</title>
<link rel="stylesheet" href="/widget.css"><main id="root"></main><script type="module" src="/host.js"></script></html>"""
# As anywidget calls the bundle: the other end of the line is the panel's Python.
_HOST = """
import widget from "/widget.js";
const listeners = new Map();
const model = {
  get: () => undefined, set() {}, save_changes() {},
  on(name, f) { listeners.set(name, [...(listeners.get(name) ?? []), f]); },
  off(name, f) { listeners.set(name, (listeners.get(name) ?? []).filter((g) => f && g !== f)); },
  send(content) { window.sent.push(content); },
};
window.sent = [];
window.tell = (messages) => { for (const m of messages) for (const f of listeners.get("msg:custom") ?? []) f(m, []); };
const made = typeof widget === "function" ? await widget() : widget;
const signal = new AbortController().signal;
await made.initialize?.({ model, signal });
await made.render({ model, el: document.getElementById("root"), signal });
window.ready = true;
"""


class Watched:
    """A server on the loopback and what its pages did.

    Attributes:
        pages: What the server has, by path.
        policy: What it forbids its pages, so that the browser reports it.
        reports: What the browser reported of the policy.
        outside: Requests to elsewhere.
    """

    def __init__(self) -> None:
        self.policy = POLICY
        self.pages: dict[str, tuple[str, bytes]] = {
            "/panel": ("text/html", _PANEL.encode()),
            "/host.js": ("text/javascript", _HOST.encode()),
            "/widget.js": ("text/javascript", (STATIC / "widget.js").read_bytes()),
            "/widget.css": ("text/css", (STATIC / "widget.css").read_bytes()),
        }
        self.reports: list[str] = []
        self.outside: list[str] = []
        self.url = ""

    def open(self, browser: Browser, path: str) -> Page:
        """Open a page of the server, watched from its first moment."""
        page = browser.new_page()
        page.add_init_script(f"({WATCH})()")

        def note(route: Route) -> None:
            address = route.request.url
            known = address.startswith(self.url) and address.removeprefix(self.url) in (
                *self.pages,
                "/csp-report",
            )
            if known or address == f"{self.url}/favicon.ico":
                route.continue_()
            else:
                self.outside.append(address)
                route.abort()

        page.route("**/*", note)
        page.goto(self.url + path)
        return page

    def trouble(self, page: Page, root: str) -> list[str]:
        """All that ran, would run, was fetched, or leads elsewhere than to the web."""
        # Frames and idle time: what a payload would do later, it has done.
        page.evaluate("() => new Promise((r) => requestAnimationFrame(() => requestIdleCallback(r)))")
        found = (
            page.evaluate("window.ran")
            + page.locator(root).evaluate(SUSPICIOUS)
            + self.outside
            + self.reports
        )
        if not page.url.startswith(self.url) or len(page.context.pages) > 1:
            found.append("the page went elsewhere")
        return found


@contextlib.contextmanager
def watched_server() -> Iterator[Watched]:
    """Serve watched pages."""
    watched = Watched()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, content = watched.pages.get(self.path, ("text/plain", b""))
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Security-Policy-Report-Only", watched.policy)
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            report = self.rfile.read(int(self.headers["Content-Length"]))
            watched.reports.append(report.decode(errors="replace"))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    watched.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Line:
    """The line between a panel's Python and its page."""

    def __init__(self) -> None:
        self._out: queue.Queue[Any] = queue.Queue()

    def send(self, content: Any, *_: Any, **__: Any) -> None:
        """In the place of ``ChatPanel.send``."""
        self._out.put(json.loads(json.dumps(content)))

    def carry(self, page: Page, panel: Any, until: Callable[[], bool]) -> None:
        """Carry messages both ways until something holds."""
        page.wait_for_function("window.ready")
        for _ in range(2_000):
            for content in page.evaluate("window.sent.splice(0)"):
                panel._handle_custom_msg(content, [])
            messages = []
            with contextlib.suppress(queue.Empty):
                messages.append(self._out.get(timeout=0.02))
                while True:
                    messages.append(self._out.get_nowait())
            if messages:
                page.evaluate("(m) => window.tell(m)", messages)
            if until():
                return
        raise AssertionError("it never came")
