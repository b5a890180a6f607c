"""`nsrl view`: one page over ten thousand completions, in a real browser; what it holds, and what it refuses."""

import base64
import gzip
import io
import json
import random
import re
from dataclasses import replace

import pytest
from PIL import Image
from synthetic import HOSTILE, png, records

from nsrl.errors import UserError
from nsrl.report.records import collect
from nsrl.report.viewer import pack, shrunk, thinned, write_view
from nsrl.trainer.folder import write_parquet
from nsrl.view import main
from tests.report.browser import Browser, chromium

READY = "document.documentElement?.dataset.ready"
# Seconds from a click to the frame after it: the filter, the list and what stands beside it.
CLICKS = """(async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const boxes = [...document.querySelectorAll(".value input")], out = [];
  for (const box of boxes) {
    const times = [];
    for (let i = 0; i < 4; i++) { await frame(); const start = performance.now(); box.click(); await frame();
    times.push(performance.now() - start); }
    out.push(Math.min(...times));
  }
  return out;
})()"""


def data_of(page):
    """What the page holds, as its script unpacks it."""
    (packed,) = re.findall(r'id="data">([^<]*)<', page.read_text())
    return json.loads(gzip.decompress(base64.b64decode(packed)))


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """Two runs on the same problems, 10,000 completions, as a run writes them."""
    root, rng = tmp_path_factory.mktemp("runs") / "experiment", random.Random(1)
    pictures = [{"problem_id": f"p{i}", "image_png": png(rng)} for i in range(400)]
    for arm in ("nsl", "sympy"):
        for name, t in (("warm_start", 0.0), ("final", 1.0)):
            rows = records(rng, 400, 4, t, pictures=False)
            for row in rows:
                row["tokens_prose"] = row["tokens"] // 2
            (root / arm / "eval").mkdir(parents=True, exist_ok=True)
            write_parquet(root / arm / "eval" / f"{name}.parquet", rows)
        write_parquet(root / arm / "eval" / "pictures.parquet", pictures)
        steps = [{"step": 7, **row} for row in records(rng, 100, 10, 0.5, greedy=False)]
        write_parquet(root / arm / "completions" / "step_000007.parquet", steps)
    (root / "sympy" / "completions" / "step_000008.parquet").write_bytes(b"half")
    return root


@pytest.fixture(scope="module")
def page(experiment):
    assert main([str(experiment)]) == 0
    return experiment / "view.html"


def test_what_the_page_holds(experiment, page, capsys):
    data = data_of(page)
    points = ("before", "after", "training")
    assert data["sets"] == [[arm, point] for arm in ("nsl", "sympy") for point in points] and len(data["set"]) == 10_000
    # The held-out problems of both arms are the same; the training ones have other pictures.
    assert len(data["problems"]["problem_id"]) == 400 + 2 * 100
    pictures = data["problems"]["picture"]
    assert sorted(set(pictures)) == list(range(600)) and page.read_text().count("data:image/png;base64,") == 600
    columns = {c["name"]: c for c in data["columns"]}
    assert columns["tokens_prose"]["kind"] == "number" and columns["correct"]["kind"] == "flag"
    assert set(columns["step"]["values"]) == {0, 7, None} and set(columns["rewards/short"]["values"] or [None]) == {
        None
    }
    assert "image_png" not in columns and "question" not in columns
    assert any("step_000008" in note for note in data["notes"])  # a file of a run that was killed is named
    main([str(experiment / "nsl"), "-o", str(page.with_name("one.html"))])
    assert "5000 completions of 500 problems, 500 pictures" in capsys.readouterr().out


def test_the_same_words_with_another_picture_are_another_problem(tmp_path):
    """Two seeds: ids, words and answers alike, pictures not. A record without a picture joins the only one it fits."""
    rng = random.Random(0)
    rows = records(rng, 1, 1, 0.0, greedy=False)[0]
    one, other, none = ({**rows, "image_png": picture} for picture in (png(rng), png(rng), None))
    for name, row in (("a", one), ("b", other), ("c", none), ("d", one)):
        write_parquet(tmp_path / f"{name}.parquet", [row])
    read = lambda names: pack(collect([tmp_path / f"{name}.parquet" for name in names])[0])[0]["problem"]
    assert read("abd") == [0, 1, 0] and read("ac") == [0, 0] and read("abc") == [0, 1, 2]


def test_a_harvest_has_lists_of_options_and_of_pictures(tmp_path):
    rng = random.Random(0)
    row = {"problem_id": "1", "question": "?", "options": ["red", "blue"], "answer": "A", "completion": "A",
           "images": [{"bytes": png(rng), "path": None}]}  # fmt: skip
    write_parquet(tmp_path / "harvest.parquet", [row, row | {"problem_id": "2", "options": [], "images": []}])
    data, pictures = pack(collect([tmp_path])[0])
    assert data["problems"]["options"] == ["A. red\nB. blue", ""] and data["problems"]["picture"] == [0, -1]
    assert pictures == [row["images"][0]["bytes"]]
    assert not {"images", "image_png"} & {column["name"] for column in data["columns"]}


def test_the_seeds_of_an_arm_are_one_arm(tmp_path):
    rows = records(random.Random(0), 2, 2, 0.0, pictures=False)
    for run in ("nsl/seed-0", "nsl/seed-1", "sympy/seed-0"):
        (tmp_path / run / "eval").mkdir(parents=True)
        write_parquet(tmp_path / run / "eval" / "final.parquet", rows)
    data, _ = pack(collect([tmp_path])[0])
    assert data["sets"] == [["nsl", "after"], ["sympy", "after"]] and data["set"] == [0] * 12 + [1] * 6
    assert {c["name"]: c for c in data["columns"]}["seed"]["values"] == [0] * 6 + [1] * 6 + [0] * 6
    again = collect([tmp_path / "nsl" / "seed-0", tmp_path / "nsl" / "seed-1", tmp_path / "sympy" / "seed-0"])[0]
    assert [part.arm for part in again] == ["nsl/seed-0", "seed-1", "sympy/seed-0"]  # told apart where names meet


def test_long_runs_and_large_pictures_are_bounded_and_said(tmp_path, experiment):
    parts, _ = collect([experiment / "nsl"])
    training = [p for p in parts if p.training]
    steps = [replace(training[0], step=step) for step in range(9)]
    kept, notes = thinned([parts[0], *steps], 2000 + 5000)
    assert [p.step for p in kept] == [0, 0, 2, 4, 6, 8] and notes == ["4 of 9 training steps are left out"]
    large = io.BytesIO()
    Image.effect_noise((1500, 1000), 90).convert("RGB").save(large, "PNG")
    urls, said = shrunk([large.getvalue(), b"no picture", png(random.Random(0))], 200_000)
    assert sum(map(len, urls)) <= 200_000 and urls[1] == "" and "at most 512 pixels" in said[0]
    shown = Image.open(io.BytesIO(base64.b64decode(urls[0].partition(",")[2])))
    assert shown.size == (512, 341) and urls[0].startswith("data:image/jpeg") and urls[2].startswith("data:image/png")
    assert shrunk([large.getvalue()], 0) == ([""], ["pictures are at most 192 pixels wide and high, to fit 0 MiB",
                                                   "1 of 1 pictures found no room in 0 MiB"])  # fmt: skip
    told = write_view(parts, tmp_path / "a.html", "a", most=1)
    assert told.records == 2000 + 2000 + 1000  # evaluations always stay, and a single step


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "required: PATH"),
        (["nowhere"], "'nowhere' must be a run folder, a folder of runs or a parquet file; there is none"),
        (["."], "'.' must be a run folder, a folder of runs or a parquet file; it holds no completions"),
        (["text.parquet"], "'text.parquet' must be a parquet file of completions; "),
        (["other.parquet"], "'other.parquet' must be a parquet file of completions; it has no column completion"),
        (["empty.parquet"], "no completions in 'empty.parquet': every table in it is empty"),
        (["other.parquet", "-o", "page.txt"], "-o must be a file that ends in .html or .htm; got 'page.txt'"),
        (
            ["other.parquet", "-o", "no/page.html"],
            "-o must be a file that can be written; 'no/page.html': No such file",
        ),
        (["other.parquet", "--most", "0"], "--most must be at least 1; got 0"),
    ],
)
def test_bad_input_is_one_sentence(words, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if words != ["."]:
        import pyarrow
        from pyarrow import parquet

        (tmp_path / "text.parquet").write_text("no parquet")
        write_parquet(tmp_path / "other.parquet", [{"problem_id": "1", "question": "?"}])
        columns = pyarrow.schema([("problem_id", pyarrow.string()), ("completion", pyarrow.string())])
        parquet.write_table(columns.empty_table(), tmp_path / "empty.parquet")
    with pytest.raises(UserError, match=re.escape(expected)):
        main(words)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if chromium() is None:
        pytest.skip("no chromium to open the page with")
    try:
        browser = Browser(tmp_path_factory.mktemp("profile"))
    except OSError as error:
        pytest.skip(f"chromium does not start here: {error}")
    yield browser
    browser.close()


def test_ten_thousand_completions_load_and_filter_at_once(page, browser):
    """The bounds are the project's own; the best of three tries each way, for other tests share the machine."""
    browser.look(1400, 900)
    loads = []
    for _ in range(3):
        browser.open(page.as_uri(), READY)
        loads.append(float(browser.run(READY)))
    filters = browser.run(CLICKS)
    words = browser.run(CLICKS.replace('document.querySelectorAll(".value input")', "[1]")
                        .replace("box.click()", "(search.value = 'mean m' + i, search.dispatchEvent(new "
                            "Event('input')))"))  # fmt: skip
    print(f"load {min(loads):.0f} ms, filter {max(filters):.0f} ms at most, search {words[0]:.0f} ms")
    assert min(loads) < 3000 and len(filters) > 20 and max(filters) < 100 and words[0] < 100
    assert browser.run("document.querySelectorAll('*').length") < 1500  # the list is virtual
    assert browser.problems == []


def test_filters_keys_and_the_address(page, browser):
    browser.open(page.as_uri(), READY)
    text = lambda selector: browser.run(f"document.querySelector({selector!r})?.textContent ?? ''")
    box = lambda name: f"[...document.querySelectorAll('.value')].find((v) => v.textContent.startsWith({name!r}))"
    assert text("#count") == "10,000 completions, 600 problems" and text("#detail h2") == "All completions"
    browser.run(f"{box('nsl')}.querySelector('input').click()")
    browser.run(f"{box('greedy')}.querySelector('input').click()")
    assert text("#count") == "800 of 10,000 completions, 400 problems"
    assert browser.run("location.hash") == "#arm=nsl&kind=greedy"
    assert browser.run(f"{box('after')}.querySelector('output').textContent") == "400"
    browser.press("j")
    browser.press("j")
    browser.press("k")
    assert browser.run("location.hash").endswith("record=0") and "greedy" in text("#detail .top")
    assert browser.run("document.querySelector('.row[aria-selected=true]').id") == "row-0"
    # The same problem at every point of both arms, five tries at each.
    assert browser.run("document.querySelectorAll('.arm').length") == 4
    assert browser.run("document.querySelectorAll('.arm .try').length") == 20
    assert (
        "tokens prose" in text("dl.numbers") and browser.run("document.querySelector('#detail img').naturalWidth") == 96
    )
    # A link leads to the same view, sorted and searched.
    browser.open(page.as_uri() + "#arm=sympy&point=after&q=tokens>30 -nsl&sort=-tokens", READY)
    assert browser.run("[shown = count.textContent, search.value, document.getElementById('sort').value]")[1:] == [
        "tokens>30 -nsl",
        "-tokens",
    ]
    at = browser.run("[...document.querySelectorAll('.row .meta > :last-child')].map((n) => parseInt(n.textContent))")
    assert at == sorted(at, reverse=True) and min(at) > 30
    browser.press("/")
    assert browser.run("document.activeElement.id") == "search"
    browser.press("Escape")  # a browser's own act would empty the search, which would go on filtering
    assert browser.run("[search.value, document.activeElement.id]") == ["tokens>30 -nsl", "list"]
    assert browser.problems == []


def test_one_run_against_another(experiment, page, browser):
    data = data_of(page)
    columns = {c["name"]: c["values"] for c in data["columns"] if "values" in c}
    after = {arm: data["sets"].index([arm, "after"]) for arm in ("nsl", "sympy")}
    right = {arm: {p: c for p, s, n, c in zip(data["problem"], data["set"], columns["sample"], columns["correct"])
                   if s == after[arm] and n < 0} for arm in after}  # fmt: skip
    gained = [p for p, c in right["nsl"].items() if not c and right["sympy"][p]]
    browser.open(page.as_uri() + "#a=nsl/after&b=sympy/after&by=greedy", READY)
    counts = browser.run("[...document.querySelectorAll('.outcome b')].map((n) => Number(n.textContent))")
    assert counts[0] == len(gained) > 0 and sum(counts) == 400
    browser.run("document.querySelector('.outcome.gained').click()")
    assert browser.run("count.textContent") == f"{10 * len(gained)} of 10,000 completions, {len(gained)} problems"
    assert "outcome=gained" in browser.run("location.hash")
    browser.run("document.querySelector('.chip').click()")
    assert browser.run("count.textContent").startswith("10,000")
    assert browser.problems == []


def test_what_a_model_wrote_is_text(page, browser, tmp_path):
    rows = records(random.Random(0), 1, 2, 0.0, greedy=False)
    for row in rows:
        row |= {
            "completion": HOSTILE + "\ud800",
            "question": "</script><b>q</b>",
            "program": "",
            "category": "<i>c</i>",
        }
    rows[0] |= {"arm": "<u>arm</u>" + "-of-a-long-name" * 9, "rewards/<s>": 0.5, "messages": ["<em>m</em>"]}
    write_parquet(tmp_path / "<img>.parquet", rows)
    assert main([str(tmp_path / "<img>.parquet"), "-o", str(tmp_path / "page.html")]) == 0
    source = (tmp_path / "page.html").read_text()
    assert (
        source.count("<script") == 3
        and "alert(" not in source
        and "http" not in re.sub(r'id="(?:data|pictures)">[^<]*', "", source).replace("http-equiv", "")
    )
    browser.open((tmp_path / "page.html").as_uri() + "#record=0", READY)
    seen = browser.run("document.querySelector('.wrote').textContent")
    assert seen == "</script><script>alert(2)</script><img src=x onerror=alert(3)>⟨U+202E⟩reversed␀␛[31m\ufffd"
    assert (
        browser.run(
            "document.querySelectorAll('#detail :is(b b, i, u, em, s), #list :is(b, i), #facets :is(i, u)').length"
        )
        == 0
    )
    assert "<em>m</em>" in browser.run("document.querySelector('#detail').textContent")
    browser.look(1400, 900)
    browser.press("o")
    assert (
        browser.run("(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.querySelector('.scroll'))")
        == 0
    )
    assert browser.run("document.title") == "<img> · nsrl view" and browser.problems == []


def test_a_conversation_is_read_turn_by_turn(browser, tmp_path):
    """Who said what, the program of the last turn, where it looked; of a table with other words nothing breaks."""
    told = [
        {"by": "policy", "text": "see [24, 0, 72, 48]"},
        {"by": "shown", "text": "(picture of 32 × 32 pixels, zoom:1/2)"},
        {"by": "policy", "text": "[200, 1, 3, 4] and [1, 2, 3, 4]"},
        {"by": "shown", "text": "<b>nothing</b> there"},
        {"by": "policy", "text": ""},
        {"by": "shown", "text": ""},
        {"by": "policy", "text": "so <nsl>3+4</nsl>, 3+4"},
    ]
    rows = records(random.Random(0), 1, 3, 0.0, greedy=False)
    for row, turns in zip(rows, (json.dumps(told), "no JSON", json.dumps([{"by": None}, 3]))):
        row |= {"turns": turns, "program": "3+4", "completion": "see 3+4"}
    write_parquet(tmp_path / "talk.parquet", rows)
    assert main([str(tmp_path / "talk.parquet"), "-o", str(tmp_path / "page.html")]) == 0
    read = lambda query: browser.run(f"[...document.querySelectorAll('{query}')].map((e) => e.textContent)")
    browser.open((tmp_path / "page.html").as_uri() + "#record=0", READY)
    assert read(".wrote .turn") == ["see [24, 0, 72, 48]", told[2]["text"], "(nothing)", told[-1]["text"]]
    assert read(".wrote .shown") == ["(picture, 32 × 32 pixels)", "<b>nothing</b> there", "(nothing)"]
    assert read(".wrote mark") == ["3+4"] and read("#detail b b") == []
    at = "(({ style }) => [style.left, style.top, style.width, style.height])(document.querySelector('.look'))"
    assert browser.run(at) == ["25%", "0%", "50%", "50%"] and read(".look") == [""]
    for number, turns in ((1, []), (2, ["(nothing)", "(nothing)"])):
        browser.open((tmp_path / "page.html").as_uri() + f"#record={number}", READY)
        assert read(".wrote .turn") == turns and read(".look") == []
    assert browser.problems == []
