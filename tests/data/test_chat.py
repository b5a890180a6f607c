"""Chat messages: placeholders where the markers stand, options, system texts; content keys."""

from nsrl.data import content_key, without
from nsrl.data.chat import messages, options_text, system_text
from nsrl.engines.languages import OPEN
from nsrl.types import ImageRef, Problem


def ref(key):
    return ImageRef(key, lambda: None)


def kinds(problem, **options):
    return [(c["type"], c.get("text")) for c in messages(problem, **options)[-1]["content"]]


def test_images_stand_at_their_markers_and_the_rest_follow():
    two = Problem("p", "From <image>\nto <image>?", "5", (ref("a"), ref("b"), ref("c")))
    assert kinds(two) == [
        ("text", "From "),
        ("image", None),
        ("text", "to "),
        ("image", None),
        ("text", "?"),
        ("image", None),
    ]
    assert kinds(Problem("p", "How many?", "5", (ref("a"),))) == [("text", "How many?"), ("image", None)]
    assert kinds(Problem("p", "Text only", "5")) == [("text", "Text only")]


def test_one_placeholder_per_image_always():
    for markers in range(5):
        for count in range(4):
            problem = Problem("p", "x".join(["<image>"] * markers) + "?", "5", tuple(ref(str(i)) for i in range(count)))
            assert sum(c["type"] == "image" for c in messages(problem)[-1]["content"]) == count


def test_options_are_listed_unless_they_are_their_letters():
    assert options_text(("3", "5")) == "A. 3\nB. 5"
    assert options_text(("A", "B", "C")) == options_text(("(A)", "(B)")) == options_text(("A)", "B)")) == ""
    assert kinds(Problem("p", "q", "B", (), ("3", "5")))[-1] == ("text", "\nA. 3\nB. 5")


def test_system_texts():
    problem = Problem("p", "q", "5")
    assert [m["role"] for m in messages(problem)] == ["system", "user"]
    assert [m["role"] for m in messages(problem, system=False)] == ["user"]
    assert messages(problem, system="Say it.")[0]["content"][0]["text"] == "Say it."
    own = Problem("p", "q", "5", columns={"system": "mine"})
    assert messages(own)[0]["content"][0]["text"] == "mine"
    assert all(opening in system_text() for opening in OPEN.values())


def test_content_keys_ignore_ids_case_and_spacing_but_not_images():
    a = Problem("1", "How many  RED ones?", "5", (ref("x"),))
    b = Problem("2", "how many red ones?\n", "6", (ref("x"),))
    c = Problem("3", "how many red ones?", "5", (ref("y"),))
    assert content_key(a) == content_key(b) != content_key(c)
    assert without([a, c], [b]) == [c]
