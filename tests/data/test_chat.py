"""Chat messages: placeholders where the markers stand, options, system texts, modes; content keys."""

import hashlib
import re

import pytest

from nsrl.data import content_key, without
from nsrl.data.chat import Chat, examples_text, messages, options_text, system_text, text_of_file
from nsrl.data.modes import EXAMPLES, MODES
from nsrl.engines import LANGUAGES, EnginePool, Pair
from nsrl.engines.languages import OPEN
from nsrl.errors import UserError
from nsrl.types import ImageRef, Problem

CALL = (Pair("wolfram", "<tool_call>", "</tool_call>"),)


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


def test_modes_ask_for_what_they_are_called():
    """`any` is the text of every run so far, byte for byte; a language's names it alone; the others ask for a box."""
    digest = "84594db2cb6cf69ce844be314f526272081ed0233594d1c19ad3cc3506f95f6d"
    assert hashlib.sha256(system_text("any").encode()).hexdigest() == digest
    for mode in MODES:
        named = {language for language, opening in OPEN.items() if opening in system_text(mode)}
        assert named == (set(LANGUAGES) if mode == "any" else {mode} & set(LANGUAGES))
        assert (r"\boxed{}" in system_text(mode)) == (mode in ("answer", "cot"))
    assert len({system_text(mode) for mode in MODES}) == len(MODES)


def test_a_file_comes_before_a_rows_own_text_and_that_before_the_modes(tmp_path):
    plain, own = Problem("p", "q", "5"), Problem("p", "q", "5", columns={"system": "of the row"})
    text = lambda problem, **options: Chat(mode="cot", **options).messages(problem)[0]["content"][0]["text"]
    assert text(plain) == system_text("cot") and text(own) == "of the row"
    assert text(own, system="of the file") == text(plain, system="of the file") == "of the file"
    assert text(own, examples="1 + 1") == "of the row\n\n1 + 1"
    file, bad = tmp_path / "own.txt", tmp_path / "bad.txt"
    file.write_text("\nSay <wolfram>1</wolfram>.\n")
    chat = Chat(mode="wolfram", system=text_of_file("prompt.system", str(file)), delimiters=CALL)
    assert chat.system_text(plain) == "Say <tool_call>1</tool_call>."
    bad.write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty.txt").write_text(" \n")
    for name, words in (("absent.txt", "No such file"), ("empty.txt", "is empty"), ("bad.txt", "UTF-8"), (".", "Is a")):
        with pytest.raises(UserError, match=rf"^prompt.system must be a .*{words}") as caught:
            text_of_file("prompt.system", str(tmp_path / name))
        assert "\n" not in str(caught.value)


def test_every_program_of_the_examples_gives_what_they_say():
    stated = re.compile(r"<(nsl|wolfram|sympy)>(.*?)</\1>\s*(?:The engine )?gives ([^\n]+)", re.DOTALL)
    with EnginePool(1) as pool:
        for name in EXAMPLES:
            text = examples_text(name)
            found = stated.findall(text)
            assert len(found) == text.count(f"<{name}>") >= 3
            for language, program, value in found:
                assert language == name and pool.run(language, program).text == value, program
    assert all("Module[{" in program for _, program, _ in stated.findall(examples_text("wolfram")))
    assert "<wolfram>" not in Chat(examples=examples_text("wolfram"), delimiters=CALL).system_text(
        Problem("p", "q", "5")
    )


def test_the_head_of_the_turn_opens_a_program_that_its_end_closes():
    chat = Chat(mode="wolfram", prefill="open", delimiters=CALL)
    assert chat.prefill == "<tool_call>"
    for text, ended, program, complete in (
        ("<tool_call>1+1", True, "1+1", True),
        ("<tool_call>1+1", False, "1+1", False),
        ("<tool_call>1+1</tool_call> so 2", True, "1+1", True),
    ):
        cut = chat.read(text, ended)
        assert (cut.language, cut.program, cut.complete) == ("wolfram", program, complete)
    assert not Chat().read("<nsl>1+", True).complete, "nothing was opened for it"
    assert Chat(delimiters=CALL).read("```nsl\n1+1\n```", True).language == "nsl", "fences stay read"
    assert chat.learned("<wolfram>1+1</wolfram>") == "1+1" and chat.learned("7") == "7"
    assert Chat(delimiters=CALL).learned("<wolfram>1</wolfram>") == "<tool_call>1</tool_call>"
    assert chat.learned("So <wolfram>1</wolfram>") == "So <tool_call>1</tool_call>"
    assert Chat(prefill="So: ").learned("So: <nsl>1</nsl>") == "<nsl>1</nsl>"
    with pytest.raises(UserError, match=r"prompt.prefill=open needs a prompt.mode of one language .*; got cot"):
        Chat(mode="cot", prefill="open")


def test_pictures_are_left_out_with_their_markers():
    problem = Problem("p", "From <image> to <image>?", "5", (ref("a"), ref("b")), ("3", "5"))
    shown = [(c["type"], c.get("text")) for c in Chat(pictures=False).messages(problem)[-1]["content"]]
    assert shown == [("text", "From  to ?"), ("text", "\nA. 3\nB. 5")]


def test_content_keys_ignore_ids_case_and_spacing_but_not_images():
    a = Problem("1", "How many  RED ones?", "5", (ref("x"),))
    b = Problem("2", "how many red ones?\n", "6", (ref("x"),))
    c = Problem("3", "how many red ones?", "5", (ref("y"),))
    assert content_key(a) == content_key(b) != content_key(c)
    assert without([a, c], [b]) == [c]
