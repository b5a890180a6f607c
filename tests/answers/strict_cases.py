"""Typed cases of what is not the answer although it contains it: repeating decimals, scales, signs, bounds, both of
two."""

REPEATING = [
    *((p, "0.\\overline{3}", None, True, "exact") for p in ("1/3", "\\frac{1}{3}", "0.(3)", "0.33\\overline{3}")),
    *((p, "0.\\overline{3}", None, False, "exact") for p in ("0", "0.\\overline{4}", "0.3", "3")),
    ("\\boxed{3.\\overline{3}}", "3", None, False, "exact"),
    ("\\boxed{2.\\overline{4}}", "2.\\overline{3}", None, False, "exact"),
    ("0.1\\overline{6}", "1/6", None, True, "exact"),
    *(
        (f"\\boxed{{{p}}}", "3", None, False, "unreadable")
        for p in ("1 \\ldots 3", "1 \\ne 2 \\therefore 3", "1 \\oplus 3", "3 \\foo", "3 \\star", "1 \\iff 3")
    ),
]
SIGNS = [
    *(
        (p, "5", None, False, "exact")
        for p in ("minus 5", "negative 5", "The answer is minus 5.", "\\boxed{\\text{minus }5}", "minus five")
    ),
    *((p, "-5", None, True, "exact") for p in ("negative five", "minus five")),
    *((p, "-5", None, True, "same_text") for p in ("minus 5", "negative 5", "It is minus 5.")),
]
SCALES = [
    *((p, "3 million", None, True, "exact") for p in ("3000000", "three million", "3,000,000", "3 million people")),
    *((p, "3 million", None, False, "exact") for p in ("3", "3 thousand", "3 billion")),
    *((p, "12", None, False, "exact") for p in ("12 million", "12 hundred", "12 dozen")),
    ("3 million", "3,000,000", None, True, "exact"),
    ("\\$3 thousand", "\\$3 million", None, False, "exact"),
    ("\\$3,000,000", "\\$3 million", None, True, "exact"),
    ("3.52 million", "3.5 million", None, True, "decimal"),
    ("3 \\text{ million}", "3000000", None, True, "exact"),
]
STATED_OTHERWISE = (
    "not 12", "It isn't 12", "12 is incorrect", "I don't think it is 12", "neither 11 nor 12", "less than 12", ">12",
    "≥12", "12+", "no more than 12",
    "half of 12", "twice 12", "the square root of 12", "12 squared", "12 factorial", "1 less than 12", "10 to the 12",
    "11 or maybe 12", "12..15",
    "I think 12 but maybe 14", "The answer cannot be 12", "12 or more", "It is about 12 thousand in all", "not twelve",
)  # fmt: skip
STATED = (
    "It is not 11, it is 12.",
    "It is 12, not 11.",
    "The area is 12.",
    "There are twelve of them",
    "So there are 12 more birds.",
    "The answer is 12 m.",
)
BOTH = [
    *((p, "Yes", None, False, "text") for p in ("yes or no", "yes and no", "yes. no.")),
    ("no or yes", "No", None, False, "text"),
    ("\\boxed{no solution}", "No", None, False, "text"),
    *(
        (p, "Yes", None, True, "text")
        for p in ("Yes, no side is longer.", "Yes it is", "**Yes**", "The answer is yes.")
    ),
    ("No, there is no solution.", "No", None, True, "text"),
]
COLLECTED = [
    *((p, "2:3", None, False, "type") for p in ("x=2 or x=3", "{{x->2},{x->3}}", "{2,3}", "2 or 3", "[2,3]")),
    ("x=2, y=3", "\\{2,3\\}", None, False, "type"),
    ("x=2, y=3", "x = 2 or x = 3", None, False, "type"),
    ("{1,2,3} or {1,2}", "\\{1,2,3\\}", None, False, "size"),
    ("x=3 or x=2", "x = 2 or x = 3", None, True, "set"),
    *((p, g, None, False, "type") for p, g in (("x^2-4=0", "0"), ("x+y==5", "5"), ("1/30", "1:30"))),
    *((p, g, None, False, "relation") for p, g in (("xy=0", "x=0"), ("x=0", "xy=0"))),
    ("12345678901.4", "12345678901", None, False, "exact"),
    ("333333333333333.3", "\\frac{10^15}{3}", None, True, "machine"),
    *((p, "30^\\circ", None, False, "unit") for p in ("30'", '30"', "30′")),
    ('5"', "5 in", None, True, "exact"),
]
STRICT = [*COLLECTED, *REPEATING, *SIGNS, *SCALES, *BOTH]
