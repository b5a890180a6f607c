"""Images by reference: `ImageRef`s over files, bytes, zip members and PIL images, checked once when made.

A reference's key is a hash of the encoded bytes (of the pixels, for an image that never was a file), so equal keys mean
equal pixels. Opening gives RGB: turned upright by its EXIF tag, transparent parts on white.
"""

from __future__ import annotations

import base64
import hashlib
import io
import lzma
import math
import os
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from nsrl.errors import UserError
from nsrl.types import ImageRef

MAX_PIXELS = 100_000_000  # more is taken for a decompression bomb
Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # or Pillow warns of pictures that are taken
_READING = (
    OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError, Image.DecompressionBombError, MemoryError,
    struct.error, zlib.error, RuntimeError,  # RuntimeError: what the AVIF decoder raises
)  # fmt: skip
# RuntimeError: it asks for a password or a method unknown here; ValueError: names or times that are none
_UNPACKING = (
    OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError, struct.error,
)  # fmt: skip
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap the sides
_PNG_NOTES = (
    b"XML:com.adobe.xmp",
    b"Raw profile type exif",
)  # texts in which a PNG file may say how it is to be turned


def file_image(path: Path | str) -> ImageRef:
    """An image file. Raises `UserError` when it is missing, no image, or damaged as far as shows without decoding."""
    path = str(path)
    name = os.path.basename(path)
    try:
        data = _content(path)
    except OSError as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise UserError(f"image {name!r} {reason}") from None
    return _reference(data, lambda: _read(path), name)


def bytes_image(data: bytes, name: str = "in memory") -> ImageRef:
    """An encoded image held in memory. Raises `UserError` like `file_image`."""
    return _reference(data, lambda: data, name)


def lazy_image(read: Callable[[], bytes], name: str, data: bytes | None = None) -> ImageRef:
    """An encoded image that is read again each time it is opened (an archive member, a row of a file).

    data: what `read` gives, where it is at hand already; it is not kept.
    """
    return _reference(read() if data is None else data, read, name)


def pil_image(image: Image.Image) -> ImageRef:
    """An image that is already decoded; its key is a hash of its RGB pixels and size."""
    rgb = to_rgb(image)
    key = hashlib.blake2b(repr(rgb.size).encode() + rgb.tobytes(), digest_size=16).hexdigest()
    return ImageRef("px-" + key, lambda: rgb.copy(), rgb.size)


def data_url_bytes(url: str) -> bytes:
    """The encoded image in `data:image/png;base64,…`. Raises `UserError` when it does not decode."""
    return base64_bytes(url.partition(",")[2], "a data url")


def base64_bytes(text: str, where: str) -> bytes:
    """The bytes that a base64 text stands for, broken into lines or not. Raises `UserError` when it does not decode."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise UserError(f"image in {where} is not valid base64") from None


def _reference(data: bytes, read: Callable[[], bytes], name: str) -> ImageRef:
    size = inspect(data, name)
    return ImageRef(hashlib.blake2b(data, digest_size=16).hexdigest(), lambda: decode(read(), name), size)


def inspect(data: bytes, name: str) -> tuple[int, int]:
    """(width, height) of what `decode` will give, from the header, upright.

    Finds damage without decoding where the format allows it: PNG checksums, a JPEG's or GIF's end, a WebP's length.
    Raises `UserError`.
    """
    if not data:
        raise UserError(f"image {name!r} is empty")
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UserError(f"image {name!r} must have at most {MAX_PIXELS} pixels; got {width}x{height}")
            if width < 1 or height < 1:
                raise UserError(f"image {name!r} has no pixels")
            # PIL decodes a PNG to look for notes behind its pixels, so look first whether there are any; a TIFF it
            # turns itself
            noted = _png_notes(data) if image.format == "PNG" else image.format != "TIFF"
            turned = noted and image.getexif().get(ExifTags.Base.Orientation, 1) in _TURNED
            if not _complete(image, data):
                image.load()
    except _READING as error:
        raise _unreadable(data, name, error) from None
    return (height, width) if turned else (width, height)


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """What a data set's pictures come in, as far as this Pillow reads it; some others (EPS) it hands to other
    programs."""
    Image.init()
    wanted = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "JPEG2000", "AVIF", "PPM", "ICO", "TGA", "PCX")
    return tuple(name for name in wanted if name in Image.OPEN)


def _png_notes(data: bytes) -> bool:
    """Whether a PNG says how it is to be turned. Checks the sums of its chunks; raises ValueError where one is
    damaged."""
    view, at, found = memoryview(data), 8, False
    while True:
        length, kind = int.from_bytes(view[at : at + 4], "big"), view[at + 4 : at + 8]
        end = at + 8 + length
        if int.from_bytes(view[end : end + 4], "big") != zlib.crc32(view[at + 4 : end]) or end + 4 > len(data):
            raise ValueError("a chunk of the PNG file is cut off or has a wrong checksum")
        if kind == b"IEND":
            return found
        found |= kind == b"eXIf" or (kind[1:] in (b"EXt", b"TXt") and data.startswith(_PNG_NOTES, at + 8))
        at = end + 4


def _complete(image: Image.Image, data: bytes) -> bool:
    """Whether the file goes on to its end, as far as the format says where that is; False: only decoding tells."""
    if image.format in ("JPEG", "MPO"):
        return data.rfind(b"\xff\xd9", max(0, len(data) - 65536)) >= 0
    if image.format == "PNG":
        return True  # its chunks were looked at
    if image.format == "GIF":
        return data.rstrip(b"\0").endswith(b";")
    if image.format == "WEBP":
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    tiles = getattr(image, "tile", ())  # of a file's image alone
    return any(tile[0] != "raw" for tile in tiles)  # decoding raw pixels is copying them


def decode(data: bytes, name: str) -> Image.Image:
    """Encoded bytes as an RGB image. Raises `UserError`."""
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            image.load()
            return to_rgb(image)
    except _READING as error:
        raise _unreadable(data, name, error) from None


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB, upright, on white; 16-bit greys keep their brightness, floats are shares of white or 0 to 255."""
    image = ImageOps.exif_transpose(image)
    if image.mode == "RGB":
        return image.copy()
    if image.mode.startswith("I"):
        image = _grey(image.convert("I"), 256, 65535)
    elif image.mode == "F":
        image = _grey(image, 1 / 255 if _range(image)[1] <= 1 else 1, 255)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", rgba.size, "white")
        canvas.alpha_composite(rgba)
        image = canvas
    return image.convert("RGB")


def _range(image: Image.Image) -> tuple[float, float]:
    """The least and the greatest value of an image of one band."""
    low, high = image.getextrema()
    assert not isinstance(low, tuple) and not isinstance(high, tuple)
    return low, high


def _grey(image: Image.Image, level: float, most: float) -> Image.Image:
    """8 bits, `level` being one step of grey; values outside 0 to `most` make the darkest black and the brightest
    white."""
    low, high = _range(image)
    if not math.isfinite(low) or not math.isfinite(high):
        raise ValueError(f"values from {low} to {high}")
    below = 0.0
    if low < 0 or high > most:
        below, level = low, max(high - low, 1e-30) / 255
    half = 0.5 if image.mode == "F" else 0  # conversion cuts the fraction off
    return image.point(lambda v: v * (1 / level) + (half - below / level)).convert("L")


class ZipImages:
    """Members of a zip archive as images, read one at a time; the archive is never unpacked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        self._lock = threading.Lock()

    def names(self) -> set[str]:
        """The names of the members."""
        with self._lock:
            return set(self._open().namelist())

    def read(self, name: str) -> bytes:
        """The bytes of a member. Raises `UserError` for one that is absent or damaged."""
        with self._lock:
            try:
                return self._open().read(name)
            except KeyError:
                raise UserError(f"image {name!r} is missing in {self.path.name}") from None
            except _UNPACKING as error:
                raise UserError(f"image {name!r} cannot be read out of {self.path.name} ({error})") from None

    def image(self, name: str) -> ImageRef:
        """A member as a picture that is opened when it is needed."""
        return lazy_image(lambda: self.read(name), name)

    def _open(self) -> zipfile.ZipFile:
        if self._zip is None:
            try:
                self._zip = zipfile.ZipFile(self.path)
            except _UNPACKING:
                raise UserError(f"{self.path.name} is not a readable zip archive") from None
        return self._zip

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]


def _content(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.readall()


def _read(path: str) -> bytes:
    try:
        return _content(path)
    except OSError as error:
        raise UserError(f"image {os.path.basename(path)!r} cannot be read any more ({error.strerror})") from None


def _unreadable(data: bytes, name: str, error: Exception) -> UserError:
    try:
        data[:512].decode("utf-8")
        return UserError(f"image {name!r} is text, not an image")
    except UnicodeDecodeError:
        pass
    if isinstance(error, UnidentifiedImageError):
        return UserError(f"image {name!r} is in no known image format")
    return UserError(f"image {name!r} is damaged or truncated ({error})")
