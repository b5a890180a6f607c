"""Golds of the procedural sources against independent solvers: the question's own words and the picture's pixels are
read, and nothing that the generator kept."""

import re
from collections import Counter, deque
from itertools import combinations, islice, pairwise, permutations, product
from math import log2
from random import Random

import numpy as np
import pytest
from PIL import Image

from nsrl.data.made import generator, opened, verified
from nsrl.data.sat import NAMES, assignment, difficulty
from nsrl.data.shapes import jigsaw, rotation, zoom
from nsrl.data.shapes.draw import CELL, COLOURS, KINDS, Cell, Grid
from nsrl.engines import EnginePool, extract

CELLS = {
    **{str(n): [Cell("number", n)] for n in range(1, 10)},
    **{kind: [Cell(kind, colour=colour) for colour in COLOURS] for kind in KINDS},
}
DRAWN = {Grid(((cell,),)).open().tobytes(): name for name, cells in CELLS.items() for cell in cells}
LOOKS = {Grid(((cell,),)).open().tobytes(): repr(cell) for cells in CELLS.values() for cell in cells}


def blocks(picture):
    """Its cells of 32 x 32 pixels, row by row."""
    columns, rows = picture.width // CELL, picture.height // CELL
    box = lambda x, y: (x * CELL, y * CELL, (x + 1) * CELL, (y + 1) * CELL)
    return [[picture.crop(box(x, y)) for x in range(columns)] for y in range(rows)]


def read(picture):
    """The names of what stands in its cells, by their pixels."""
    return [[DRAWN[cell.tobytes()] for cell in row] for row in blocks(picture)]


def problems(name, level, count, seed=21):
    return islice(opened(name, level, seed, held_out=0).train(), count)


# -- chains ------------------------------------------------------------------------------------------------------------


def follow(question, rows):
    """The sentences of a question, done one after the other on the rows of a picture."""
    value = None
    named = dict(zip(("top", "bottom"), rows))
    for sentence in re.findall(r"[^.?]+[.?]", question)[:-1]:
        if sentence.strip() in ("Double it.", "Square it."):
            value = value * 2 if "Double" in sentence else value**2
            continue
        if found := re.search(r"the number of (\w+)s\.", sentence):
            read = sum(cell == found[1] for row in rows for cell in row)
        else:
            kind, of = re.search(r"the (sum|largest|smallest) (?:of the )?(top|bottom) number", sentence).groups()
            numbers = sorted(int(cell) for cell in named[of])
            read = {"sum": sum(numbers), "largest": numbers[-1], "smallest": numbers[0]}[kind]
        verb = sentence.split()[0]
        value = {"Take": lambda v, r: r, "Add": lambda v, r: v + r, "Subtract": lambda v, r: v - r,
                 "Multiply": lambda v, r: v * r}[verb](value, read)  # fmt: skip
    return value


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_a_chain_is_followed_on_the_picture(level):
    depths = Counter()
    for problem in problems("chains", level, 150):
        rows = read(problem.images[0].open())
        assert len(rows) == 2 and follow(problem.question, rows) == int(problem.answer), problem
        sentences = problem.question.count(".")
        assert sentences == problem.columns["operations"]
        depths[sentences] += 1
        if sentences > 1:  # both rows are looked at
            used = [bool(re.search(word, problem.question)) for word in ("top", "bottom|number of")]
            assert all(used)
    assert depths.keys() == ({1, 2} if level == 1 else {level})


# -- zoom --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [1, 2, 3])
def test_from_afar_no_digit_can_be_told_and_a_crop_shows_it(level):
    names = {Grid(((Cell("number", n, colour),),)).open().tobytes(): n for n in range(1, 10)
             for colour in ("", *COLOURS)}  # fmt: skip
    for problem in problems("zoom", level, 25):
        seen = zoom.scene(problem.columns["scene"])
        others = tuple(tuple((10 - digit, colour) for digit, colour in row) for row in seen.rows)
        shown = problem.images[0].open()
        assert zoom.Scene(others).afar().tobytes() == shown.tobytes() and shown.size == (128, 128)
        total = 0
        for (y, x), box in zip(problem.columns["cells"], problem.columns["boxes"]):
            assert box == [16 * x, 16 * y, 16 * x + 16, 16 * y + 16]
            near = zoom.crop(problem, box)
            total += names[near.open().tobytes()]
            assert near.size == near.open().size == (32, 32)
        assert total == int(problem.answer)
        if level == 1:
            (y, x), = problem.columns["cells"]  # fmt: skip
            assert problem.question == f"What is the number in row {y + 1}, column {x + 1}?"
        else:  # the coloured blots are the cells, found by their pixels
            pixels = np.asarray(shown)
            for name in re.findall("|".join(COLOURS), problem.question):
                ys, xs = np.where((pixels == COLOURS[name]).all(axis=2))
                assert [ys[0] // 16, xs[0] // 16] in problem.columns["cells"] and len(ys) == 64


def test_crops_of_any_box():
    problem = next(problems("zoom", 2, 1))
    wide = zoom.crop(problem, (0, 0, 48, 48))
    assert wide.size == (96, 96) == wide.open().size
    far = zoom.crop(problem, (0, 0, 64, 48))  # more than 3 x 3 cells stay blots
    assert far.size == (64, 48) and far.open().tobytes() == problem.images[0].open().crop((0, 0, 64, 48)).tobytes()
    assert zoom.crop(problem, (-500, -500, 10_000, 10_000)).open().tobytes() == problem.images[0].open().tobytes()
    for box in ((128, 0, 160, 16), (-40, 0, -20, 16), (32, 32, 16, 48), (5, 5, 5, 5)):
        found = zoom.crop(problem, box)
        assert found is None or found.size == (32, 32)
    assert zoom.crop(problem, (128, 0, 160, 16)) is None and zoom.crop(problem, (32, 32, 16, 48)) is None
    assert zoom.crop(problem, (3, 3, 4, 4)).size == (32, 32)  # the cell that it touches


def test_crops_read_out_are_what_is_read():
    for one in islice(opened("zoom", 1, 3, held_out=0).readings(), 20):
        assert re.findall(r"(?<![a-z])\d", one.text.replace("*x", "")) == read(one.problem.images[0].open())[0]


# -- sat ---------------------------------------------------------------------------------------------------------------


def clauses_of(question):
    found = re.findall(r"\(([^)]*)\)", question)
    return [[(literal.split()[-1], not literal.startswith("not ")) for literal in c.split(" or ")] for c in found]


def right(clauses, values):
    return all(any(values[name] is plain for name, plain in clause) for clause in clauses)


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_every_assignment_is_judged_by_brute_force(level):
    """Every one of up to 2^8 assignments, in three ways of writing it; the difficulty by its formula."""
    for problem in problems("sat", level, 6):
        clauses = clauses_of(problem.question)
        names = sorted({name for clause in clauses for name, _ in clause})
        assert names == list(NAMES[: problem.columns["variables"]]) and len(clauses) == len(problem.columns["clauses"])
        n, k, count = len(clauses[0]), len(names), len(clauses)
        d = log2(k) + 2 * log2(count) - n + k / n
        assert abs(problem.columns["difficulty"] - d) < 1e-3 and 2 * level + 1 <= d < 2 * level + 3
        solved = 0
        for values in product((False, True), repeat=k):
            holds = right(clauses, dict(zip(names, values)))
            solved += holds
            bits = ", ".join(str(int(value)) for value in values)
            by_name = ", ".join(f"{name} = {value}" for name, value in reversed(list(zip(names, values))))
            for text in (bits, f"so the answer is {bits}", f"I take {by_name}."):
                assert verified(problem, text, extract(text), None).correct is holds
        assert solved and verified(problem, problem.answer, extract(problem.answer), None).correct


def test_what_is_no_assignment_is_wrong_and_never_raises():
    problem = next(problems("sat", 1, 1))
    rng = Random(0)
    for text in ("", "1", "True " * 50_000, "a = b = c", "<wolfram>1/0</wolfram>", "\\boxed{}", "1, 2, 3, maybe",
                 *("".join(rng.choices("abcd=:01,TrueFalse {}\n", k=40)) for _ in range(200))):  # fmt: skip
        assert verified(problem, text, extract(text), None).correct in (True, False)
    assert verified(problem, "<wolfram>1/0</wolfram>", extract("<wolfram>1/0</wolfram>"), None).correct is False
    assert assignment("{{True, False, True}}", 3) == (True, False, True)
    assert assignment("{c: True, a: False, b: True}", 3) == (False, True, True)
    assert assignment("1, 0", 3) is None


def test_the_engine_says_that_they_can_be_satisfied():
    with EnginePool(1) as pool:
        for level in (1, 2, 3, 4):
            for problem in problems("sat", level, 4):
                joined = re.findall(r"\([^)]*\)", problem.question)
                text = " && ".join(joined).replace("not ", "!").replace(" or ", " || ")
                assert pool.submit("wolfram", f"SatisfiableQ[{text}]").result().text == "True"


def failure(formula, seed):
    """A fixed solver: from a random assignment three flips of a variable of a broken clause (WalkSAT)."""
    rng = Random(seed)
    values = [rng.random() < 0.5 for _ in range(formula.variables)]
    for _ in range(3):
        broken = [c for c in formula.clauses if not any(values[at] is plain for at, plain in c)]
        if not broken:
            return False
        at, _ = rng.choice(rng.choice(broken))
        values[at] = not values[at]
    return not formula.holds(tuple(values))


def test_a_fixed_solver_fails_more_often_the_higher_the_level_and_the_difficulty():
    items = [(level, generator("sat").draw(Random(f"d/{level}/{i}"), level)) for level in range(1, 5)
             for i in range(200)]  # fmt: skip
    failed = [(level, item.columns["difficulty"], failure(item.values, i)) for i, (level, item) in enumerate(items)]
    by_level = [np.mean([f for own, _, f in failed if own == level]) for level in range(1, 5)]
    by_d = [np.mean([f for _, d, f in failed if low <= d < low + 2]) for low in (3, 5, 7, 9)]
    for rates in (by_level, by_d):
        assert all(later > earlier + 0.02 for earlier, later in pairwise(rates)), rates
    assert difficulty(3, 5, 20) == pytest.approx(9.6325, abs=1e-4)  # by hand: 2.3219 + 8.6439 - 3 + 1.6667


# -- graphs ------------------------------------------------------------------------------------------------------------


def graph_of(question):
    nodes = re.search(r"the nodes ([a-z, ]+) and", question)[1].split(", ")
    return nodes, [(u, v, int(w or 1)) for u, v, w in re.findall(r"\b([a-z])-([a-z])(?: (\d+))?", question)]


def parts(nodes, edges):
    left, found = set(nodes), 0
    while left:
        ahead = deque([left.pop()])
        found += 1
        while ahead:
            node = ahead.popleft()
            near = {v if u == node else u for u, v, _ in edges if node in (u, v)} & left
            left -= near
            ahead.extend(near)
    return found


def shortest(nodes, edges, start, end):
    """Floyd and Warshall."""
    far = {(u, v): 0 if u == v else 10**6 for u in nodes for v in nodes}
    for u, v, w in edges:
        far[u, v] = far[v, u] = min(far[u, v], w)
    for k, i, j in product(nodes, repeat=3):
        far[i, j] = min(far[i, j], far[i, k] + far[k, j])
    return far[start, end]


@pytest.mark.parametrize("level", [1, 2, 3])
def test_graphs_are_solved_from_their_question(level):
    with EnginePool(1) as pool:
        for at, problem in enumerate(problems("graphs", level, 120)):
            nodes, edges = graph_of(problem.question)
            asked = re.search(r"from ([a-z]) to ([a-z])\?", problem.question)
            if problem.category == "degree":
                node = re.search(r"edges does ([a-z]) have", problem.question)[1]
                gold = Counter(end for u, v, _ in edges for end in (u, v))[node]
            elif problem.category == "parts":
                gold = parts(nodes, edges)
            else:
                gold = shortest(nodes, edges, *asked.groups())
            assert str(gold) == problem.answer, problem
            if asked and at < 20:
                joined = ", ".join(f"{u} <-> {v}" for u, v, _ in edges)
                weights = ", ".join(str(w) for *_, w in edges)
                graph = f"Graph[{{{joined}}}, EdgeWeight -> {{{weights}}}]"
                path = pool.submit("wolfram", f"FindShortestPath[{graph}, {asked[1]}, {asked[2]}]").result().text
                way = re.findall("[a-z]", path)
                length = {frozenset((u, v)): w for u, v, w in edges}
                assert sum(length[frozenset(step)] for step in pairwise(way)) == gold


# -- jigsaw, rotation, spot --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures():
    """All pictures that can be cut, by the number of pieces each way."""
    cells = [Cell("number", n, shift=(dx, dy)) for n in range(1, 10) for dx in range(-2, 3) for dy in range(-2, 3)]
    cells += [Cell(kind, colour=colour, shift=(dx, dy)) for kind in KINDS for colour in COLOURS
              for dx in range(-2, 3) for dy in range(-2, 3)]  # fmt: skip
    return {side: {jigsaw.whole(cell, side).tobytes() for cell in cells} for side in (2, 3)}


def together(pieces, order, side):
    whole = Image.new("RGB", (CELL * side, CELL * side))
    for place, piece in enumerate(order):
        whole.paste(pieces[piece], (place % side * CELL, place // side * CELL))
    return whole.tobytes()


def test_only_the_gold_puts_a_jigsaw_together(pictures):
    """2 x 2: all 24 orders; 3 x 3: the gold, and every exchange of two pieces."""
    for level, count in ((1, 25), (2, 15)):
        side = level + 1
        for problem in problems("jigsaw", level, count):
            cut = [piece for row in blocks(problem.images[0].open()) for piece in row]
            gold = tuple(int(digit) - 1 for digit in problem.answer)
            if level == 1:
                orders = list(permutations(range(4)))
            else:
                swapped = [list(gold) for _ in combinations(range(9), 2)]
                for order, (a, b) in zip(swapped, combinations(range(9), 2)):
                    order[a], order[b] = order[b], order[a]
                orders = [gold, *map(tuple, swapped)]
            assert [order for order in orders if together(cut, order, side) in pictures[side]] == [gold]


def test_only_the_gold_turns_a_picture_upright():
    upright = {Grid(((cell,),)).open().tobytes() for cell in (
        *(Cell("number", n) for n in rotation.UPRIGHT),
        *(Cell(kind, colour=colour) for kind in KINDS for colour in COLOURS),
    )}  # fmt: skip
    for level, shape in ((1, {(2, 2)}), (2, {(3, 2), (2, 3)}), (3, {(3, 3)})):
        answers = Counter()
        for problem in problems("rotation", level, 40):
            shown = problem.images[0].open()
            assert (shown.width // CELL, shown.height // CELL) in shape
            back = {0: shown, 90: shown.transpose(Image.Transpose.ROTATE_90),
                    180: shown.transpose(Image.Transpose.ROTATE_180),
                    270: shown.transpose(Image.Transpose.ROTATE_270)}  # fmt: skip
            fits = [angle for angle, one in back.items()
                    if all(cell.tobytes() in upright for row in blocks(one) for cell in row)]  # fmt: skip
            assert fits == [int(problem.answer)]
            answers[problem.answer] += 1
        assert len(answers) == 4


@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_pictures_differ_where_the_gold_says(level):
    for problem in problems("spot", level, 60):
        one, other = (image.open() for image in problem.images)
        first, second = ([LOOKS[cell.tobytes()] for row in blocks(p) for cell in row] for p in (one, other))
        found = [at + 1 for at, (a, b) in enumerate(zip(first, second)) if a != b]
        assert problem.answer == (str(len(found)) if level == 3 else str(found[0])) and len(found) == (
            len(found) if level == 3 else 1
        )
