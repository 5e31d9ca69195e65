"""Which images to look at: the least certain, the most disputed, the most wrongly certain."""

from typing import Final

import numpy as np

from ensemble.arrays import Pooled, Vector
from ensemble.evaluation.metrics import Truth
from ensemble.records import TASKS
from ensemble.reports.page.answers import (
    Answer,
    confidence_of,
    dispute_of,
    first_rows,
    label_doubt,
)
from ensemble.reports.page.blocks import Block, Cell, Gallery, Note, Shown, shown_name
from ensemble.reports.scorecard import Compared

_SHORT: Final = 24

_DISPUTED: Final = (
    "By the Jensen-Shannon divergence of the families in bits: 0 where all say the same."
)


def certainty_blocks(answer: Answer, most: int) -> list[Block]:
    """Return galleries of at most so many images each, and notes of those that cannot be told."""
    return [*_uncertain(answer, most), *_disputed(answer, most), *_wrong(answer, most)]


def _uncertain(answer: Answer, most: int) -> list[Block]:
    rules, probs = TASKS[answer.task], answer.probs
    if not rules.bounded:
        return []
    if not probs.shape[1] or np.isin(probs, (0, 1)).all():
        return [Note("There are labels and no probabilities, so nothing tells how sure they are.")]
    doubt = label_doubt(probs) if rules.several else -confidence_of(probs)
    title = "Least certain: a label nearest to 0.5" if rules.several else "Least certain"
    rows = first_rows(doubt, most).tolist()
    told = _doubtful if rules.several else _first_two
    images = tuple(Shown(answer.ids[row], told(answer, row)) for row in rows)
    return [Gallery(title, images, more=len(answer.ids) - len(images))]


def _disputed(answer: Answer, most: int) -> list[Block]:
    if len(answer.families) < 2:
        return []
    away = dispute_of(answer.families, answer.task)
    rows = [row for row in first_rows(away, most).tolist() if away[row] > 0]
    if not rows:
        return [Note("The families agree about every image.")]
    images = tuple(Shown(answer.ids[row], _of_families(answer, row)) for row in rows)
    more, text = int((away > 0).sum()) - len(rows), _DISPUTED
    if not TASKS[answer.task].bounded:
        text = "By the standard deviation of what the families say."
    return [Gallery("Most disputed between families", images, more=more, text=text)]


def _wrong(answer: Answer, most: int) -> list[Block]:
    compared = answer.sure
    if compared is None:
        return []
    rules = TASKS[answer.task]
    if not rules.bounded:
        title, measure = "Farthest from the truth", np.abs(compared.given - compared.truth).mean(1)
    elif rules.several:
        title, measure = "Most wrongly certain of a label", wrong_labels(compared)
    else:
        title, measure = "Most wrongly certain", wrong_classes(compared.given, compared.truth)
    rows = [row for row in first_rows(measure, most).tolist() if measure[row] > 0]
    if not rows:
        return [Note("Nothing is wrong.")]
    images = tuple(Shown(compared.ids[row], _against(compared, row)) for row in rows)
    return [Gallery(title, images, more=int((measure > 0).sum()) - len(rows))]


def wrong_classes(given: Pooled, truth: Truth) -> Vector:
    """Return how sure each wrong row is, (N,), and 0 of what is right."""
    return np.asarray(np.where(given.argmax(1) == truth, 0.0, given.max(1)), np.float64)


def wrong_labels(compared: Compared) -> Vector:
    """Return how far off the worst wrong label of each row is, (N,); 0 where none is wrong."""
    away = np.abs(compared.given - compared.truth)
    wrong = (compared.given >= 0.5) != (np.asarray(compared.truth) == 1)
    return np.asarray(np.where(wrong, away, 0.0).max(1), np.float64)


def _first_two(answer: Answer, row: int) -> tuple[Cell, ...]:
    order = np.argsort(-answer.probs[row], kind="stable")[:2].tolist()
    return tuple(_said(answer.classes[c], float(answer.probs[row, c])) for c in order)


def _doubtful(answer: Answer, row: int) -> tuple[Cell, ...]:
    column = int(np.abs(answer.probs[row] - 0.5).argmin())
    return (_said(answer.classes[column], float(answer.probs[row, column])),)


def _of_families(answer: Answer, row: int) -> tuple[Cell, ...]:
    """Return what each family says first, of values the first target."""
    values = not TASKS[answer.task].bounded
    found = []
    for name, probs in answer.families.items():
        column = 0 if values else int(probs[row].argmax())
        said = "" if values else f" {shown_name(answer.classes[column], _SHORT)}"
        number = float(probs[row, column])
        text = f"{shown_name(name, _SHORT)}:{said} {_number(number)}"
        found.append(Cell(text, repr(number)))
    return tuple(found)


def _against(compared: Compared, row: int) -> tuple[Cell, ...]:
    """Return what is said of a row, and what is true."""
    given, truth = compared.given[row], compared.truth[row]
    rules = TASKS[compared.task]
    if rules.single:
        said, true = int(given.argmax()), int(truth)
    else:
        wrong = np.abs(given - truth)
        if rules.several:
            wrong = np.where((given >= 0.5) != (truth == 1), wrong, 0.0)
        said = true = int(wrong.argmax())
    first = _said(compared.classes[said], float(given[said]))
    if rules.single:
        second = _said(compared.classes[true], float(given[true]), "is ")
    else:
        second = Cell(f"is {_number(float(truth[true]))}", repr(float(truth[true])), tone="right")
    return Cell(first.text, first.exact, tone="wrong"), second


def _said(name: str, number: float, before: str = "") -> Cell:
    tone = "right" if before else ""
    text = f"{before}{shown_name(name, _SHORT)} {_number(number)}"
    return Cell(text, repr(number), tone="right" if tone else "")


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.5g}"
