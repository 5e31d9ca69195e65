"""Images to look at: the least certain, the most disputed, the most wrongly certain."""

from dataclasses import replace

import numpy as np
from pages import CLASSES, answer_of, card_of, galleries, given

from ensemble.reports.page.blocks import Note
from ensemble.reports.page.certainty import certainty_blocks, wrong_classes, wrong_labels
from ensemble.reports.scorecard import Compared

PROBS = given(40)
TRUTH = [CLASSES[n % 3] for n in range(40)]


def test_the_least_certain_come_first_with_their_two_likeliest_classes() -> None:
    (gallery,) = galleries(certainty_blocks(answer_of(PROBS), 5))
    order = np.argsort(PROBS.max(1), kind="stable")[:5]
    assert [image.id for image in gallery.images] == [f"r{n}" for n in order]
    first = sorted(PROBS[order[0]].tolist(), reverse=True)[:2]
    assert [float(line.exact) for line in gallery.images[0].lines] == first
    assert gallery.more == 35


def test_the_most_wrongly_certain_are_wrong_and_the_surest_first() -> None:
    card = card_of(TRUTH, PROBS)
    gallery = galleries(certainty_blocks(answer_of(PROBS, card), 40))[-1]
    wrong = [n for n in range(40) if CLASSES[PROBS[n].argmax()] != TRUTH[n]]
    assert {image.id for image in gallery.images} == {f"r{n}" for n in wrong}
    sure = [float(image.lines[0].exact) for image in gallery.images]
    assert sure == sorted(sure, reverse=True)
    assert all(image.lines[1].text.startswith("is ") for image in gallery.images)


def test_families_dispute_by_name() -> None:
    families = {"one": PROBS, "two": given(40, 9)}
    gallery = galleries(certainty_blocks(answer_of(PROBS, families=families), 3))[-1]
    assert gallery.title == "Most disputed between families"
    assert [line.text.split(":")[0] for line in gallery.images[0].lines] == ["one", "two"]


def test_labels_alone_tell_of_no_certainty() -> None:
    blocks = certainty_blocks(answer_of(np.eye(3)[:2]), 3)
    assert [type(block) for block in blocks] == [Note]


def test_what_is_right_is_not_wrongly_certain() -> None:
    assert wrong_classes(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0])).tolist() == [0, 0.8]
    given_labels = np.array([[0.9, 0.4], [0.6, 0.1]])
    own = Compared(("a", "b"), ("x", "y"), np.array([[1, 0], [0, 0]]), given_labels, None,
                   "multilabel", labels_only=False)  # fmt: skip
    assert wrong_labels(own).tolist() == [0, 0.6]


def test_values_are_told_by_how_far_they_are_from_the_truth() -> None:
    values = np.array([[1.0], [5.0]])
    own = Compared(("r0", "r1"), ("age",), np.array([[1.0], [2.0]]), values, None, "regression",
                   labels_only=False)  # fmt: skip
    card = replace(card_of(["ant"] * 40, PROBS), compared=own)
    answer = replace(answer_of(PROBS[:2]), task="regression", classes=("age",), probs=values,
                     labels=(), card=card)  # fmt: skip
    (gallery,) = galleries(certainty_blocks(answer, 5))
    assert [image.id for image in gallery.images] == ["r1"]
    assert [float(line.exact) for line in gallery.images[0].lines] == [5.0, 2.0]
