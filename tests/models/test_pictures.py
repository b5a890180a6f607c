"""Pictures: counted from headers as the processor would, made by threads ahead of need, held within a bound."""

import io
import itertools
import math
import random
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from nsrl.config import LoraConfig, ModelConfig
from nsrl.data import images
from nsrl.data.source import Rows
from nsrl.errors import UserError
from nsrl.models import loading
from nsrl.models.lengths import token_counts
from nsrl.models.qwen_vl.pictures import QwenPictures
from nsrl.models.small import build_image_processor
from nsrl.trainer.distributed import World
from nsrl.trainer.problems import ProblemStream
from nsrl.types import ImageRef, Problem

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def vlm():
    return loading.load(ModelConfig(), LoraConfig(), seed=0)


def encoded(size=(320, 240), seed=0, kind="PNG", **options) -> bytes:
    rng = np.random.default_rng(seed)
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).save(out, kind, **options)
    return out.getvalue()


def problem(name, *refs, question="What?"):
    return Problem(name, question, "1", tuple(refs))


def settled(pictures, seconds=30):
    """Wait until nothing is being read any more."""
    end = time.monotonic() + seconds
    while (pictures._coming or ours()) and time.monotonic() < end:
        time.sleep(0.005)
    assert not pictures._coming


def ours():
    return [t for t in threading.enumerate() if t.name.startswith("nsrl-pictures")]


@pytest.mark.parametrize("limits", [(56 * 56, 28 * 28 * 1280), (65_536, 16_777_216), (1024, 262_144)])
def test_grids_are_the_processors_on_random_sizes(limits):
    """Against the processor's own count, on 1,000 sizes for each of three settings; refused where it refuses."""
    processor = build_image_processor()
    processor.size = {"shortest_edge": limits[0], "longest_edge": limits[1]}
    pictures, rng, refused = QwenPictures(processor), random.Random(limits[0]), 0
    for _ in range(1000):
        shape = rng.random()
        if shape < 0.7:
            size = (rng.randint(1, 3000), rng.randint(1, 3000))
        else:  # long and thin, about the ratio that is refused
            side = rng.randint(1, 12)
            size = (side, min(12_000, side * rng.randint(150, 250) + rng.randint(0, 3)))
            size = size if rng.random() < 0.5 else size[::-1]
        try:
            wanted = processor.get_number_of_image_patches(size[1], size[0])
        except ValueError:
            refused += 1
            with pytest.raises(UserError, match=f"{size[0]}x{size[1]} pixels cannot be shown"):
                pictures.grid(size)
            continue
        assert int(np.prod(pictures.grid(size))) == wanted, size
    assert refused > 20


def test_patches_and_counts_are_those_of_the_processor_called_whole(vlm):
    """Bit for bit, late patching and header sizes included: formats, EXIF turns, notes behind the pixels, modes."""
    rng, refs = random.Random(3), []
    for number in range(24):
        size = (rng.randint(1, 500), rng.randint(3, 400))
        refs.append(
            images.bytes_image(encoded(size, number, ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"][number % 6]))
        )
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
            refs.append(images.bytes_image(encoded((90, 40), orientation, kind, exif=exif)))
    plain, noted = encoded((90, 40), 9), encoded((90, 40), 9, exif=exif)
    at = noted.index(b"eXIf") - 4
    chunk = noted[at : at + 12 + int.from_bytes(noted[at : at + 4], "big")]
    late = plain[:-12] + chunk + plain[-12:]
    refs.append(images.bytes_image(late))
    assert refs[-1].size == (40, 90)
    for ref in refs:
        picture = ref.open()
        assert ref.size == picture.size
        whole = vlm.image_processor(images=[picture], return_tensors="pt")
        patches, grid = vlm.pictures.patches(ref)
        assert torch.equal(patches, whole["pixel_values"]) and list(grid) == whole["image_grid_thw"][0].tolist()
        assert vlm.pictures.tokens(ref) == math.prod(grid) // 4
        again, _ = vlm.pictures.patches(ref)  # from the 8-bit picture that was kept
        assert torch.equal(again, patches)


def test_limits_of_pixels_reach_counts_and_patches():
    limited = loading.load(ModelConfig(max_pixels=20 * 1024), LoraConfig(), seed=0)
    ref = images.bytes_image(encoded((500, 300)))
    wanted = limited.image_processor(images=[ref.open()], return_tensors="pt")
    patches, _ = limited.pictures.patches(ref)
    assert torch.equal(patches, wanted["pixel_values"]) and limited.pictures.tokens(ref) == len(patches) // 4 <= 20


def test_prompt_lengths_are_those_of_encode_and_nothing_is_decoded(vlm, monkeypatch):
    rng = random.Random(5)
    letters = ["<", ">", "|", "̸", "á", "x", " ", "\n", "im_end", "<nsl>", "</nsl>", "7", "the ", "é", "<|", "|>"]
    problems = [
        problem(f"p{n}", *(images.bytes_image(encoded((rng.randint(20, 300), 50), n + k)) for k in range(n % 4)),
                question="".join(rng.choice(letters) for _ in range(rng.randint(0, 60))) + "<image>" * (n % 3))
        for n in range(60)
    ]  # fmt: skip
    decoded = []
    for kind in (Image.Image, ImageFile.ImageFile):
        monkeypatch.setattr(kind, "load", lambda self, inner=kind.load: decoded.append(1) or inner(self))
    fresh = [
        problem(
            p.id, *(images.bytes_image(encoded((rng.randint(9, 99), 50), 1)) for _ in p.images), question=p.question
        )
        for p in problems
    ]
    decoded.clear()  # making the pictures themselves
    refs = [images.bytes_image(data) for data in (encoded(kind="JPEG"), encoded(kind="WEBP"), encoded(kind="GIF"))]
    decoded.clear()
    lengths = vlm.prompt_lengths([*problems, *fresh, problem("q", *refs)])
    assert not decoded
    monkeypatch.undo()
    assert lengths[:60] == [len(vlm.encode(p).ids) for p in problems]
    texts = [vlm.prompt_text(p) for p in problems]
    assert token_counts(vlm.tokenizer, texts) == [
        len(ids) for ids in vlm.tokenizer(texts, add_special_tokens=False)["input_ids"]
    ]


def test_an_impossible_picture_is_the_rows_own_error(vlm):
    thin = images.bytes_image(encoded((2000, 4)))
    low = images.bytes_image(encoded((3, 900)))
    (a, b, c) = vlm.prompt_lengths(
        [problem("a", thin), problem("b", low), problem("c", images.bytes_image(encoded((400, 2))))]
    )
    assert "2000x4" in a and "3x900" in b and isinstance(c, int)  # 200 is the last ratio that is taken
    vlm.read_ahead([problem("a", thin)])
    assert "2000x4" in vlm.unreadable(problem("a", thin))
    with pytest.raises(UserError, match="2000x4 pixels cannot be shown to the model"):
        vlm.encode(problem("a", thin))


class Opener:
    """Pictures whose opening is recorded: when, and on which thread; `fails` raise."""

    def __init__(self, seconds=0.0, fails=()):
        self.log, self.seconds, self.fails = [], seconds, fails
        self.name = f"opener{next(NUMBERS)}"  # keys of one are not another's

    def ref(self, number, size=(320, 240)):
        def opened():
            self.log.append((number, threading.current_thread().name, time.perf_counter()))
            time.sleep(self.seconds)
            if number in self.fails:
                raise UserError(f"image 'n{number}.png' is damaged or truncated")
            return Image.fromarray(
                np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
            )

        return ImageRef(f"{self.name}-{number}", opened, size)


def test_reading_ahead_overlaps_is_used_and_leaves_no_thread():
    opener, pictures = Opener(seconds=0.05), QwenPictures(build_image_processor(), threads=4)
    refs = [opener.ref(n) for n in range(8)]
    alone = QwenPictures(build_image_processor(), threads=0)
    alone.ahead(refs)
    assert not opener.log
    wanted = [alone.patches(ref) for ref in refs]
    assert {thread for _, thread, _ in opener.log} == {"MainThread"}
    opener.log.clear()
    pictures.ahead(refs)
    start = time.perf_counter()
    pictures.ahead(refs)  # asked for twice, read once
    got = [pictures.patches(ref) for ref in refs]
    assert sorted(n for n, _, _ in opener.log) == list(range(8))
    assert all(thread.startswith("nsrl-pictures") for _, thread, _ in opener.log)
    times = sorted(t for *_, t in opener.log)
    assert times[3] - times[0] < 0.05  # four at a time
    assert times[-1] - start < 8 * 0.05
    for (a, x), (b, y) in zip(got, wanted):
        assert torch.equal(a, b) and x == y
    settled(pictures)
    assert not ours()


def test_the_bound_holds_at_every_moment_and_results_do_not_depend_on_it():
    processor = build_image_processor()
    one = 3 * 320 * 256  # bytes of a resized picture here; its patches take eight times as much
    wanted = None
    for memory in (0, one, 4 * one, 10 * one, 40 * one, 1 << 30):
        opener, pictures = Opener(), QwenPictures(processor, memory=memory, threads=3)
        refs, rng = [opener.ref(n) for n in range(12)], random.Random(memory)
        sums, worst = {}, 0
        for _ in range(6):
            part = rng.sample(refs, 5)
            pictures.ahead(part)
            for ref in part:
                worst = max(worst, pictures.held)
                sums[refs.index(ref)] = pictures.patches(ref)[0].sum().item()
                worst = max(worst, pictures.held)
        settled(pictures)
        assert worst <= memory
        held = sum(h.nbytes for h in pictures._held.values())
        assert pictures.held == held <= memory
        every = {n: pictures.patches(ref)[0].sum().item() for n, ref in enumerate(refs)}
        wanted = wanted or every
        assert every == wanted and all(wanted[k] == v for k, v in sums.items())


def test_what_is_read_ahead_is_not_dropped_for_what_was_used():
    one = 3 * 320 * 256
    opener, pictures = Opener(), QwenPictures(build_image_processor(), memory=2 * 9 * one + one, threads=2)
    pictures.ahead([opener.ref(1), opener.ref(2)])
    settled(pictures)
    for n in range(10, 20):
        pictures.patches(opener.ref(n))
    opener.log.clear()
    pictures.patches(opener.ref(1)), pictures.patches(opener.ref(2))
    assert not opener.log


def test_an_error_in_a_thread_comes_out_where_the_picture_is_asked_for(vlm):
    opener = Opener(fails={1})
    good, bad = problem("good", opener.ref(0)), problem("bad", opener.ref(2), opener.ref(1))
    vlm.read_ahead([bad, good])
    assert vlm.unreadable(good) is None and "n1.png" in vlm.unreadable(bad)
    with pytest.raises(UserError, match="n1.png"):
        vlm.encode(bad)
    settled(vlm.pictures)

    def broken():
        raise ZeroDivisionError  # a bug of ours is not hidden

    ref = ImageRef("bug", broken, (64, 64))
    vlm.read_ahead([problem("bug", ref)])
    with pytest.raises(ZeroDivisionError):
        vlm.encode(problem("bug", ref))


def test_the_stream_passes_over_what_cannot_be_read_the_same_way_after_a_resume(vlm, capsys):
    opener = Opener(fails={3, 4})
    data = [problem(f"p{n}", opener.ref(n, (64, 64))) for n in range(7)]
    stream = ProblemStream(Rows(data), 0, vlm)
    taken = [[p.id for p in stream.take(4)] for _ in range(6)]
    assert not {"p3", "p4"} & {name for part in taken for name in part} and all(len(part) == 4 for part in taken)
    out = capsys.readouterr().out
    assert out.count("passed over") == 2 and "problem p3 passed over" in out and "n3.png" in out
    halfway = ProblemStream(Rows(data), 0, vlm)
    assert [[p.id for p in halfway.take(4)] for _ in range(3)] == taken[:3]
    resumed = ProblemStream(Rows(data), halfway.position, vlm)
    assert [[p.id for p in resumed.take(4)] for _ in range(3)] == taken[3:]
    unread = ProblemStream(Rows(data))
    order = [p.id for p in unread.take(stream.position)]
    assert sorted(p for part in taken for p in part) == sorted(n for n in order if n not in ("p3", "p4"))
    with pytest.raises(UserError, match="no picture of the 2 training problems can be read any more"):
        ProblemStream(Rows(data[3:5]), 0, vlm).take(2)


class Threads(World):
    """Ranks that are threads of this process."""

    def gather(self, value):
        box, barrier = self._gloo
        box[self.rank] = value
        barrier.wait(30)
        values = list(box)
        barrier.wait(30)
        return values


def test_every_rank_passes_over_the_same_problems_and_opens_its_own_share(vlm):
    talk = ([None, None, None], threading.Barrier(3))
    data_of = lambda opener: [problem(f"p{n}", opener.ref(n, (64, 64))) for n in range(11)]
    openers, taken = [Opener(fails={2, 5, 6}) for _ in range(3)], [None] * 3

    def rank(number):
        own = QwenPictures(build_image_processor(), threads=0)
        reads = SimpleNamespace(
            read_ahead=lambda problems: own.ahead(i for p in problems for i in p.images),
            unreadable=lambda p: next((why for i in p.images if (why := own.problem_with(i))), None),
        )
        stream = ProblemStream(Rows(data_of(openers[number]), seed=1), 0, reads, Threads(number, 3, _gloo=talk))
        taken[number] = [[p.id for p in stream.take(count)] for count in (5, 5, 2, 5)], stream.position

    ranks = [threading.Thread(target=rank, args=(n,)) for n in range(3)]
    for thread in ranks:
        thread.start()
    for thread in ranks:
        thread.join(60)
    assert taken[0] is not None and taken[0] == taken[1] == taken[2]
    one = ProblemStream(Rows(data_of(Opener(fails={2, 5, 6})), seed=1), 0, vlm)
    assert ([[p.id for p in one.take(count)] for count in (5, 5, 2, 5)], one.position) == taken[0]
    assert all(len(opener.log) < 0.6 * one.position for opener in openers)


def test_the_next_steps_pictures_are_read_while_this_one_is_worked_on(vlm):
    opener = Opener()
    stream = ProblemStream(Rows([problem(f"p{n}", opener.ref(n)) for n in range(40)]), 0, vlm)
    first = stream.take(4)
    settled(vlm.pictures)
    assert len(opener.log) == 8  # four for now, four for the next step
    opener.log.clear()
    second = stream.take(4)
    for p in [*first, *second]:
        vlm.encode(p)
    settled(vlm.pictures)
    assert all(thread.startswith("nsrl-pictures") for _, thread, _ in opener.log)
    assert not {int(p.id[1:]) for p in second} & {n for n, *_ in opener.log}
