"""Chapter 16: wrong answers that people give, each with what happened, and the quiz."""

MISTAKES = {f"16.{i}": () for i in range(1, 7)}
QUIZ = ()
