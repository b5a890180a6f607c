"""A game of two turns with a known best play: a number from 1 to 5 is guessed, one is told whether it is higher or
lower, and then says it.

Nothing tells the number but what is shown between the turns, so at best three of the five are known: 60%, by a guess
from 2 to 4. Without the second turn, or without listening, it is 20%.
"""

from nsrl.data.generator import Generator, Item
from nsrl.data.turns import Observation

MOST, BEST, BLIND = 5, 3 / 5, 1 / 5


def told(secret, text):
    """What is said to a guess; None where the text is none."""
    words = text.split()
    guess = int(words[-1]) if words and words[-1].isdigit() and len(words[-1]) < 9 else None
    if guess is None:
        return Observation("say a number")
    return Observation("higher" if secret > guess else "lower" if secret < guess else "yes")


def observe(problem, extracted, result, history):
    """The observer of the game."""
    return told(int(problem.answer), history[-1].text)


class Guess(Generator):
    """Games that differ by a number that says nothing. Demonstrations guess at random, and answer so too (wrong) or by
    what was said."""

    def draw(self, rng, level):
        return Item(f"Game {rng.randrange(10**6)}: say a number from 1 to {MOST}.", str(rng.randint(1, MOST)))

    def demonstrate(self, item, language, rng, wrong):
        return str(rng.randint(1, MOST)) if language == "direct" else None

    def converse(self, item, language, rng, wrong):
        guess = rng.randint(1, MOST)
        shown = told(int(item.answer), str(guess))
        left = {"higher": range(guess + 1, MOST + 1), "lower": range(1, guess), "yes": [guess]}[shown.text]
        return [(str(guess), shown), (str(rng.randint(1, MOST) if wrong else rng.choice(left)), None)]
