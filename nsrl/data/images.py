"""Images by reference: `ImageRef`s over files, bytes, zip members and PIL images, checked once when made.

A reference's key is a hash of the encoded bytes (of the pixels, for an image that never was a file), so equal keys mean
equal pixels. Opening gives RGB: turned upright by its EXIF tag, transparent parts on white. Knows nothing of rows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from nsrl.errors import UserError
from nsrl.types import ImageRef

MAX_PIXELS = 100_000_000  # more is taken for a decompression bomb
_READING = (OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError, Image.DecompressionBombError, MemoryError)


def file_image(path: Path | str, check: bool = True) -> ImageRef:
    """An image file. Raises `UserError` when it is missing, no image, or damaged (`check` looks without decoding)."""
    path = Path(path)
    name = path.name
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise UserError(f"image {name!r} {reason}") from None
    if check:
        inspect(data, name)
    return ImageRef(_key(data), lambda: decode(_read(path), name))


def bytes_image(data: bytes, name: str = "in memory", check: bool = True) -> ImageRef:
    """An encoded image held in memory. Raises `UserError` like `file_image`."""
    if check:
        inspect(data, name)
    return ImageRef(_key(data), lambda: decode(data, name))


def lazy_image(read: Callable[[], bytes], name: str) -> ImageRef:
    """An encoded image that is read again each time it is opened (an archive member, a row of a memory-mapped table)."""
    data = read()
    inspect(data, name)
    return ImageRef(_key(data), lambda: decode(read(), name))


def pil_image(image: Image.Image) -> ImageRef:
    """An image that is already decoded; its key is a hash of its RGB pixels and size."""
    rgb = to_rgb(image)
    key = hashlib.blake2b(repr(rgb.size).encode() + rgb.tobytes(), digest_size=16).hexdigest()
    return ImageRef("px-" + key, lambda: rgb.copy())


def data_url_image(url: str) -> ImageRef:
    """`data:image/png;base64,…`. Raises `UserError` when it does not decode."""
    try:
        return bytes_image(base64.b64decode(url.partition(",")[2], validate=True), "data url")
    except binascii.Error:
        raise UserError("image in a data url is not valid base64") from None


def inspect(data: bytes, name: str) -> None:
    """Find damage without decoding where the format allows it: PNG checksums, a JPEG's end. Raises `UserError`."""
    if not data:
        raise UserError(f"image {name!r} is empty")
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UserError(f"image {name!r} must have at most {MAX_PIXELS} pixels; got {image.width}x{image.height}")
            if image.width < 1 or image.height < 1:
                raise UserError(f"image {name!r} has no pixels")
            if image.format == "JPEG" and b"\xff\xd9" in data[-65536:]:
                return
            if image.format == "PNG":
                image.verify()  # checksums of every chunk
                return
            image.load()
    except _READING as error:
        raise _unreadable(data, name, error) from None


def decode(data: bytes, name: str) -> Image.Image:
    """Encoded bytes as an RGB image. Raises `UserError`."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return to_rgb(image)
    except _READING as error:
        raise _unreadable(data, name, error) from None


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB, upright, on white; 16-bit greys keep their brightness."""
    image = ImageOps.exif_transpose(image)
    if image.mode == "RGB":
        return image.copy()
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda v: v / 256).convert("L")
    elif image.mode == "F":
        image = image.convert("L")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", rgba.size, "white")
        canvas.alpha_composite(rgba)
        image = canvas
    return image.convert("RGB")


class ZipImages:
    """Members of a zip archive as images, read one at a time; the archive is never unpacked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        self._lock = threading.Lock()

    def names(self) -> set[str]:
        with self._lock:
            return set(self._open().namelist())

    def read(self, name: str) -> bytes:
        with self._lock:
            try:
                return self._open().read(name)
            except (KeyError, zipfile.BadZipFile, OSError):
                raise UserError(f"image {name!r} is missing in {self.path.name}") from None

    def image(self, name: str) -> ImageRef:
        return lazy_image(lambda: self.read(name), name)

    def _open(self) -> zipfile.ZipFile:
        if self._zip is None:
            try:
                self._zip = zipfile.ZipFile(self.path)
            except (OSError, zipfile.BadZipFile):
                raise UserError(f"{self.path.name} is not a readable zip archive") from None
        return self._zip

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"image {path.name!r} cannot be read any more ({error.strerror})") from None


def _key(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _unreadable(data: bytes, name: str, error: Exception) -> UserError:
    try:
        data[:512].decode("utf-8")
        return UserError(f"image {name!r} is text, not an image")
    except UnicodeDecodeError:
        pass
    if isinstance(error, UnidentifiedImageError):
        return UserError(f"image {name!r} is in no known image format")
    return UserError(f"image {name!r} is damaged or truncated ({error})")
