"""``load``: from a name or a path to a session manager."""

from __future__ import annotations

import dataclasses
import gc
import os
import weakref

from gemma_notebook._paths import expanded
from gemma_notebook.engine import Engine, Library
from gemma_notebook.errors import CacheDirectoryError, ModelLoadError, OptionTypeError, OptionValueError
from gemma_notebook.models.check import check_model_file
from gemma_notebook.models.resolve import TINY, is_bundled, resolve_model
from gemma_notebook.options import EngineOptions
from gemma_notebook.sessions import SessionManager

__all__ = ["load"]


def load(
    model: str | os.PathLike[str] = TINY,
    *,
    backend: str = "auto",
    context_tokens: int | None = None,
    threads: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    vision_backend: str | None = None,
    audio_backend: str | None = None,
    lora_rank: int | None = None,
    max_sessions: int | None = None,
    check: bool = True,
) -> SessionManager:
    """Load a model and get the manager of its chats.

    What the engine logs goes to Python's logger ``gemma_notebook.engine``, at the level that it has now.

    Args:
        model: ``"tiny"``, the bundled model; the name of one that is installed, as :func:`gemma_notebook.models`
            lists them; or the path of a ``.litertlm`` file. Nothing is ever fetched for it.
        backend: ``"cpu"``, ``"gpu"``, ``"npu"``, or ``"auto"``: the GPU if the file runs there, else the CPU;
            ``manager.active_backend`` tells which was accepted, ``manager.refused_backends`` why not the others. (The engine
            accepts ``"npu"`` also where there is none.) The
            bundled model is small enough for the CPU always.
        context_tokens: The context to reserve, in tokens; None for all that the model was made for.
        threads: CPU threads; None for the cores that this process may use.
        cache_dir: A directory that exists and can be written, for compiled weights: large models load
            faster the second time. None keeps no cache.
        vision_backend: The backend of the image encoder; None for the CPU where the model has one, ``"off"``
            to leave it out.
        audio_backend: The same for the audio encoder.
        lora_rank: The rank of the LoRA files that sessions will use; None for no LoRA.
        max_sessions: How many sessions may be open at once; None for no limit.
        check: Try a file that was not opened before in a child process first, because some damaged files
            end the process that opens them. False saves that time.

    Returns:
        The manager. Close it, or use ``with``, to give the memory back.

    Raises:
        ModelNotFoundError: No such file, or no such name. A ``FileNotFoundError``.
        ModelNotInstalledError: The catalogue knows the name; :func:`gemma_notebook.pull` fetches it.
        ModelLoadError: A directory, an empty or damaged file, or one that the backend cannot run.
        CacheDirectoryError: ``cache_dir`` cannot be written. A ModelLoadError and a ``ValueError``.
        LibraryLoadError: The engine library is missing or of another version.
        UnsupportedError: A backend for an encoder that the model does not have.
        OptionValueError, OptionTypeError: An option is wrong. ``ValueError`` and ``TypeError``.

    Example:
        >>> manager = gn.load()
        >>> manager.create_chat().send("Hello").text
        'Hello! What can I do for you?'
    """
    if not isinstance(check, bool):
        raise OptionTypeError(f"check must be True or False, not {check!r}")
    if cache_dir is not None and not isinstance(cache_dir, str | os.PathLike):
        raise OptionTypeError(f"cache_dir must be a path or None, not {cache_dir!r}")
    if cache_dir is not None and not os.fspath(cache_dir):
        raise OptionValueError("cache_dir is empty; give a directory, '.' for this one, or leave it out")
    options = EngineOptions(
        model_path=resolve_model(model),
        backend=backend,
        context_tokens=context_tokens,
        threads=threads,
        cache_dir=None if cache_dir is None else expanded(cache_dir).absolute(),
        vision_backend=vision_backend,
        audio_backend=audio_backend,
        lora_rank=lora_rank,
    )
    return open_manager(options, max_sessions=max_sessions, check=check)


def usable_backend(
    model: str | os.PathLike[str], backend: str = "auto", context_tokens: int | None = None
) -> str:
    """The first backend on which a child process could open the model; the bundled one is not tried.

    Raises:
        ModelNotFoundError, ModelNotInstalledError: As from :func:`load`.
        ModelLoadError: It could be opened on none.
    """
    path = resolve_model(model)
    candidates = _candidates(backend, bundled=is_bundled(path))
    for candidate in candidates:
        try:
            if not is_bundled(path):
                check_model_file(path, candidate, context_tokens)
        except ModelLoadError:
            if candidate == candidates[-1]:
                raise
        else:
            return candidate
    raise AssertionError("there is always a last candidate")


_opened: weakref.WeakSet[SessionManager] = weakref.WeakSet()


def open_manager(
    options: EngineOptions,
    *,
    max_sessions: int | None = None,
    check: bool = True,
    library: Library | None = None,
) -> SessionManager:
    """:func:`load` for checked options, on any engine library."""
    if sum(not manager.closed for manager in tuple(_opened)) > 1:
        # A manager that is forgotten, as when a cell runs again, waits for the collector: it and its session hold each other.
        gc.collect()
    engine = _open_engine(options, check=check, library=library)
    if is_bundled(options.model_path):
        engine.model = dataclasses.replace(engine.model, name=TINY)
    try:
        manager = SessionManager(engine, max_sessions=max_sessions)
        _opened.add(manager)
        return manager
    except BaseException:
        engine.close()
        raise


def _open_engine(options: EngineOptions, *, check: bool, library: Library | None) -> Engine:
    """The engine on the first backend that takes the file.

    Raises:
        ModelLoadError: None does; the error is that of the last one tried.
    """
    bundled = is_bundled(options.model_path)
    refused: dict[str, str] = {}
    candidates = _candidates(options.backend, bundled=bundled)
    for backend in candidates:
        try:
            if check and not bundled:
                check_model_file(options.model_path, backend, options.context_tokens)
            engine = Engine(options, backend=backend, library=library)
        except CacheDirectoryError:
            raise
        except ModelLoadError as error:
            if backend == candidates[-1]:
                raise
            refused[backend] = str(error)
        else:
            engine.refused_backends = refused
            return engine
    raise AssertionError("there is always a last candidate")


def _candidates(backend: str, *, bundled: bool) -> tuple[str, ...]:
    if backend != "auto":
        return (backend,)
    # An NPU runs only files that were compiled for it: that is asked for, not tried.
    return ("cpu",) if bundled else ("gpu", "cpu")
