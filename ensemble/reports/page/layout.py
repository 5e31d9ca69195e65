"""The sections of a page, in the order in which a person asks: how good, of what, which images."""

from collections.abc import Iterator, Sequence
from typing import Final

from ensemble.records import TASKS
from ensemble.reports.page import weighed
from ensemble.reports.page.answers import Answer
from ensemble.reports.page.blocks import (
    Block,
    Cell,
    Fact,
    Gallery,
    Note,
    Page,
    Section,
    Shown,
    count_cell,
    interval_cell,
    score_cell,
    shown_name,
)
from ensemble.reports.page.bought import ms_cell, policy_blocks
from ensemble.reports.page.calibration import calibration_blocks
from ensemble.reports.page.certainty import certainty_blocks
from ensemble.reports.page.confusion import cell_blocks, confusion_blocks, confusion_of
from ensemble.reports.page.families import family_score_blocks
from ensemble.reports.page.looked import Looked
from ensemble.reports.page.made import cost_blocks, crop_blocks, quarantine_blocks, recipe_blocks
from ensemble.reports.page.scores import (
    all_lines,
    class_blocks,
    metric_words,
    score_blocks,
    spread_blocks,
)
from ensemble.reports.page.values import value_blocks
from ensemble.voting.weights import Weights

MOST: Final = 8
"""The most images of a cell; a list has half as many more."""

_UNFOUND: Final = 20


def page_of(looked: Looked, most: int = MOST) -> Page:
    """Return the page, its pictures not yet made: `with_pictures` puts them in.

    Args:
        looked: What is shown.
        most: The most images of a cell of the confusion matrix.
    """
    sections = [*_of_weights(looked), *_of_answers(looked, most), *_of_the_rest(looked, most)]
    return Page(
        title=looked.title,
        about=looked.what,
        facts=tuple(_first_facts(looked)),
        sections=tuple(section for section in sections if section.blocks or section.inner),
    )


def _first_facts(looked: Looked) -> Iterator[Fact]:
    """Yield the figures that stand at the top."""
    for answer in looked.answers[:1]:
        yield Fact("images predicted" if looked.record else "rows", count_cell(len(answer.ids)))
    if looked.record is not None or looked.quarantined:
        lost = len(looked.quarantined)
        yield Fact("without a prediction", count_cell(lost))
    for answer in looked.answers:
        for line, _ in all_lines(answer)[:1]:
            of = f", {shown_name(answer.name)}" if len(looked.answers) > 1 else ""
            below = interval_cell(line.interval).text
            yield Fact(f"{metric_words(line.metric)}{of}", score_cell(line.score),
                       f"95 % interval {below}" if line.interval else "")  # fmt: skip
    if looked.weights is not None and "verdict" in looked.weights.evidence:
        yield weighed.verdict_fact(looked.weights.evidence)
    if looked.policy is not None:
        yield Fact("ms an image", ms_cell(looked.policy.seconds))


def _of_weights(looked: Looked) -> Iterator[Section]:
    if looked.policy is not None:
        lead = "Which views and folds are worth their time, by out-of-fold predictions."
        yield Section("policy", "The policy", lead, tuple(policy_blocks(looked.policy)))
    weights = looked.weights
    if weights is None:
        return
    lead = "What the weights gain over the plain mean, on rows that they did not see."
    yield Section("verdict", "Verdict and gain", lead, tuple(weighed.verdict_blocks(weights)))
    yield Section("weights", "Weights of the families", _pooled(weights), (
        *weighed.family_blocks(weights),
        *weighed.task_blocks(weights.evidence),
        *weighed.candidate_blocks(weights.evidence),
    ))  # fmt: skip


def _pooled(weights: Weights) -> str:
    rule = ", and a decision rule of its own" if weights.ruled else ""
    return f"A {weights.pool} pool{rule}. Weights bind by name."


def _of_answers(looked: Looked, most: int) -> Iterator[Section]:
    """Yield the sections of the one answer; or one section an answer with these in it."""
    if len(looked.answers) == 1:
        yield from _sections(looked.answers[0], "", most)
        return
    for number, answer in enumerate(looked.answers):
        name = shown_name(answer.name)
        title = "The label that the tasks make" if answer.joint else f"Task: {name}"
        prefix = f"task{number}-"
        inner = tuple(_sections(answer, prefix, most))
        lead = f"{len(answer.classes)} classes." if TASKS[answer.task].bounded else ""
        yield Section(prefix.rstrip("-"), title, lead, (), inner)


def _sections(answer: Answer, prefix: str, most: int) -> Iterator[Section]:
    """Yield what is told of one answer, as far as it can be."""
    found = confusion_of(answer.card, answer.sure, prefix) if answer.card else None
    made = (
        ("scores", "Scores", "What it scores against the labels, joined by id.",
         [*score_blocks(answer), *class_blocks(answer)]),
        ("confusion", "Confusion", "Which classes are taken for which.",
         confusion_blocks(found) if found else []),
        ("calibration", "Calibration", "Whether a confidence can be believed.",
         _calibration(answer)),
        ("families", "Families", "Who took part, and how alike they err.",
         family_score_blocks(answer)),
        ("values", "Values", "How far predictions are from the truth.", _values(answer)),
        ("predicted", "What is predicted", "How labels are spread over classes.",
         [] if answer.card else spread_blocks(answer)),
        ("look", "Images to look at", "Looking is the check that no figure replaces.",
         certainty_blocks(answer, _listed(most))),
        ("cells", "Images of each cell", "What is taken for what, the surest first.",
         cell_blocks(found, most) if found else []),
    )  # fmt: skip
    for anchor, title, lead, blocks in made:
        if blocks:
            yield Section(f"{prefix}{anchor}", title, lead, tuple(blocks))


def _calibration(answer: Answer) -> list[Block]:
    compared = answer.sure
    return calibration_blocks(compared) if compared and TASKS[answer.task].bounded else []


def _values(answer: Answer) -> list[Block]:
    compared = answer.sure
    return value_blocks(compared) if compared and not TASKS[answer.task].bounded else []


def _of_the_rest(looked: Looked, most: int) -> Iterator[Section]:
    """Yield what is told of the run, and what the page has not."""
    record = looked.record
    if record is not None or looked.quarantined or looked.unfound:
        blocks = [*quarantine_blocks(looked.quarantined), *_unfound(looked.unfound)]
        lead = "Images that could not be read, and pictures that are not there any more."
        yield Section("quarantine", "Without a prediction", lead, tuple(blocks))
    if record is not None:
        lead = "Seconds and evaluations, as run.json has them."
        blocks = cost_blocks(record, looked.evaluations)
        yield Section("cost", "Cost and early exits", lead, tuple(blocks))
    boxes = [*crop_blocks(looked.rules), *_boxes(looked, most)]
    lead = "One box of each image was chosen; the least certain are worth a look."
    yield Section("crops", "Crops", lead, tuple(boxes))
    lacking = tuple(Note(text) for text in looked.lacking)
    yield Section("lacking", "What this page lacks", "And what would bring it.", lacking)
    if record is not None:
        lead = "Enough to make it again."
        yield Section("made", "How it was made", lead, tuple(recipe_blocks(record)))


def _listed(most: int) -> int:
    return most + most // 2


def _unfound(names: Sequence[str]) -> list[Block]:
    if not names:
        return []
    shown = ", ".join(shown_name(name) for name in names[:_UNFOUND])
    more = f" and {len(names) - _UNFOUND} more" if len(names) > _UNFOUND else ""
    return [Note(f"No image was found for {len(names)} predictions: {shown}{more}.", warns=True)]


def _boxes(looked: Looked, most: int) -> list[Block]:
    """Return the images of the least certain boxes."""
    told = [each for each in looked.boxes if each.score is not None]
    least = sorted(told, key=lambda each: each.score or 0.0)[: _listed(most)]
    if not least:
        return []
    images = tuple(
        Shown(each.id, (Cell(f"{each.score or 0:.2f} {each.box.rule}", repr(each.score)),))
        for each in least
    )
    return [Gallery("The least certain boxes", images, more=len(told) - len(least))]
