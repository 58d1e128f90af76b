"""What can go wrong between here and the hub, as one sentence each that says what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import ssl
from collections.abc import Iterator
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from gemma_notebook.errors import DownloadError, GemmaNotebookError
from gemma_notebook.models.catalogue import CatalogueModel

__all__ = ["token", "translated"]

# ENOSPC: the disk is full. EDQUOT: the user's share of it. EFBIG: the largest file that is allowed.
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_AGAIN = "; what had come is kept, so `gemma-notebook models pull` goes on from there"


def token() -> str | None:
    """The user's token, from ``HF_TOKEN`` or as ``hf auth login`` keeps it; None without one."""
    from huggingface_hub import get_token

    return get_token()


@contextlib.contextmanager
def translated(entry: CatalogueModel, *, under_way: bool = False) -> Iterator[None]:
    """Turn what the hub's library raises into a DownloadError.

    Args:
        entry: The model that is fetched.
        under_way: The download has begun, so that there is something to go on with.

    Raises:
        DownloadError: Whatever it was.
    """
    try:
        yield
    except GemmaNotebookError:
        raise
    except Exception as error:
        raise _translation(error, entry, _AGAIN if under_way else "") from error


def _translation(error: Exception, entry: CatalogueModel, again: str) -> Exception:
    from huggingface_hub import errors as hub

    if isinstance(error, hub.HfHubHTTPError):
        return _refusal(error, entry, again)
    if isinstance(error, hub.OfflineModeIsEnabled):
        return DownloadError(
            "HF_HUB_OFFLINE is set, so nothing is fetched; unset it to fetch", reason="network"
        )
    # httpx, or what follows it: their names are the same.
    http: Any = import_module(hub.HfHubHTTPError.__bases__[0].__module__.partition(".")[0])
    if isinstance(error, http.HTTPError):
        return DownloadError(_no_connection(error, http) + again, reason="network")
    if isinstance(error, http.InvalidURL | ValueError):
        return DownloadError(
            f"the hub cannot be asked ({_words(error)}); check HF_ENDPOINT", reason="network"
        )
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return DownloadError(
            f"the disk is full, or a quota is used up ({error.strerror}); make room, or set GEMMA_NOTEBOOK_HOME to "
            f"a directory on another disk{again}",
            reason="space",
        )
    if isinstance(error, OSError) and error.filename is not None:
        return DownloadError(
            f"{str(error.filename)!r} cannot be read or written ({error.strerror}); check its permissions and its disk{again}",
            reason="space",
        )
    if isinstance(error, OSError) and error.errno is None:  # the size is not what the hub announced
        return DownloadError(f"the connection ended too early{again}", reason="network")
    return error


def _no_connection(error: Exception, http: Any) -> str:
    where = f"{_host()}{_through_proxy()}"
    if isinstance(error, http.UnsupportedProtocol):
        return f"{_host()!r} is no address of a hub; check HF_ENDPOINT"
    if isinstance(error, http.ProxyError):
        return f"there is no way to {where}: {_words(error)}; check HTTPS_PROXY and NO_PROXY"
    if isinstance(error, http.TimeoutException):
        return f"{where} did not answer in time ({type(error).__name__}); check the connection"
    if _is_about_a_certificate(error):
        return (
            f"the certificate of {where} is not one that is trusted here ({_words(error)}); where a company's proxy "
            "reads along, set SSL_CERT_FILE to its certificate"
        )
    if isinstance(error, http.ConnectError):
        return (
            f"there is no connection to {where} ({_words(error)}); check the network, and HTTPS_PROXY if this "
            "machine needs a proxy"
        )
    return f"the connection to {where} broke off ({_words(error)})"


def _is_about_a_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _refusal(error: Any, entry: CatalogueModel, again: str) -> DownloadError:
    from huggingface_hub import errors as hub

    status = error.response.status_code
    if isinstance(error, hub.GatedRepoError):
        return _gated(status, entry)
    if status == 401 and token() is not None:
        return _bad_token()
    if isinstance(error, hub.RevisionNotFoundError):
        return _missing(f"{entry.repo} has no revision {entry.revision!r}")
    if isinstance(error, hub.EntryNotFoundError):
        return _missing(f"{entry.repo} has no file {entry.file!r} at revision {entry.revision!r}")
    if isinstance(error, hub.RepositoryNotFoundError):
        private = "" if token() else ", or it is private and wants a token (`hf auth login`, or HF_TOKEN)"
        return _missing(f"there is no repository {entry.repo!r}{private}")
    if status == 403:
        return DownloadError(
            f"the hub forbids {entry.repo} to this token ({_words(error)}); give the token read access to gated "
            f"repositories at {_host()}/settings/tokens",
            reason="token",
        )
    if status == 407:
        return DownloadError(
            "the proxy wants a name and a password; put them into HTTPS_PROXY and HTTP_PROXY: "
            "http://name:password@proxy:port",
            reason="network",
        )
    if status == 429:
        return DownloadError(
            f"{_host()} asks to wait: too many requests came from here; pull again in some minutes{again}",
            reason="server",
        )
    return DownloadError(
        f"{_host()} answered {status} ({_words(error)}), which is a fault on its side if it is 500 or above; "
        f"try later{again}",
        reason="server",
    )


def _bad_token() -> DownloadError:
    source = "HF_TOKEN" if os.environ.get("HF_TOKEN") else "`hf auth login`"
    return DownloadError(
        f"the hub does not accept the token from {source}; make a new one at {_host()}/settings/tokens, and set "
        "HF_TOKEN or run `hf auth login`",
        reason="token",
    )


def _gated(status: int, entry: CatalogueModel) -> DownloadError:
    page, tokens = f"{_host()}/{entry.repo}", f"{_host()}/settings/tokens"
    if token() is None:
        return DownloadError(
            f"{entry.title} is given to accounts that have accepted its licence ({entry.licence or 'see its page'}): "
            f"accept it at {page}, make a token at {tokens}, run `hf auth login` or set HF_TOKEN, and pull again",
            reason="token",
        )
    if status == 401:
        return _bad_token()
    return DownloadError(
        f"the account of your token has not accepted the licence of {entry.title}: open {page}, accept it, and pull "
        f"again (a fine-grained token also needs read access to gated repositories, see {tokens})",
        reason="consent",
    )


def _missing(what: str) -> DownloadError:
    return DownloadError(
        f"{what}; correct the entry in a catalogue.toml of your own, beside the directory that "
        "`gemma-notebook models path` prints",
        reason="missing",
    )


def _host() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _through_proxy() -> str:
    address = urlsplit(_host())
    proxies = getproxies()
    proxy = proxies.get(address.scheme) or proxies.get("all")
    if not proxy or not address.hostname or proxy_bypass(address.hostname):
        return ""
    # The rest may hold a password, and need not have a scheme.
    host = urlsplit(proxy if "://" in proxy else f"//{proxy}").hostname
    return f" through the proxy {host or 'that the environment names'}"


def _words(error: BaseException) -> str:
    """The first line of what the library says, or the kind of error where it says nothing."""
    message = str(getattr(error, "server_message", None) or error).strip()
    return message.splitlines()[0][:160] if message else type(error).__name__
