"""The 12 problems of token_problems.json as nsl programs, with their token counts under Qwen's BPE.

No arithmetic is done in the head: every number is in the problem or a fact of the subject.
"""

# id: (program, result, tokens)
PROBLEMS = {
    "t01": ('count"ccccsss"c', "4", 5),
    "t03": ("10/2", "5", 4),
    "t05": ("2√((3+2)²-3²)", "8", 12),
    "t07": ("m+b=2;3m+b=8;5m+b", "14", 14),
    "t09": ("w(w+2)=48;w>0", "6", 11),
    "t11": ("range{70,80,20,60,50,30}", "60", 20),
    "t13": ("5choose2/(3+5+2)choose2", "2/9", 12),
    "t15": ("90km/h*20s→m", "500", 10),
    "t17": ("π2²/4-2²/2", "-2 + Pi", 10),
    "t19": ("2a+3p=13;4a+p=11;p", "3", 16),
    "t21": ("x=20;x-=3until x≤0", "-1", 11),
    "t23": ("(2+2)²+y²=5²;y>0;2y", "6", 17),
}

# id: tokens of the recorded SymPy program, as a model writes it, under the same BPE
SYMPY_TOKENS = {
    "t01": 33, "t03": 53, "t05": 48, "t07": 61, "t09": 48, "t11": 39,
    "t13": 53, "t15": 46, "t17": 57, "t19": 68, "t21": 30, "t23": 66,
}  # fmt: skip

# Further problems of the same kind, written from the page: (problem, program, result).
MORE = [
    ("Mean of 4, 8, 15, 16, 23, 42", "mean{4,8,15,16,23,42}", "18"),
    ("Median of 7, 3, 9, 5", "median{7,3,9,5}", "6"),
    ("Angles x, 2x and 3x of a triangle; the largest", "x+2x+3x=180;3x", "90"),
    ("Area of the triangle (0,0), (6,0), (2,5)", "area((0,0),(6,0),(2,5))", "15"),
    ("Hypotenuse for legs 5 and 12", "√(5²+12²)", "13"),
    ("Circle of circumference 10π: its area", "2πr=10π;πr²", "25*Pi"),
    ("Interior angle of a regular octagon", "(8-2)180/8", "135"),
    ("Sum 20, product 96: the larger number", "x+y=20;xy=96;x>y;x", "12"),
    ("Two dice: probability that the sum is 7", "len{1 for a in 1..6 for b in 1..6 if a+b=7}/36", "1/6"),
    ("15% of 80", "15% of 80", "12"),
    ("Trapezoid, parallel sides 6 and 10, height 4", "(6+10)/2*4", "32"),
    ("Cone of radius 3 and height 4: volume", "π3²*4/3", "12*Pi"),
    ("Distance from (1,2) to (4,6)", "dist((1,2),(4,6))", "5"),
    ("How many of 1..50 are divisible by 7", "len{n for n in 1..50 if n%7=0}", "7"),
    ("Which option is 2/3 of 48? A 24 B 32 C 36", "2/3*48?24,32,36", "B"),
    ("3 pens and 2 books cost 19, a book costs 3 more than a pen: a book", "3p+2b=19;b=p+3;b", "28/5"),
    ("Ladder 10, foot 6 from the wall: how high", "h²+6²=10²;h>0;h", "8"),
    ("sin C in a triangle with legs 3 and 4, opposite 3", "3/√(3²+4²)", "3/5"),
    ("Bars 12, 7, 9, 14: how much more than the mean is the largest", "b={12,7,9,14};max(b)-mean(b)", "7/2"),
    ("Line x+y=6 meets y=2x: the point", "x+y=6;y=2x;(x,y)", "{2, 4}"),
    ("A sector of 60° in radius 6: arc length", "60/360*2π*6", "2*Pi"),
    ("Colour seen most often: red, blue, red, green", "mode{red,blue,red,green}", "red"),
    ("Polygon with interior angle sum 900°: sides", "(n-2)180=900", "7"),
    ("log2(x) = 5", "log(2,x)=5;x", "32"),
    ("Cyclist 54 km/h in m/s", "54km/h→m/s", "15"),
    ("Quadratic 2x²-7x+3=0, whole root", "2x²-7x+3=0;x∈ℤ;x", "3"),
    ("x:y = 3:4, x+y = 35; y", "x/y=3/4;x+y=35;y", "20"),
    ("Rhombus of diagonals 6 and 8: perimeter", "4√((6/2)²+(8/2)²)", "20"),
]
