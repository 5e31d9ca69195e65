"""What a choice costs to run, and how many folds of each family a budget pays for.

Out of fold one member of a family predicts a row, so no score tells what another fold adds. All
folds run therefore, unless a budget does not pay for them: then families and views come first,
which are proven, and what is left buys folds, where the weights make their noise weigh most.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ensemble.errors import UsageError
from ensemble.predictions.kept_views import Costs
from ensemble.recipe.units import moment_of, seconds_of

_CPU: Final = "CPUExecutionProvider"

Folds = Mapping[str, int]
"""How many folds of each family run."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What an image, or a run over so many images, may take; None where nobody says.

    `image` and `seconds` are seconds, of one image and of the run; `evaluations` are those of an
    image.
    """

    image: float | None = None
    evaluations: float | None = None
    seconds: float | None = None
    images: int | None = None

    @property
    def limited(self) -> bool:
        """Whether there is one."""
        return (self.image, self.evaluations, self.seconds) != (None, None, None)

    @property
    def words(self) -> str:
        """The budget in words; "" where there is none."""
        if self.image is not None:
            return f"{1000 * self.image:g} ms an image"
        if self.evaluations is not None:
            return f"{self.evaluations:g} evaluations an image"
        return "" if self.seconds is None else f"{self.seconds:g} s for {self.images} images"


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run takes: evaluations and seconds of an image, and the sessions to be started."""

    evaluations: int
    image: float
    sessions: int
    start: float

    def seconds(self, images: int) -> float:
        """Return the seconds of a run over so many images."""
        return self.sessions * self.start + images * self.image

    def fits(self, budget: Budget) -> bool:
        """Tell whether a budget pays for it."""
        if budget.image is not None:
            return self.image <= budget.image
        if budget.evaluations is not None:
            return self.evaluations <= budget.evaluations
        return budget.seconds is None or self.seconds(budget.images or 0) <= budget.seconds


def spent(costs: Costs, views: Mapping[str, tuple[str, ...]], folds: Folds) -> Spent:
    """Return what a run takes with these views and so many folds of each family.

    On the CPU images are read by the cores that score them, so the two add up; on a GPU the longer
    one hides the other.
    """
    forwards = sum(
        folds[family] * sum(costs.evaluations[family][view] for view in own)
        for family, own in views.items()
    )
    apart = costs.provider not in ("", _CPU)
    image = max(costs.image, forwards) if apart else costs.image + forwards
    evaluations = sum(folds[family] * len(own) for family, own in views.items())
    return Spent(evaluations, image, sum(folds.values()), costs.session)


def folds_for(
    costs: Costs,
    views: Mapping[str, tuple[str, ...]],
    there: Folds,
    budget: Budget,
    weights: Mapping[str, float],
) -> dict[str, int]:
    """Return how many folds of each family run: all, or as many as the budget pays for.

    Another fold takes the noise of a family's mean from w²/k to w²/(k + 1): it is bought where that
    falls most for a second. There is one of each at least.
    """
    if not budget.limited:
        return dict(there)
    found = dict.fromkeys(sorted(views), 1)
    while True:
        rates = {
            family: weights[family] ** 2
            / (count * (count + 1))
            / sum(costs.evaluations[family][view] for view in views[family])
            for family, count in found.items()
            if count < there[family]
            and spent(costs, views, {**found, family: count + 1}).fits(budget)
        }
        if not rates:
            return found
        found[max(rates, key=lambda family: rates[family])] += 1


def budget_of(
    *, budget: str | None, evals: float | None, seconds: str | None, images: int | None
) -> Budget:
    """Read what an image, or a run, may take: of an image a time or evaluations, or of all a time.

    Raises:
        UsageError: two of them, one that is no time or number, or a time of all without images.
    """
    if sum(each is not None for each in (budget, evals, seconds)) > 1:
        raise UsageError("--budget, --evals and --seconds are three budgets; give one of them")
    if (seconds is None) != (images is None):
        raise UsageError("--seconds is for a run over --images so many; give both")
    if evals is not None and (not isinstance(evals, int | float) or evals < 0):
        raise UsageError(f"--evals {evals!r}: expected a number of evaluations of an image")
    if images is not None and (not isinstance(images, int) or images < 1):
        raise UsageError(f"--images {images!r}: expected how many images a run has")
    return Budget(
        None if budget is None else moment_of(budget, "--budget"),
        evals,
        None if seconds is None else seconds_of(seconds, "--seconds"),
        images,
    )
