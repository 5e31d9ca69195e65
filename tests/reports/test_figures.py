"""Pictures are drawn of whatever there is to show, and show what they are given."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ensemble.errors import StoreError
from ensemble.reports import figures
from ensemble.reports.by_class import ClassScore
from ensemble.reports.figures import draw, draw_scores
from ensemble.reports.metric_scores import MetricScore
from ensemble.reports.scorecard import Scorecard
from ensemble.voting.weights import Pool, Weights


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("classes", [1, 10, 200])
def test_a_picture_is_drawn_of_few_and_of_many_classes(classes: int) -> None:
    counts = np.random.default_rng(0).integers(0, 3, (classes, classes)).astype(np.float64)
    names = tuple(f"{n} costs $1_{n}$" for n in range(classes))
    draw_scores(
        Scorecard(
            9,
            0,
            names,
            (MetricScore("accuracy", 0.9, (0.8, 1.0)), MetricScore("auc", 0.9, None)),
            counts,
        ),
        Path("x.png"),
    )
    assert Path("x.png").read_bytes().startswith(b"\x89PNG")


SEEN: Mapping[str, object] = {
    "singles": {"ant": 0.8, "bee": 0.7}, "uniform": 0.82, "apparent": 0.86, "apparent_gain": 0.04,
    "nested": 0.84, "gain": 0.02, "gain_ci95": [0.01, 0.03], "verdict": "gain",
}  # fmt: skip


def tuned(pool: Pool = "linear", metric: str = "accuracy", **seen: object) -> Weights:
    return Weights({"ant": 0.7, "bee": 0.3}, pool, metric=metric, evidence={**SEEN, **seen})


def card(counts: list[list[float]], *lines: MetricScore) -> Scorecard:
    names = tuple("abcdefgh"[: len(counts)])
    matrix = np.array(counts)
    return Scorecard(
        int(matrix.sum()), 0, names, lines or (MetricScore("accuracy", 0.5, None),), matrix
    )


def texts(figure: Figure) -> list[str]:
    """Every text of a figure: titles, labels, notes."""
    return [
        found.get_text() for found in figure.findobj(lambda artist: hasattr(artist, "get_text"))
    ]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were saved."""
    found: list[Figure] = []
    save = Figure.savefig

    def watched(self: Figure, *args: object, **how: object) -> None:
        save(self, *args, **how)
        found.append(self)

    monkeypatch.setattr(Figure, "savefig", watched)
    return found


def drawn(kept: list[Figure], weights: Weights) -> list[str]:
    draw(weights, Path("x.png"))
    return texts(kept[-1])


def test_without_folds_the_score_that_is_drawn_is_called_apparent(kept: list[Figure]) -> None:
    told = drawn(kept, tuned(nested=None, gain=None, gain_ci95=None, verdict="no evidence"))
    assert "tuned, apparent" in told
    assert "verdict: no evidence" in told
    assert "nested" not in told


def test_a_gain_without_an_interval_is_drawn_as_a_point(kept: list[Figure]) -> None:
    told = drawn(kept, tuned(gain_ci95=None, verdict="weak"))
    assert "chosen" in told
    assert not any("95 %" in text for text in told)


@pytest.mark.parametrize(("pool", "title"), [("linear", "weights"), ("log-linear", "exponents")])
def test_the_weights_are_called_what_they_are(pool: Pool, title: str, kept: list[Figure]) -> None:
    assert title in drawn(kept, tuned(pool))


@pytest.mark.parametrize(
    ("seen", "better"),
    [({}, "more"), ({"uniform": 0.5, "apparent": 0.4, "apparent_gain": 0.1}, "less")],
)
def test_the_title_tells_which_way_is_better(
    seen: dict[str, object], better: str, kept: list[Figure]
) -> None:
    assert f"out-of-fold accuracy, {better} is better" in drawn(kept, tuned(**seen))


def test_the_scores_of_families_are_written_to_four_digits(kept: list[Figure]) -> None:
    assert {"0.8000", "0.7000", "0.8200", "0.8400"} <= set(drawn(kept, tuned()))


def test_counts_and_errors_stand_in_the_picture_of_few_classes(kept: list[Figure]) -> None:
    draw_scores(card([[5, 2], [0, 7]]), Path("x.png"))
    told = texts(kept[-1])
    assert {"5", "2", "7", "a as b", "commonest errors"} <= set(told)
    assert "b as a" not in told


def test_no_errors_are_told_as_none(kept: list[Figure]) -> None:
    draw_scores(card([[5, 0], [0, 7]]), Path("x.png"))
    assert "no errors" in texts(kept[-1])


def test_the_commonest_errors_are_twelve_at_most(kept: list[Figure]) -> None:
    draw_scores(card((np.ones((5, 5)) + np.eye(5)).tolist()), Path("x.png"))
    pairs = {text for text in texts(kept[-1]) if " as " in text and len(text) == len("a as b")}
    assert len(pairs) == 12


def test_a_score_is_written_with_its_interval_where_it_has_one(kept: list[Figure]) -> None:
    lines = (MetricScore("accuracy", 0.9, (0.85, 0.95)), MetricScore("auc", 0.8, None))
    draw_scores(card([[1, 0], [0, 1]], *lines), Path("x.png"))
    assert {"0.9000  [0.8500, 0.9500]", "0.8000"} <= set(texts(kept[-1]))


@pytest.mark.parametrize(("length", "shown"), [(24, "n" * 24), (25, "n" * 23 + "…")])
def test_a_long_name_is_cut_to_24_letters(length: int, shown: str) -> None:
    assert figures._short("n" * length) == shown


def test_a_picture_that_cannot_be_written_leaves_the_one_that_was_there() -> None:
    Path("x.png").mkdir()
    with pytest.raises(StoreError, match=r"x\.png"):
        draw_scores(card([[1]]), Path("x.png"))
    assert [path.name for path in Path().iterdir()] == ["x.png"]


def test_a_class_without_rows_is_drawn_without_a_division_by_nothing() -> None:
    draw_scores(card([[3, 1], [0, 0]]), Path("x.png"))
    with Image.open("x.png") as picture:
        assert min(picture.size) > 300


@pytest.mark.parametrize(("interval", "whiskers"), [(None, 0), ([0.0, 0.03], 1)])
def test_a_whisker_is_drawn_only_where_there_is_an_interval(
    interval: list[float] | None, whiskers: int, kept: list[Figure]
) -> None:
    drawn(kept, tuned(gain=0.02, gain_ci95=interval))
    assert len(kept[-1].axes[2].collections) == whiskers


def test_the_legend_of_the_worst_classes_lies_below_their_bars(kept: list[Figure]) -> None:
    each = ClassScore("a", 0.5, 0.25, 1.0, 4)
    draw_scores(replace(card([[3, 1], [0, 2]]), by_class=(each,)), Path("x.png"))
    axes = kept[-1].axes[-1]
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent().y1 < axes.get_window_extent().y0
