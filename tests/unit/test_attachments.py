"""What was attached becomes an image or a sound that the engine takes, or an error that says what to do."""

from __future__ import annotations

import base64
import io
import struct
import sys
import tracemalloc
import warnings
import wave
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from gemma_notebook.attachments import ContentPart, content_parts
from gemma_notebook.errors import GemmaNotebookError, OptionTypeError, OptionValueError, UnsupportedError
from gemma_notebook.messages import ModelInfo

RATE = 16_000


def model(*modalities: str) -> ModelInfo:
    return ModelInfo(
        "some-gemma",
        "/some",
        1,
        4096,
        supports_thinking=False,
        supports_tools=False,
        modalities=("text", *modalities),
    )


def part_of(given: object) -> ContentPart:
    (part,) = content_parts([given], model=model("vision", "audio"), vision=True, audio=True)
    return part


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def wav(samples: np.ndarray, rate: int = RATE, **options: object) -> bytes:
    written = io.BytesIO()
    soundfile.write(written, samples, rate, format="WAV", **options)
    return written.getvalue()


def looked_at(part: ContentPart) -> Image.Image:
    assert part.kind == "image"
    image = Image.open(io.BytesIO(part.data))
    image.load()
    assert image.get_format_mimetype() == part.media_type
    return image


def heard(part: ContentPart) -> np.ndarray:
    assert (part.kind, part.media_type) == ("audio", "audio/wav")
    with wave.open(io.BytesIO(part.data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768.0


def photo(width: int = 60, height: int = 40, mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (width // 2, 0, width, height))
    return image.convert(mode)


def tone(seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> np.ndarray:
    mono = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)
    return np.stack([mono] * channels, axis=1) if channels > 1 else mono


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    made[0x9286] = "a private word"
    return made


# What is passed on as it is


@pytest.mark.parametrize("pillow", ["with Pillow", "without Pillow"])
@pytest.mark.parametrize(
    "data",
    [
        file_of(photo()),
        file_of(photo(mode="L")),
        file_of(photo(mode="P")),
        file_of(photo(mode="1")),
        file_of(photo(), "JPEG"),
        file_of(photo(mode="L"), "JPEG"),
        file_of(photo(), "JPEG", progressive=True),
        file_of(photo(), "JPEG", exif=exif(1)),
        wav((tone() * 32767).astype("int16")),
    ],
)
def test_a_file_that_fits_is_passed_on_as_it_is_with_or_without_the_libraries(data, pillow, monkeypatch):
    if pillow == "without Pillow":
        for library in ("PIL", "PIL.Image", "soundfile", "soxr", "numpy"):
            monkeypatch.setitem(sys.modules, library, None)
    assert part_of(data).data == data


@pytest.mark.parametrize(
    ("data", "library"),
    [
        (file_of(photo(3000, 10)), "Pillow"),
        (file_of(photo(), "GIF"), "Pillow"),
        (file_of(photo(mode="RGBA")), "Pillow"),
        (file_of(photo(), "JPEG", exif=exif(6)), "Pillow"),
        (wav(tone(channels=2)), "soundfile"),
        (wav(tone(rate=44_100), 44_100), "soundfile"),
    ],
)
def test_one_that_must_be_converted_says_what_to_install(data, library, monkeypatch):
    for name in ("PIL", "PIL.Image", "soundfile", "soxr"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UnsupportedError, match=rf"{library} is missing.*gemma-notebook\[media\]"):
        part_of(data)


def test_a_rate_that_only_soxr_converts_says_so_although_the_file_is_packed(monkeypatch):
    written = io.BytesIO()
    soundfile.write(written, tone(rate=44_100), 44_100, format="FLAC")
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(UnsupportedError, match=r"soxr is missing.*gemma-notebook\[media\]"):
        part_of(written.getvalue())


def test_as_json_is_what_the_engine_parses():
    data = file_of(photo())
    assert part_of(data).as_json() == {"type": "image", "blob": base64.b64encode(data).decode()}
    assert part_of(wav(tone())).as_json()["type"] == "audio"


def test_a_repr_has_no_bytes_in_it():
    assert repr(part_of(file_of(photo()))) == "ContentPart(kind='image', media_type='image/png', name='')"


# What can be given


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_images_of_every_usual_format_are_read(kind):
    image = looked_at(part_of(file_of(photo(), kind))).convert("RGB")
    assert image.size == (60, 40)
    assert np.allclose(np.asarray(image)[20, [5, 55]], [(255, 0, 0), (0, 0, 255)], atol=40)


def test_paths_are_strings_or_path_objects_and_keep_their_name(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(file_of(photo()))
    assert (
        part_of(str(path)) == part_of(path) == ContentPart("image", "image/png", "cat.png", path.read_bytes())
    )


def test_a_path_may_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "cat.png").write_bytes(file_of(photo()))
    assert part_of("~/cat.png").name == "cat.png"


def test_a_file_is_what_its_content_says_whatever_its_name(tmp_path):
    path = tmp_path / "sound.wav"
    path.write_bytes(file_of(photo(), "JPEG"))
    assert part_of(path).media_type == "image/jpeg"


@dataclass
class PanelAttachment:
    name: str
    media_type: str
    data: bytes


def test_a_file_from_the_panel_is_taken(tmp_path):
    part = part_of(PanelAttachment("cat.png", "image/png", file_of(photo())))
    assert (part.kind, part.name) == ("image", "cat.png")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_the_content_of_a_file(kind):
    assert part_of(kind(file_of(photo()))).kind == "image"


def test_a_pil_image_is_taken_and_left_as_it_was():
    image = photo(4000, 2000)
    assert looked_at(part_of(image)).size == (1536, 768)
    assert image.size == (4000, 2000)


@pytest.mark.parametrize(
    "array",
    [
        np.asarray(photo()),
        np.asarray(photo()) / 255.0,
        (np.asarray(photo()) / 255.0).astype("float32"),
        np.dstack([np.asarray(photo()), np.full((40, 60), 255, "uint8")]),
    ],
)
def test_an_array_of_colours_is_an_image(array):
    image = looked_at(part_of(array))
    assert image.mode == "RGB"
    assert (np.asarray(image) == np.asarray(photo())).all()


@pytest.mark.parametrize(
    "array", [np.eye(8), np.eye(8)[:, :, None], np.eye(8, dtype=bool), np.eye(8, dtype="uint8") * 255]
)
def test_an_array_of_brightnesses_is_a_grey_image(array):
    image = looked_at(part_of(array))
    assert image.mode == "L"
    assert (np.asarray(image) == np.eye(8) * 255).all()


def test_a_matplotlib_figure_is_taken_as_it_would_be_saved():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 3), dpi=100)
    figure.add_subplot().plot([1, 2])
    image = looked_at(part_of(figure))
    assert (image.mode, image.size) == ("RGB", (400, 300))


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (tone(), RATE),
        (tone().astype("float32"), RATE),
        ((tone() * 32767).astype("int16"), RATE),
        ((tone() * (2**31 - 1)).astype("int32"), RATE),
        (tone(rate=44_100), 44_100),
        (tone(rate=8_000), 8_000.0),
        (tone(channels=2), RATE),
        (tone(channels=2).T, np.int64(RATE)),
        (tone().tolist(), RATE),
    ],
)
def test_samples_become_one_channel_of_16000_a_second(samples, rate):
    sound = heard(part_of((samples, rate)))
    assert abs(len(sound) - RATE) <= 1
    middle = slice(1000, -1000)  # a resampler needs a moment at both ends
    assert np.allclose(sound[:RATE][middle], tone()[: len(sound)][middle], atol=0.01)


def test_channels_are_mixed():
    left_alone = np.stack([tone(), np.zeros(RATE)], axis=1)
    assert np.allclose(heard(part_of((left_alone, RATE))), tone() / 2, atol=0.001)


@pytest.mark.parametrize(
    ("format", "subtype"),
    [("WAV", "PCM_24"), ("WAV", "FLOAT"), ("FLAC", None), ("OGG", "VORBIS"), ("MP3", None), ("AIFF", None)],
)
def test_sound_files_of_every_usual_format_are_read(format, subtype, tmp_path):  # noqa: A002
    path = tmp_path / f"tone.{format.lower()}"
    soundfile.write(path, tone(rate=44_100, channels=2), 44_100, format=format, subtype=subtype)
    sound = heard(part_of(path))
    assert abs(len(sound) - RATE) < 2500  # MP3 pads
    spectrum = np.abs(np.fft.rfft(sound[:RATE]))
    assert abs(int(spectrum.argmax()) - 440) <= 1


# How images are made to fit


def test_a_large_photograph_stays_a_jpeg_with_its_proportions():
    part = part_of(file_of(photo(4000, 3000), "JPEG"))
    assert part.media_type == "image/jpeg"
    assert looked_at(part).size == (1536, 1152)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_an_image_is_turned_as_its_exif_data_says_which_is_not_passed_on(orientation, kind):
    data = file_of(photo(), kind, exif=exif(orientation))
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    image = looked_at(part_of(data))
    assert image.size == upright.size == ((60, 40) if orientation < 5 else (40, 60))
    assert np.abs(np.asarray(image.convert("RGB"), float) - np.asarray(upright, float)).mean() < 5
    if orientation > 1:
        assert b"private" not in part_of(data).data


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
def test_what_is_transparent_is_white(kind):
    """The engine drops the alpha channel, and the model would see what lies under it."""
    image = photo(mode="RGBA")
    image.putalpha(0)
    assert np.asarray(looked_at(part_of(file_of(image, kind)))).min() >= 254


def test_a_palette_with_a_transparent_colour_is_white_there():
    image = photo(mode="P")
    data = file_of(image, transparency=image.getpixel((0, 0)))
    assert looked_at(part_of(data)).getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bits_of_grey_become_eight():
    ramp = (np.arange(256, dtype="uint16") * 257).reshape(16, 16)
    written = file_of(Image.fromarray(ramp), "TIFF")
    assert (np.asarray(looked_at(part_of(written))).ravel() == np.arange(256)).all()


def test_cmyk_becomes_rgb():
    image = looked_at(part_of(file_of(photo(mode="CMYK"), "JPEG")))
    assert image.mode == "RGB"
    assert np.allclose(np.asarray(image)[20, [5, 55]], [(255, 0, 0), (0, 0, 255)], atol=40)


# What is refused


def mp3(samples: np.ndarray, rate: int) -> bytes:
    written = io.BytesIO()
    soundfile.write(written, samples, rate, format="MP3", bitrate_mode="VARIABLE")
    return written.getvalue()


def without_its_first_frame(data: bytes) -> bytes:
    """An MP3 without the frame that says how long it is, as many are: what is not known is then guessed."""
    assert b"Xing" in data[:200]
    begin = data[:2]
    return data[data.index(begin, 2) :]


@pytest.mark.parametrize("damage", [without_its_first_frame, lambda data: data[: len(data) * 6 // 10]])
def test_a_sound_is_as_long_as_what_is_in_it_whatever_its_header_says(damage):
    rng = np.random.default_rng(1)
    quiet, loud = np.zeros(10 * 44_100), rng.normal(0, 0.2, 10 * 44_100)
    data = damage(mp3(np.concatenate([quiet, loud]), 44_100))
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        samples = file.read()
        assert file.frames > len(samples)
    assert len(heard(part_of(data))) == pytest.approx(len(samples) * RATE / 44_100, abs=2)


def test_a_sound_of_many_samples_is_never_in_memory_as_a_whole():
    data = wav(tone(10, rate=96_000, channels=8), 96_000, subtype="PCM_16")
    tracemalloc.start()
    try:
        part = part_of(data)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 10 * 96_000 * 8 * 4 / 3  # what all its samples take, as floats of 32 bits
    whole = soxr.resample(tone(10, rate=96_000).astype("float32"), 96_000, RATE)
    assert abs(heard(part) - whole).max() < 1e-3


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ("no-such.png", OptionValueError, r"there is no file 'no-such.png' in '.*'; check the path"),
        ("https://example.org/cat.png", OptionValueError, "nothing is fetched here; download it"),
        (".", OptionValueError, "'.' is a directory; attach the files in it one by one"),
        ("~nobody-here/cat.png", OptionValueError, "there is no file '~nobody-here/cat.png'"),
        ("a\0b.png", OptionValueError, "there is no file"),
        ("/dev/null", OptionValueError, "no ordinary file"),
        (b"", OptionValueError, r"attachments\[0\] is empty"),
        (b"Dear model,\nhello", OptionValueError, "is text; put it into the message"),
        ("né".encode() * 4000, OptionValueError, "is text"),
        (b"\x00\x01\x02" * 100, OptionValueError, "is no image .* and no sound"),
        (b"%PDF-1.7", OptionValueError, "a PDF; save the page as PNG"),
        (b"\0\0\0\x18ftypheic" + bytes(99), OptionValueError, "an HEIC image; save it as PNG or JPEG"),
        (b"\0\0\0\x18ftypM4A " + bytes(99), OptionValueError, "an M4A sound; convert it"),
        (b"\0\0\0\x18ftypisom" + bytes(99), OptionValueError, "a video; attach single frames"),
        (42, OptionTypeError, r"attachments\[0\] is of type int; attach a path"),
        (None, OptionTypeError, "is of type NoneType"),
        (io.BytesIO(b"x"), OptionTypeError, "is of type BytesIO"),
        (object(), OptionTypeError, "is of type object"),
        (np.zeros((0, 5), "uint8"), OptionValueError, r"has the shape \(0, 5\)"),
        (np.zeros((3, 40, 60), "uint8"), OptionValueError, "np.moveaxis"),
        (np.zeros((2, 2, 2, 3), "uint8"), OptionValueError, "an image is"),
        (np.zeros(5), OptionValueError, r"for sound attach a pair \(samples, sample_rate\)"),
        (wav(np.zeros((2000, 33)), RATE), OptionValueError, "has 33 channels"),
        (wav(np.zeros(100), 500), OptionValueError, "a sample rate of 500"),
        (np.zeros((5, 5), "int64"), OptionTypeError, "an array of int64; an image is uint8"),
        (np.zeros((5, 5), "complex"), OptionTypeError, "an array of complex128"),
        (np.full((5, 5), np.nan), OptionValueError, "has values from nan to nan"),
        (np.full((5, 5), np.inf), OptionValueError, "from inf to inf"),
        (np.full((5, 5), 255.0), OptionValueError, "divide by 255"),
        ((tone(), "fast"), OptionTypeError, r"a sound is \(samples, sample_rate\)"),
        ((tone(), 10), OptionValueError, "a sample rate of 10; use 1,000"),
        ((tone(), 16_000.5), OptionValueError, "a sample rate of 16000.5"),
        ((tone(), float("nan")), OptionTypeError, "second value is float"),
        ((tone(), None), OptionTypeError, "second value is NoneType"),
        ((RATE, tone()), OptionTypeError, r"give \(samples, sample_rate\)"),
        ((np.full(RATE, np.nan), RATE), OptionValueError, "up to nan; floats of a sound are from -1 to 1"),
        ((tone() * 32767, RATE), OptionValueError, "divide by the largest"),
        ((np.zeros(RATE, "uint8"), RATE), OptionTypeError, "samples of uint8"),
        ((np.zeros((2, 2, 2)), RATE), OptionValueError, r"the shape \(2, 2, 2\)"),
        ((np.zeros(0), RATE), OptionValueError, r"the shape \(0,\)"),
        ((np.zeros((100, 90)), RATE), OptionValueError, "has 90 channels"),
        (([[1.0], [1.0, 2.0]], RATE), OptionValueError, "make no array"),
        ((tone(0.05), RATE), OptionValueError, "0.050 seconds long; attach a sound of 0.1 or more"),
        ((np.zeros(601 * 1000), 1000), OptionValueError, "601 seconds long; attach a part"),
        (wav(tone(0.05, rate=44_100), 44_100), OptionValueError, "0.050 seconds long"),
        (Image.new("RGB", (0, 5)), OptionValueError, "has no pixels"),
        (Image.new("F", (5, 5)), OptionValueError, "pixels of 32 bits"),
    ],
)
def test_what_cannot_be_attached_is_named_with_what_to_do(given, kind, words):
    with pytest.raises(kind, match=words):
        part_of(given)


@pytest.mark.parametrize(
    "given", ["cat.png", b"123", Path("cat.png"), np.zeros((2, 2)), photo(), 7, (tone(), RATE), None]
)
def test_a_single_attachment_wants_a_list_around_it(given):
    with pytest.raises(OptionTypeError, match=r"must be a list.*attachments=\[…\]"):
        content_parts(given, model=model("vision", "audio"), vision=True, audio=True)


def test_a_closed_image_is_refused(tmp_path):
    file_of(photo())
    (tmp_path / "a.png").write_bytes(file_of(photo()))
    image = Image.open(tmp_path / "a.png")
    image.close()
    with pytest.raises(OptionValueError, match="broken image"):
        part_of(image)


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    path = tmp_path / "cat.png"
    path.write_bytes(file_of(photo()))

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(OptionValueError, match=r"cat.png' cannot be read \(Permission denied\)"):
        part_of(path)


def test_a_very_large_file_is_not_read(tmp_path):
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(300 * 2**20)  # takes no space
    with pytest.raises(OptionValueError, match="314,572,800 bytes"):
        part_of(path)


def test_a_long_or_strange_name_is_shortened_and_escaped():
    name = "\x1b[31m<script>" + "x" * 500 + ".png"
    with pytest.raises(OptionValueError) as caught:
        part_of(PanelAttachment(name, "image/png", b"no image"))
    assert len(str(caught.value)) < 200
    assert "\x1b" not in str(caught.value)


# Files made to do harm


def png_of(width: int, height: int, pixels: bytes, **chunks: bytes) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    extra = b"".join(chunk(name.encode(), content) for name, content in chunks.items())
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(100_000, 100_000), (16_384, 12_288), (12_000, 12_000), (9_000, 9_000)])
def test_an_image_that_claims_to_be_huge_is_not_decoded(size):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with pytest.raises(OptionValueError, match="make it smaller first"):
            part_of(png_of(*size, b"\0" * 1000))


def test_a_small_image_with_endless_pixels_is_refused_without_unpacking_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(OptionValueError, match="not as many as it says"):
        part_of(png_of(8, 8, b"\0" * 10_000_000))


@pytest.mark.parametrize("width", [300, 4000])
def test_a_photo_with_a_film_behind_it_is_sent_without_the_film(width):
    film = b"\0\0\0\x18ftypmp42" + b"\x55" * 5000
    part = part_of(file_of(photo(width, 200), "JPEG") + film)
    assert part.media_type == "image/jpeg"
    assert film not in part.data
    assert looked_at(part).width == min(width, 1536)


def test_a_sound_that_does_not_say_how_long_it_is_is_told_apart_from_a_long_one():
    written = io.BytesIO()
    soundfile.write(written, tone(2.0), RATE, format="FLAC")
    data = bytearray(written.getvalue())
    data[21] &= 0xF0  # STREAMINFO's number of samples: the last 36 bits before the checksum
    data[22:26] = bytes(4)
    with pytest.raises(OptionValueError, match="does not say how long it is"):
        part_of(bytes(data))


@pytest.mark.parametrize("given", [(one for one in ("a.png",)), {"a.png"}, {"a": "a.png"}.values()])
def test_several_that_are_no_list_are_to_be_made_one(given):
    with pytest.raises(OptionTypeError, match=r"make it one with list\(…\)"):
        content_parts(given, model=model("vision"), vision=True, audio=True)


def test_a_sound_that_claims_to_be_endless_is_not_decoded():
    written = io.BytesIO()
    soundfile.write(written, np.zeros(700 * RATE, "int16"), RATE, format="FLAC")
    with pytest.raises(OptionValueError, match="700 seconds long"):
        part_of(written.getvalue())


WHOLE = [
    file_of(photo()),
    file_of(photo(mode="RGBA")),
    file_of(photo(), "JPEG", exif=exif(6)),
    file_of(photo(), "JPEG"),
    file_of(photo(), "GIF"),
    file_of(photo(), "WEBP"),
    file_of(photo(), "TIFF"),
    wav(tone(0.2)),
    wav(tone(0.2, rate=44_100, channels=2), 44_100),
]


@pytest.mark.parametrize("data", WHOLE[:4])
@pytest.mark.parametrize("pillow", ["with Pillow", "without Pillow"])
def test_half_a_png_or_jpeg_is_broken(data, pillow, monkeypatch):
    if pillow == "without Pillow":
        monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(OptionValueError, match="broken image"):
        part_of(data[: len(data) // 2])


def test_a_sound_whose_parts_are_longer_than_it_is_broken():
    data = bytearray(wav(tone(0.2)))
    data[16] = 0x11  # the format is said to be one byte longer, and what follows is read from there
    with pytest.raises(OptionValueError, match="broken sound"):
        part_of(bytes(data))


@given(
    which=st.sampled_from(range(len(WHOLE))),  # the files themselves are too long to be printed
    cut=st.integers(0, 3000),
    flips=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=4),
)
def test_a_damaged_file_is_used_or_refused_and_nothing_else(which, cut, flips):
    data = WHOLE[which]
    damaged = bytearray(data[: max(1, len(data) - cut)])
    for place, value in flips:
        damaged[place % len(damaged)] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata
        try:
            part = part_of(bytes(damaged))
        except GemmaNotebookError as error:
            assert str(error)
        else:
            assert looked_at(part) if part.media_type != "image/jpeg" and part.kind == "image" else part.data


# What the model and the chat take


@pytest.mark.parametrize(
    ("modalities", "switches", "given", "words"),
    [
        (
            (),
            (True, True),
            "cat.png",
            r"'cat.png' cannot be attached: the model 'some-gemma' takes no images",
        ),
        (("audio",), (True, True), "cat.png", "takes no images"),
        (("vision",), (True, True), "cat.wav", "takes no sound"),
        (("vision",), (False, True), "cat.png", "enable_vision_modality=False"),
        (("vision", "audio"), (True, False), "cat.mp3", "enable_audio_modality=False"),
        ((), (True, True), "unknown-kind", "takes no images"),
        ((), (True, True), b"", "takes no images"),
        ((), (True, True), PanelAttachment("cat", "image/png", b""), "takes no images"),
        (("audio",), (True, True), np.full((2, 2), np.nan), "takes no images"),
        (("vision",), (True, True), (None, None), "takes no sound"),
        (("audio",), (True, True), Image.new("F", (5, 5)), "takes no images"),
    ],
)
def test_what_the_chat_cannot_take_is_refused_before_it_is_read(modalities, switches, given, words):
    """There is no file of these names, and the others are broken: that would be another error."""
    with pytest.raises(UnsupportedError, match=words):
        content_parts([given], model=model(*modalities), vision=switches[0], audio=switches[1])


def test_a_file_without_a_telling_name_is_refused_by_what_it_is():
    with pytest.raises(UnsupportedError, match="takes no sound"):
        content_parts([wav(tone())], model=model("vision"), vision=True, audio=True)


def test_parts_keep_their_order_and_nothing_is_nothing():
    takes = {"model": model("vision", "audio"), "vision": True, "audio": True}
    assert [part.kind for part in content_parts([photo(), (tone(), RATE)], **takes)] == ["image", "audio"]
    assert content_parts([], **takes) == ()
    with pytest.raises(OptionTypeError, match=r"attachments\[1\]"):
        content_parts([photo(), 5], **takes)
