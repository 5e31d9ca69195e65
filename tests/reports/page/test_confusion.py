"""The matrix is the scorecard's, and its cells lead to just the images that they count."""

import numpy as np
from pages import CLASSES, card_of, galleries, given, tables, unscored_card

from ensemble.reports.page.confusion import (
    PAIRS,
    PICTURES,
    cell_blocks,
    confusion_blocks,
    confusion_of,
)

ROWS = 90
PROBS = given(ROWS)
TRUTH = [CLASSES[n % 3] for n in range(ROWS)]


def test_a_cell_shows_its_count_and_leads_to_its_images() -> None:
    card = card_of(TRUTH, PROBS)
    found = confusion_of(card, card.compared, "x-")
    assert found is not None
    (table,) = tables(confusion_blocks(found))
    counts = [[int(cell.exact) for cell in row[1:-1]] for row in table.rows]
    assert counts == card.counts.astype(int).tolist()
    anchors = {gallery.anchor: gallery for gallery in galleries(cell_blocks(found, ROWS))}
    for t, row in enumerate(table.rows):
        for g, cell in enumerate(row[1:-1]):
            if not card.counts[t, g]:
                assert cell.href == ""
                continue
            gallery = anchors[cell.href.removeprefix("#")]
            shown = {image.id for image in gallery.images}
            there = {f"r{n}" for n in range(ROWS)
                     if TRUTH[n] == CLASSES[t] and PROBS[n].argmax() == g}  # fmt: skip
            assert shown <= there
            assert len(shown) + gallery.more == len(there)


def test_the_surest_images_of_a_cell_come_first() -> None:
    card = card_of(TRUTH, PROBS)
    found = confusion_of(card, card.compared, "")
    assert found is not None
    for gallery in galleries(cell_blocks(found, 4)):
        sure = [float(image.lines[0].exact) for image in gallery.images]
        assert sure == sorted(sure, reverse=True)
        assert len(sure) <= 4


def test_labels_without_probabilities_have_no_certainty() -> None:
    card = card_of(TRUTH, np.eye(3)[PROBS.argmax(1)], labels_only=True)
    found = confusion_of(card, None, "")
    assert found is not None
    assert {len(image.lines) for g in galleries(cell_blocks(found, 4)) for image in g.images} == {0}


def test_a_thousand_classes_are_a_list_of_the_most_confused_pairs() -> None:
    probs = given(5000, classes=1000)
    card = unscored_card([n % 1000 for n in range(5000)], probs)
    found = confusion_of(card, card.compared, "")
    assert found is not None
    (table,) = tables(confusion_blocks(found))
    assert len(table.rows) == PAIRS
    first = [(pair.truth, pair.predicted, pair.rows) for pair in card.confused[:PAIRS]]
    said = [(row[0].text, row[1].text, int(row[2].exact)) for row in table.rows]
    assert [rows for *_, rows in said] == [rows for *_, rows in first]
    anchors = {gallery.anchor for gallery in galleries(cell_blocks(found, 8))}
    assert {row[2].href.removeprefix("#") for row in table.rows} == anchors


def test_pictures_of_all_cells_together_are_bounded_and_every_cell_has_its_anchor() -> None:
    probs = given(20_000, classes=20)
    card = unscored_card([n % 20 for n in range(20_000)], probs)
    found = confusion_of(card, card.compared, "")
    assert found is not None
    made = galleries(cell_blocks(found, 50))
    assert len(made) == np.count_nonzero(card.counts)
    assert sum(len(gallery.images) for gallery in made) == PICTURES
