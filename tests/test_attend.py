"""`nsrl attend` from the command line to the drawing: the small model, random weights, a text of ours."""

import re

import numpy as np
import pytest
from PIL import Image

from nsrl.attend import main
from nsrl.errors import UserError
from nsrl.models import small
from nsrl.models.internvl.pictures import TiledPictures
from nsrl.models.pictures import grid_cells
from nsrl.report.attention import Seen, by_token, evens, fine, masses, table
from tests.report.browser import Browser, chromium

WROTE = "The areas² are 5é.\n<nsl>2+3</nsl> So \\boxed{5}."


def test_the_numbers_of_the_table():
    weights = np.zeros((2, 3, 4), dtype=np.float32)
    weights[0, 0], weights[1, 0], weights[:, 1] = 0.1, 0.2, 0.05
    weights[1, 0, 2] = 0.3
    cells, parts = [grid_cells(1, 2), grid_cells(2, 1)], ["program", "program", "prose"]
    even = np.array([0.5, 0.25, 0.2])
    seen = Seen("t", "q", [], cells, list("abc"), parts, weights, even, [0], layer=1)
    assert by_token(seen).splitlines()[1].split() == ["0", '"a"', "program", "0.900", "0.300", "1", "0.50", "0.25"]
    assert np.allclose(masses(seen)["program"], [0.3, 0.55]) and np.allclose(masses(seen)["prose"], 0)
    assert evens(seen) == {"program": 0.375, "prose": pytest.approx(0.2)}
    assert [line.split() for line in table(seen).splitlines()] == [
        ["layer", "prose", "program"], ["tokens", "1", "2"], ["0", "0.000", "0.300"], ["1", "0.000", "0.550"],
        ["mean", "0.000", "0.425"], ["even", "0.200", "0.375"],
    ]  # fmt: skip


def test_an_overview_is_spread_over_the_cells_it_sees():
    pictures = TiledPictures(small.build_image_processor("internvl"), 8, 2)
    cells = pictures.cells((96, 64))
    few, spread = fine(cells)
    assert len(cells) == 6 * 4 + 4 and np.allclose(few, cells[:24])
    assert np.allclose(spread.sum(1), 1) and np.array_equal(spread[:24], np.eye(24))
    for box, row in zip(cells[24:], spread[24:]):  # 3 by 2 small cells each, those inside
        inside = (few[:, 0] >= box[0] - 1e-9) & (few[:, 2] <= box[2] + 1e-9) & (few[:, 1] >= box[1] - 1e-9)
        inside &= few[:, 3] <= box[3] + 1e-9
        assert inside.sum() == 6 and np.allclose(row, inside / 6)


def test_two_pictures_on_a_page(tmp_path, capsys):
    files = []
    for name, size in (("a", (96, 64)), ("b", (37, 130))):
        Image.effect_noise(size, 90).convert("RGB").save(tmp_path / f"{name}.png")
        files += ["--image", str(tmp_path / f"{name}.png")]
    said = ["--model", "small", "--question", "How many </script> <b>?", *files, "--completion", WROTE]
    assert main([*said, "-o", str(tmp_path / "map.html"), "--tokens", "program", "--layer", "1"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"layer +prose +program +answer +delimiters\n", out) and "even" in out
    asked = [
        "prompt.mode=nsl",
        "--prompt.prefill",
        "open",
        "--completion",
        "2+3",
    ]  # a program behind the head that opens it
    assert main([*said, "-o", str(tmp_path / "map.png"), "--head", "2", *asked]) == 0
    assert "program" in (out := capsys.readouterr().out) and "answer" not in out and "<nsl>" not in out
    with Image.open(tmp_path / "map.png") as drawn:
        assert drawn.width == 1200 and len(set(drawn.convert("RGB").resize((60, 60)).getdata())) > 50
    if chromium() is None:
        pytest.skip("no chromium to open the page with")
    try:
        browser = Browser(tmp_path / "profile")
    except OSError as error:
        pytest.skip(f"chromium does not start here: {error}")
    try:
        browser.open((tmp_path / "map.html").as_uri(), "document.documentElement?.dataset.ready")
        sizes = browser.run("[...document.querySelectorAll('canvas')].map((c) => [c.width, c.height])")
        assert [h / w for w, h in sizes] == [64 / 96, 130 / 37]
        count = browser.run("document.querySelectorAll('#tokens button').length")
        seen = "[...document.querySelectorAll('canvas')].map((c) => c.toDataURL()).join()"
        one = browser.run(seen)
        browser.run(f"document.querySelectorAll('#tokens button')[{count - 3}].click()")
        assert browser.run(seen) != one and "one token, layer 1" in browser.run("drawn.textContent")
        browser.run("document.querySelector('#layers tr[data-layer=null]').click()")
        assert "mean over layers" in browser.run("drawn.textContent") and browser.problems == []
        assert browser.run("question.textContent") == "How many </script> <b>?"
    finally:
        browser.close()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "required: --model"),
        (["--model", "small"], "--problem must be given, or --question and --image"),
        (["--model", "small", "--problem", "0", "--image", "a.png"], "--problem stands in place of --question"),
        (["--model", "small", "--problem", "x"], "--problem must be 0 to 599 or the id of a held-out problem; got 'x'"),
        (["--model", "small", "--problem", "0", "--layer", "last"], "--layer must be a number from 0 or mean; got "
            "'last'"),
        (["--model", "small", "--problem", "0", "--layer", "3"], "--layer must be 0 to 2 or mean; got 3"),
        (["--model", "small", "--problem", "0", "--completion", "5", "--head", "3"],
        "head must be 0 to 2 or mean; got 3"),
        (["--model", "small", "--problem", "0", "--tokens", "4:2"], "--tokens must be prose, program, answer, "
            "delimiters, all or A:B"),
        (["--model", "small", "--problem", "0", "--completion", "5", "--tokens", "program"],
         "--tokens program: the completion has no such tokens; it has 1 of answer, 1 of delimiters"),
        (["--model", "small", "--problem", "0", "--completion", "5", "--tokens", "9:"],
        "--tokens 9:: the completion has no"),
        (["--model", "small", "--problem", "0", "--completion", "5", "--temperature", "1"], "looked at as it stands"),
        (["--model", "small", "--problem", "0", "--completion", "5<|image_pad|>"],
        "--completion must hold no control token of the model; got a text with '<|image_pad|>'"),
        (["--model", "small", "--problem", "0", "prompt.images=none"], "must have a picture to look at"),
        (["--model", "small", "--problem", "0", "prompt.mode=maple"], "prompt.mode must be one of any, answer, cot, "),
        (["--model", "small", "--problem", "0", "prompt.system=/no/file"], "prompt.system cannot act here"),
        (["--model", "small", "--problem", "0", "-o", "map.gif"], "-o must be a file that ends in .png or .html; got "
            "'map.gif'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(words, expected):
    with pytest.raises(UserError, match=re.escape(expected)):
        main(words)
