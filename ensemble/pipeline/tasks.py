"""Tasks of a label map on their way to a vote: what is to be said of them, and recorded."""

from collections.abc import Iterable, Mapping

from ensemble.early_exit.stopping.joint_vote import JointColumn, JointVote
from ensemble.errors import counted
from ensemble.label_map import LabelMap, to_record
from ensemble.predictions.tasks import TaskPredictions
from ensemble.progress import Listener
from ensemble.recipe.resolve import Recipe
from ensemble.submission.rows import VoteInput
from ensemble.submission.sample import Sample
from ensemble.voting.lift import TaskColumn


def tasks_input(
    recipe: Recipe,
    tasks: TaskPredictions,
    sample: Sample,
    facts: Mapping[str, object],
    listener: Listener,
) -> VoteInput:
    """Return tasks as they are voted on, and say what their values and the map leave open."""
    joint = recipe.fusion.weights.joint if recipe.fusion.weights else None
    for told in notes_of(tasks, joint.spreads if joint else {}):
        listener.warn(told)
    about = {
        **facts,
        "label_map": to_record(tasks.label_map),
        "answered": answered_by(tasks.columns()),
    }
    return VoteInput(tasks.label, sample, about, tasks=tasks)


def notes_of(tasks: TaskPredictions, spreads: Mapping[str, float]) -> list[str]:
    """Return what a person should know: values that are cut hard, labels that are impossible."""
    return [*_cut_hard(tasks, spreads), *note_of_missing(tasks.label_map)]


def note_of_missing(label_map: LabelMap) -> list[str]:
    """Return what is to be said of combinations that no label stands for."""
    if not (missing := label_map.missing):
        return []
    return [
        f"{counted(len(missing), 'combination')} of classes without a label: impossible, and of "
        f"probability 0, such as {', '.join(missing[0])}"
    ]


def exit_facts(vote: JointVote, listener: Listener) -> dict[str, object]:
    """Return the same for images that ended early, and say what their vote leaves open."""
    hard = [each for each in vote.columns if each.value and each.spread is None]
    told = [_said_hard(each.name, each.task or "") for each in hard]
    for line in [*told, *note_of_missing(vote.label_map)]:
        listener.warn(line)
    return {"label_map": to_record(vote.label_map), "answered": answered_by(vote.columns)}


def answered_by(columns: Iterable[TaskColumn | JointColumn]) -> dict[str, list[str]]:
    """Return the columns that answer each task, and the label, for run.json."""
    found: dict[str, list[str]] = {}
    for column in columns:
        found.setdefault(column.task or "label", []).append(column.name)
    return found


def _cut_hard(tasks: TaskPredictions, spreads: Mapping[str, float]) -> list[str]:
    label_map = tasks.label_map
    found = []
    for column in tasks.columns():
        task = label_map.task(column.task or "")
        if column.values is not None and task and column.name not in spreads and not task.spread:
            found.append(_said_hard(column.name, task.name))
    return found


def _said_hard(column: str, task: str) -> str:
    return (
        f"{column}: its values are cut hard into the classes of {task}, as if they had no error: "
        f"tune weights, which learn the error, or declare a spread"
    )
