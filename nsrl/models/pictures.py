"""Pictures become patches here, made by threads ahead of need and held within a bound of memory.

What is held is the resized 8-bit picture, an eighth of its fp32 patches; patches made ahead are handed out once.
Results do not depend on threads, bound or order. How a picture is resized and cut is the family's.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from PIL import Image

from nsrl.errors import UserError
from nsrl.types import ImageRef

MEMORY = 2 << 30
THREADS = 4
WORTH = 1 << 17  # bytes; smaller pictures are not kept once used: they are made again within a millisecond


@dataclass
class _Held:
    """A resized picture, uint8, its grid, and its patches (n, C) float32 if they were made ahead."""

    pixels: np.ndarray
    grid: tuple[int, int, int]
    patches: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        return self.pixels.nbytes + (0 if self.patches is None else self.patches.nbytes)


def grid_cells(rows: int, columns: int) -> np.ndarray:
    """(rows·columns, 4): left, top, right, bottom of equal cells, row by row, as shares of the whole."""
    top, left = np.divmod(np.arange(rows * columns), columns)
    return np.stack([left / columns, top / rows, (left + 1) / columns, (top + 1) / rows], 1)


class Pictures(ABC):
    """The pictures of a model's image processor. A family says how: `grid`, `tokens`, `resized`, `patched`, `sizes`.

    memory: bytes of pictures and patches held at most, what threads are about to fill included (the one picture each
    thread decodes, and what was handed out, come on top); threads: that read ahead (0: nothing is read ahead).
    """

    merge: int  # patches per visual token along each side

    def __init__(self, processor: Any, memory: int = MEMORY, threads: int | None = None) -> None:
        self.processor = processor
        self.memory = memory
        self.threads = min(THREADS, os.cpu_count() or 1) if threads is None else threads
        self._lock = threading.Lock()
        self._held: OrderedDict[str, _Held] = OrderedDict()  # the least recently used first
        self._coming: dict[str, Future[_Held]] = {}
        self._reserved: dict[str, int] = {}  # bytes of what is coming
        self._bytes = 0  # held and reserved
        self._waited_for: set[str] = set()  # read ahead and not used yet: not dropped for others

    @property
    def held(self) -> int:
        """Bytes held, or kept free for what is coming."""
        return self._bytes

    @abstractmethod
    def grid(self, size: tuple[int, int], name: str = "image") -> tuple[int, int, int]:
        """Patches in time, height and width of a picture of (width, height). Raises `UserError` where it cannot be
        shown."""

    @abstractmethod
    def resized(self, picture: Any) -> np.ndarray:
        """The pixels, uint8, that are cut into patches, of a PIL picture in RGB that has a grid."""

    @abstractmethod
    def patched(self, pixels: np.ndarray) -> np.ndarray:
        """(patches, C) float32 of what `resized` returned."""

    @abstractmethod
    def sizes(self, size: tuple[int, int]) -> tuple[int, int]:
        """Bytes of the resized picture and of its patches, of a picture of (width, height). Raises `UserError`."""

    def cells(self, size: tuple[int, int]) -> np.ndarray:
        """(visual tokens, 4): left, top, right and bottom of what each one sees, as shares of a picture of (width,
        height)."""
        _, rows, columns = self.grid(size)
        return grid_cells(rows // self.merge, columns // self.merge)

    def tokens(self, image: ImageRef) -> int:
        """Tokens of a picture in a prompt; from the header's size, so that nothing is decoded. Raises `UserError`."""
        return prod(self.grid(self._size(image))) // self.merge**2

    def patches(self, image: ImageRef) -> tuple[torch.Tensor, tuple[int, int, int]]:
        """(patches (n, C) float32, grid) as the processor makes them. Raises `UserError` if unreadable."""
        held = self._get(image)
        with self._lock:
            patches, held.patches = held.patches, None
            self._waited_for.discard(image.key)
            if self._held.get(image.key) is held:
                self._bytes -= 0 if patches is None else patches.nbytes
                if held.nbytes < WORTH:
                    self._bytes -= self._held.pop(image.key).nbytes
        if patches is None:
            patches = self.patched(held.pixels)
        return torch.from_numpy(patches), held.grid

    def problem_with(self, image: ImageRef) -> str | None:
        """Why a picture cannot be had, in a sentence; None when it can. What was read waits for its use, if there
        is room."""
        try:
            self._get(image)
        except UserError as error:
            return str(error)
        return None

    def ahead(self, images: Iterable[ImageRef]) -> None:
        """Begin to read these pictures, as many as there is room for; who asks for one waits only for what is left to
        do.

        An error comes out where the picture is asked for.
        """
        if not self.threads:
            return
        tasks = []
        for image in images:
            with self._lock:
                if image.key in self._coming:
                    continue
                if image.key in self._held:
                    self._held.move_to_end(image.key)
                    self._waited_for.add(image.key)
                    continue
                try:
                    small, large = self._sizes(image)
                except UserError:
                    continue  # who asks for it gets the error
                room = next((n for n in (small + large, small) if self._make_room(n)), None)
                if room is None:
                    break
                self._reserved[image.key], self._coming[image.key] = room, Future()
                self._bytes += room
                self._waited_for.add(image.key)
                tasks.append((image, room > small))
        if tasks:
            pool = ThreadPoolExecutor(min(self.threads, len(tasks)), "nsrl-pictures")
            for task in tasks:
                pool.submit(self._fetch, *task)
            pool.shutdown(wait=False)  # its threads end with these tasks

    # -- inside ------------------------------------------------------------------------------------------------------

    def _get(self, image: ImageRef) -> _Held:
        with self._lock:
            held, coming = self._held.get(image.key), self._coming.get(image.key)
            if held is not None:
                self._held.move_to_end(image.key)
                return held
        if coming is not None:
            return coming.result()
        held = self._read(image)
        with self._lock:
            self._waited_for.add(image.key)
            self._keep(image.key, held)
        return held

    def _fetch(self, image: ImageRef, patched: bool) -> None:
        future = self._coming[image.key]
        try:
            held = self._read(image)
            if patched:
                held.patches = self.patched(held.pixels)
        except BaseException as error:
            with self._lock:
                self._done(image.key)
                self._waited_for.discard(image.key)
            future.set_exception(error)
            if isinstance(error, UserError):
                return  # the row's own fault, for who asks
            raise
        with self._lock:
            self._done(image.key)
            self._keep(image.key, held)
        future.set_result(held)

    def _done(self, key: str) -> None:
        del self._coming[key]
        self._bytes -= self._reserved.pop(key)

    def _keep(self, key: str, held: _Held) -> None:
        if key not in self._held and self._make_room(held.nbytes):
            self._held[key] = held
            self._bytes += held.nbytes
        elif key not in self._held:
            self._waited_for.discard(key)

    def _make_room(self, wanted: int) -> bool:
        """Drop the least recently used pictures until `wanted` bytes fit; nothing that was read ahead and not used."""
        missing = self._bytes + wanted - self.memory
        dropped = []
        for key, held in self._held.items():
            if missing <= 0:
                break
            if key not in self._waited_for:
                dropped.append(key)
                missing -= held.nbytes
        if missing > 0:
            return False
        for key in dropped:
            self._bytes -= self._held.pop(key).nbytes
        return True

    def _read(self, image: ImageRef) -> _Held:
        picture = image.open()
        grid = self.grid(picture.size)
        return _Held(self.resized(picture), grid)

    def _sizes(self, image: ImageRef) -> tuple[int, int]:
        """As `sizes`; (0, 0) where no header told the picture's size."""
        return (0, 0) if image.size is None else self.sizes(image.size)

    @staticmethod
    def _size(image: ImageRef) -> tuple[int, int]:
        return image.size if image.size is not None else image.open().size


def picture_of(planes: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> Image.Image:
    """The RGB picture behind normalised pixels (height, width, 3), so that another engine cannot see other ones.

    Un-normalising and rounding is exact, because they were 8-bit before. Raises `UserError` where they were not.
    """
    levels = (planes * np.asarray(std, np.float64) + np.asarray(mean, np.float64)) * 255
    whole = np.rint(levels)
    if np.abs(levels - whole).max() > 0.05 or whole.min() < 0 or whole.max() > 255:
        raise UserError(
            f"pixel_values must be 8-bit pictures normalised with mean {list(mean)} and std {list(std)}; "
            "got values between the levels (another normalisation, or a lower precision?)"
        )
    return Image.fromarray(whole.astype(np.uint8), "RGB")
