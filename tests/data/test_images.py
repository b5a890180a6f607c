"""Image references: keys by content, modes, damage, references that outlive their file with a clear error."""

import io
import random
import zipfile

import pytest
from PIL import Image

from nsrl.data import images
from nsrl.data.images import ZipImages
from nsrl.errors import UserError


def saved(path, image, **options):
    image.save(path, **options)
    return images.file_image(path)


def test_equal_bytes_equal_keys_and_equal_pixels(tmp_path):
    red = Image.new("RGB", (8, 8), "red")
    a, b = saved(tmp_path / "a.png", red), saved(tmp_path / "b.png", red)
    c = saved(tmp_path / "c.png", Image.new("RGB", (8, 8), "blue"))
    assert a.key == b.key != c.key and a == b
    assert a.open().tobytes() == b.open().tobytes()
    assert images.pil_image(red).key == images.pil_image(red.copy()).key != images.pil_image(red.resize((4, 16))).key
    assert images.bytes_image((tmp_path / "a.png").read_bytes()).key == a.key


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_opens_as_rgb(tmp_path, mode):
    kind = "TIFF" if mode in ("CMYK", "F", "I") else "PNG"
    image = Image.new(mode, (6, 5))
    assert saved(tmp_path / "x", image, format=kind).open().mode == "RGB"


def test_transparent_is_white_and_16_bit_keeps_its_brightness(tmp_path):
    assert saved(tmp_path / "t.png", Image.new("RGBA", (4, 4), (0, 0, 0, 0))).open().getpixel((0, 0)) == (255, 255, 255)
    grey = saved(tmp_path / "g.png", Image.new("I;16", (4, 4), 128 * 256)).open().getpixel((0, 0))
    assert grey == (128, 128, 128)


def test_exif_turns_the_image(tmp_path):
    image = Image.new("RGB", (6, 3))
    exif = image.getexif()
    exif[0x0112] = 6
    assert saved(tmp_path / "e.jpg", image, exif=exif).open().size == (3, 6)


def test_opening_twice_gives_fresh_images(tmp_path):
    ref = saved(tmp_path / "a.png", Image.new("RGB", (4, 4), "red"))
    ref.open().putpixel((0, 0), (0, 0, 0))
    assert ref.open().getpixel((0, 0)) == (255, 0, 0)


def test_a_file_that_goes_away(tmp_path):
    ref = saved(tmp_path / "a.png", Image.new("RGB", (4, 4)))
    (tmp_path / "a.png").unlink()
    with pytest.raises(UserError, match="cannot be read any more"):
        ref.open()
    with pytest.raises(UserError, match="is missing"):
        images.file_image(tmp_path / "a.png")


def test_truncated_and_bombs():
    out = io.BytesIO()
    Image.effect_noise((300, 300), 50).save(out, "PNG")
    with pytest.raises(UserError, match="damaged or truncated"):
        images.bytes_image(out.getvalue()[:5000], "cut.png")
    with pytest.raises(UserError, match="damaged or truncated"):
        images.decode(out.getvalue()[:5000], "cut.png")
    with pytest.raises(UserError, match="no known image format"):
        images.bytes_image(b"\x89\x00\xff\xfe" * 30)
    huge = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(huge, "PNG")
    with pytest.raises(UserError, match=r"at most 100000000 pixels|bomb"):
        images.bytes_image(huge.getvalue(), "huge.png")


def test_only_the_formats_of_pictures_are_opened_and_large_ones_without_a_warning(tmp_path, recwarn):
    for kind in ("EPS", "PDF"):
        out = io.BytesIO()
        Image.new("RGB", (9, 9)).save(out, kind)
        for data in (out.getvalue(), b"\xc5\xd0\xd3\xc6" + bytes(26) + out.getvalue()):
            with pytest.raises(UserError, match="is text, not an image|in no known image format"):
                images.bytes_image(data, "a.png")
            with pytest.raises(UserError):
                images.decode(data, "a.png")
    large = io.BytesIO()
    Image.new("1", (9_950, 9_950)).save(large, "PNG")
    assert images.bytes_image(large.getvalue(), "large.png").size == (9_950, 9_950)
    assert [str(w.message) for w in recwarn] == []


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_to_a_zip_archive_costs_the_pictures_it_holds(tmp_path, method):
    """Random damage: a picture is read as it was or refused in one sentence."""
    seed = random.SystemRandom().randrange(2**32)
    rng, file, refused = random.Random(seed), tmp_path / "images.zip", 0
    pictures = {f"{i}.png": rng.randbytes(300) for i in range(3)}
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in pictures.items():
            archive.writestr(name, data)
    whole = file.read_bytes()
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 6)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        file.write_bytes(damaged)
        images_zip = ZipImages(file)
        for name, data in pictures.items():
            try:
                images_zip.names()
                assert images_zip.read(name) == data, seed
            except UserError as error:
                refused += 1
                assert "\n" not in str(error), seed
    assert refused > 50
