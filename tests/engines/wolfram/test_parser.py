"""The parser: precedence, spans, and what it refuses."""

import pytest

from nsrl.engines.wolfram import evaluate
from nsrl.engines.wolfram.errors import WolframSyntaxError
from nsrl.engines.wolfram.parser import parse
from nsrl.engines.wolfram.printer import full

TREES = {
    "a+b*c^-d": "Plus[a, Times[b, Power[c, Times[-1, d]]]]",
    "f@x": "f[x]",
    "f@g@x": "f[g[x]]",
    "x//f": "f[x]",
    "a~Mod~3": "Mod[a, 3]",
    "-a^-b": "Times[-1, Power[a, Times[-1, b]]]",
    "y_:2": "Optional[Pattern[y, Blank[]], 2]",
    "a&&!b==c": "And[a, Not[Equal[b, c]]]",
    "#^2&/@l": "Map[Function[Power[Slot[1], 2]], l]",
    "l[[1;;3,2]]": "Part[l, Span[1, 3], 2]",
    "x_?EvenQ": "PatternTest[Pattern[x, Blank[]], EvenQ]",
    "f'[x]": "Derivative[1][f][x]",
    "a<b<=c": "Inequality[a, Less, b, LessEqual, c]",
    "a==b==c": "Equal[a, b, c]",
    "2x(3+y)": "Times[2, x, Plus[3, y]]",
    "{a,}": "List[a, Null]",
    "a;b;": "CompoundExpression[a, b, Null]",
    "x_.": "Optional[Pattern[x, Blank[]]]",
    "x_..": "Repeated[Pattern[x, Blank[]]]",
    "x|->x+1": "Function[x, Plus[x, 1]]",
    "x/.a->b": "ReplaceAll[x, Rule[a, b]]",
    "a->b->c": "Rule[a, Rule[b, c]]",
    "f/:g[f]=2": "TagSet[f, g[f], 2]",
    "<|a->1|>": "Association[Rule[a, 1]]",
    "x:{_,_}": "Pattern[x, List[Blank[], Blank[]]]",
    "f@@@l": "MapApply[f, l]",
    "n!": "Factorial[n]",
    "!a": "Not[a]",
    "a:>b/;c": "RuleDelayed[a, Condition[b, c]]",
    "(a b) c": "Times[Times[a, b], c]",
    "16^^ff": "255",
    "1.5*^3": "1500.",
    "a (* note (* nested *) *) b": "Times[a, b]",
    "5°": "Times[5, Degree]",
    "2×π": "Times[2, Pi]",
    "\\[Alpha]+1": "Plus[α, 1]",
    "Module[{x=1},x]": "Module[List[Set[x, 1]], x]",
    'a<>"b\\"c"': 'StringJoin[a, "b\\"c"]',
}


@pytest.mark.parametrize("source", TREES)
def test_tree(source):
    (tree,) = parse(source)
    assert full(tree) == TREES[source]


def test_newline_ends_a_statement_at_top_level_only():
    assert len(parse("a = 1\nb = 2")) == 2
    assert len(parse("f[\n1,\n2\n]")) == 1


@pytest.mark.parametrize(
    ("source", "start"),
    [("1+", 2), ("f[1,2", 5), ("{1,2)", 4), ("a b ]", 4), ('"abc', 0), ("(* open", 0), ("a := ", 5)],
)
def test_errors_have_a_position(source, start):
    with pytest.raises(WolframSyntaxError) as err:
        parse(source)
    assert err.value.start == start


@pytest.mark.parametrize(
    "source", ["{" * 10_000, "(" * 5_000 + ")" * 5_000, "-" * 20_000 + "x", "!" * 9_999, "f[" * 4_000, "a^" * 5_000]
)
def test_deep_nesting_is_an_error_not_a_crash(source):
    assert evaluate(source).status.value in ("syntax", "timeout")


def test_long_flat_programs_parse():
    assert evaluate("+".join(["1"] * 20_000)).text == "20000"
    assert evaluate("x" + "/1" * 5_000).text == "x"


LENIENT = {
    "f := Module[{}, r_1 = 5;  // the radius\n r_1 * 2];": ("10", "// line comment removed"),
    "total = 3;  % all of them\ntotal - 1": ("2", "% line comment removed"),
    "|3 - 5|": ("2", "bars read as Abs"),
    "x = 4²;\nx": ("16", "Unicode operator read"),
    "Module[{\n a = 2;\n b = 3;\n a*b}]": ("6", "body moved out of the variable list"),
    "f := 1 + 2;\nThe answer is therefore, clearly: three!": ("3", "prose around the program dropped"),
}


@pytest.mark.parametrize("source", LENIENT)
def test_lenient_repairs_are_done_and_listed(source):
    text, repair = LENIENT[source]
    result = evaluate(source, lenient=True)
    assert result.text == text
    assert repair in result.repairs


def test_faithful_repairs_nothing():
    assert evaluate("|3 - 5|", lenient=False).status.value == "syntax"
    assert evaluate("|3 - 5|").text == "2"  # by default what is no program as written is repaired
    assert evaluate("Module[{a = 2; a}]").repairs == ()  # and what is one, is not
