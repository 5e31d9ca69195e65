"""What tests of pages share: answers of few rows, and a page read as a browser would."""

from collections.abc import Sequence
from html.parser import HTMLParser

import numpy as np
from numpy.typing import NDArray

from ensemble.evaluation.metrics import confusion
from ensemble.files.text_table import TextTable
from ensemble.predictions.table import Predictions
from ensemble.reports.by_class import scores_of_counts
from ensemble.reports.page.answers import Answer
from ensemble.reports.page.blocks import Block, Gallery, Group, Table
from ensemble.reports.scorecard import Compared, Labels, Scorecard, score_classes

CLASSES = ("ant", "bee", "cat")


def given(rows: int, seed: int = 0, classes: int = 3) -> NDArray[np.float64]:
    """Return probabilities, float64 (N, C)."""
    return np.random.default_rng(seed).dirichlet(np.ones(classes), rows)


def labels_of(truth: Sequence[str]) -> Labels:
    """Return the labels of rows r0, r1, …"""
    rows = tuple((f"r{n}", name) for n, name in enumerate(truth))
    return Labels(TextTable("labels", ("id", "label"), rows))


def card_of(truth: Sequence[str], probs: NDArray[np.float64], **more: object) -> Scorecard:
    """Score probabilities of `CLASSES`."""
    ids = tuple(f"r{n}" for n in range(len(probs)))
    found = Predictions(ids, CLASSES, {"all": probs})
    return score_classes(found, labels_of(truth), labels_only=bool(more.get("labels_only")))


def unscored_card(truth: Sequence[int], probs: NDArray[np.float64]) -> Scorecard:
    """Compare probabilities of many classes, called by their numbers, and score no metric."""
    rows, columns = probs.shape
    y, names = np.asarray(truth, np.int64), tuple(map(str, range(columns)))
    counts = confusion(y, probs.argmax(1), columns)
    ids = tuple(f"r{n}" for n in range(rows))
    compared = Compared(ids, names, y, probs, None, "classification", labels_only=False)
    by_class = scores_of_counts(counts, names)
    return Scorecard(rows, 0, names, (), counts, by_class, compared=compared)


def answer_of(probs: NDArray[np.float64], card: Scorecard | None = None, **more: object) -> Answer:
    """Return an answer of classes with these probabilities."""
    ids = tuple(f"r{n}" for n in range(len(probs)))
    labels = tuple(CLASSES[c] for c in probs.argmax(1))
    return Answer("label", "classification", ids, CLASSES, probs, labels, card=card, **more)  # type: ignore[arg-type]


def tables(blocks: Sequence[Block]) -> list[Table]:
    return [block for block in blocks if isinstance(block, Table)]


def galleries(blocks: Sequence[Block]) -> list[Gallery]:
    """Return all galleries, those of groups too."""
    found: list[Gallery] = []
    for block in blocks:
        found += block.galleries if isinstance(block, Group) else ()
        found += [block] if isinstance(block, Gallery) else []
    return found


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


class Read(HTMLParser):
    """A page read: its elements, the anchors there, links, exact numbers, pictures and text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.exact: list[str] = []
        self.sources: list[str] = []
        self.words: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        told = {name: value or "" for name, value in attrs}
        self.ids += [told["id"]] if "id" in told else []
        self.links += [told["href"]] if tag == "a" else []
        self.exact += told["value"].split() if tag == "data" else []
        self.sources += [told["src"]] if tag == "img" else []

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)

    @property
    def numbers(self) -> set[float]:
        """The exact numbers that the page shows."""
        return set(map(float, self.exact))
