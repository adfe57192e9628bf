"""How much of a text is left in a rewording of it."""

from stillwatch.evaluation.paraphrase import words_of


def kept(text: str, variant: str) -> float:
    """The share of the words of a text that a variant still has, word for word and in order."""
    words, others = words_of(text), words_of(variant)
    row = [0] * (len(others) + 1)
    for word in words:  # longest common subsequence
        diagonal = 0
        for place, other in enumerate(others, 1):
            diagonal, row[place] = row[place], diagonal + 1 if word == other else max(row[place], row[place - 1])
    return row[-1] / len(words)
