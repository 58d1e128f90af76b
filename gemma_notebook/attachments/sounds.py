"""Sounds: one channel of 16-bit samples, 16,000 a second, as WAV."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterable, Iterator
from typing import Any

from gemma_notebook.attachments.parts import ContentPart
from gemma_notebook.errors import GemmaNotebookError, OptionTypeError, OptionValueError, UnsupportedError

__all__ = ["fits", "from_file", "from_samples"]

# What the encoders of Gemma 3n and Gemma 4 listen to.
_RATE = 16_000
_RATES = (1_000, 768_000)
# Shorter than one of the encoder's frames (32 ms), the engine would count fewer than none. (read)
_LEAST_S = 0.1
# 15,000 tokens of Gemma 4. The models are made for 30 seconds; a packed file can claim days.
_MOST_S = 600
_MOST_CHANNELS = 32
_PIECE_FRAMES = 65_536
# As many and more is what libsndfile makes of a FLAC header that does not say how many there are; it cannot read on then. (measured)
_UNKNOWN_FRAMES = 2**48


def from_file(data: bytes, media_type: str, name: str, shown: str) -> ContentPart:
    """A sound file.

    Raises:
        OptionValueError: It is broken, too short or too long.
        UnsupportedError: It must be converted, and soundfile or soxr is missing.
    """
    if media_type == "audio/wav" and fits(data):
        return ContentPart("audio", "audio/wav", name, data)
    return _part(_read(data, shown), _RATE, name, shown)


def from_samples(samples: Any, rate: Any, shown: str) -> ContentPart:
    """Samples from memory: one channel, or frames x channels, or channels x frames; floats from -1 to 1, or int16/32.

    Raises:
        OptionTypeError: They are no samples, or the rate is no number.
        OptionValueError: Their shape or values are not those of a sound, or it is too short or too long.
        UnsupportedError: soxr or NumPy is missing.
    """
    rate = _checked_rate(samples, rate, shown)
    numpy = _require("numpy", shown)
    try:
        samples = numpy.asarray(samples)
    except ValueError as error:  # lists of lists of different lengths
        raise OptionValueError(f"{shown} has samples that make no array ({error}); see np.asarray") from error
    if samples.ndim not in {1, 2} or samples.size == 0:
        raise OptionValueError(
            f"{shown} has samples of the shape {samples.shape}; a sound is (frames,) or (frames, channels)"
        )
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
        samples = samples.T
    if samples.ndim == 2:
        _check_channels(samples.shape[1], shown)
    return _part(_as_floats(samples, shown), rate, "", shown)


def _checked_rate(samples: Any, rate: Any, shown: str) -> int:
    if hasattr(rate, "ndim") and getattr(rate, "ndim", 0) > 0 and isinstance(samples, int):
        raise OptionTypeError(f"{shown} is a pair (sample_rate, samples); give (samples, sample_rate)")
    try:
        whole = int(rate)
    except (TypeError, ValueError, OverflowError):
        raise OptionTypeError(
            f"{shown} is a pair whose second value is {type(rate).__name__}; a sound is (samples, sample_rate)"
        ) from None
    _check_rate(rate, shown)
    return whole


def _check_rate(rate: Any, shown: str) -> None:
    if int(rate) != rate or not _RATES[0] <= rate <= _RATES[1]:
        raise OptionValueError(
            f"{shown} has a sample rate of {rate}; use {_RATES[0]:,} to {_RATES[1]:,} a second"
        )


def _check_channels(channels: int, shown: str) -> None:
    if channels > _MOST_CHANNELS:
        raise OptionValueError(f"{shown} has {channels} channels; a sound has at most {_MOST_CHANNELS}")


def _as_floats(samples: Any, shown: str) -> Any:
    kind = samples.dtype.kind
    if kind == "i" and samples.dtype.itemsize in {2, 4}:
        return samples.astype("float32") / 2.0 ** (8 * samples.dtype.itemsize - 1)
    if kind != "f":
        raise OptionTypeError(
            f"{shown} has samples of {samples.dtype}; a sound is floats from -1 to 1, int16 or int32"
        )
    loudest = float(abs(samples).max())
    if not loudest <= 1.0:  # not-a-numbers are caught here, too
        raise OptionValueError(
            f"{shown} has samples up to {loudest:.4g}; floats of a sound are from -1 to 1: divide by the largest, "
            "or use np.nan_to_num"
        )
    return samples.astype("float32")


def fits(data: bytes) -> bool:
    """Whether it is a sound as a chat sends it, and whole."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            frames = file.getnframes()
            as_wanted = (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, _RATE)
            return (
                as_wanted
                and _LEAST_S <= frames / _RATE <= _MOST_S
                and len(file.readframes(frames)) == 2 * frames
            )
    except Exception:  # of a broken file also RuntimeError and struct.error
        return False  # floats, or a broken file: soundfile tells which


def _read(data: bytes, shown: str) -> Any:
    """One channel at the engine's rate. It is read in pieces: a small file may claim gigabytes."""
    soundfile, numpy = _require("soundfile", shown), _require("numpy", shown)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check_rate(file.samplerate, shown)
            _check_channels(file.channels, shown)
            if file.frames >= _UNKNOWN_FRAMES:
                raise OptionValueError(
                    f"{shown} does not say how long it is, as what was written into a pipe; convert it to WAV"
                )
            _check_length(file.frames, file.samplerate, shown)
            pieces = _pieces(file)
            if file.samplerate != _RATE:
                pieces = _resampled(pieces, file.samplerate, shown)
            return numpy.concatenate([numpy.zeros(0, "float32"), *pieces])
    except GemmaNotebookError:
        raise
    except (soundfile.SoundFileError, ValueError, RuntimeError) as error:
        raise OptionValueError(f"{shown} is a broken sound ({error}); save or fetch it again") from error


def _pieces(file: Any) -> Iterator[Any]:
    # Not its blocks(): those go on with old samples where there are fewer than the header says. (measured, with a cut MP3)
    while len(piece := file.read(_PIECE_FRAMES, dtype="float32", always_2d=True)):
        yield piece.mean(axis=1)


def _resampled(pieces: Iterable[Any], rate: int, shown: str) -> Iterator[Any]:
    stream = _require("soxr", shown).ResampleStream(rate, _RATE, 1, dtype="float32")
    piece = None
    for following in pieces:
        if piece is not None:
            yield stream.resample_chunk(piece)
        piece = following
    if piece is not None:
        yield stream.resample_chunk(piece, last=True)


def _part(samples: Any, rate: int, name: str, shown: str) -> ContentPart:
    _check_length(len(samples), rate, shown)
    mono = samples.mean(axis=1) if samples.ndim == 2 else samples
    if rate != _RATE:
        mono = _require("soxr", shown).resample(mono, rate, _RATE)
    if not bool((mono == mono).all()):  # noqa: PLR0124 - not-a-numbers differ from themselves
        raise OptionValueError(f"{shown} has samples that are no numbers; use np.nan_to_num")
    return ContentPart("audio", "audio/wav", name, _wav(mono))


def _check_length(frames: int, rate: int, shown: str) -> None:
    seconds = frames / rate
    if seconds < _LEAST_S:
        raise OptionValueError(f"{shown} is {seconds:.3f} seconds long; attach a sound of {_LEAST_S} or more")
    if seconds > _MOST_S:
        raise OptionValueError(f"{shown} is {seconds:,.0f} seconds long; attach a part of at most {_MOST_S}")


def _wav(samples: Any) -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes((samples * 32767.0).round().clip(-32768, 32767).astype("<i2").tobytes())
    return written.getvalue()


def _require(library: str, shown: str) -> Any:
    import importlib

    try:
        return importlib.import_module(library)
    except (ImportError, OSError) as error:  # OSError: soundfile without libsndfile
        raise UnsupportedError(
            f"{shown} has to be converted, for which {library} is missing: install it with "
            f"`pip install 'gemma-notebook[media]'`, or attach a 16-bit mono WAV of {_RATE:,} samples a second"
        ) from error
