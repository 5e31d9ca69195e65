"""Settings that decide for others: a policy, and views that are kept apart."""

from dataclasses import replace

from ensemble.errors import UsageError
from ensemble.recipe.settings import TABLE, Settings
from ensemble.views.merging import check_mergeable


def under_policy(settings: Settings) -> Settings:
    """Return settings with the views, their merge, the weights and the head of their policy.

    A policy for a label map carries it; one that is given too is compared where the members start.

    Raises:
        UsageError: one of these is said too, and otherwise.
    """
    policy = settings.policy
    if policy is None:
        return settings
    joint = policy.weights.joint
    head = None if joint else policy.head
    wanted = {"tta": policy.tta, "merge": "mean", "weights": policy.weights, "head": head,
              "voting": "soft", **({} if joint else {"label_map": None})}  # fmt: skip
    said = {name: getattr(settings, name) for name in wanted}
    odd = [n for n, value in said.items() if value not in (TABLE[n].default, wanted[n])]
    if odd:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in odd)
        raise UsageError(
            f"{flags}: the policy has decided it already, and otherwise: leave it out, or leave "
            f"out --policy"
        )
    return replace(settings, tta=policy.tta, merge="mean", weights=policy.weights, head=head)


def check_apart(settings: Settings) -> None:
    """Refuse what does not go with views that are kept apart.

    Raises:
        UsageError: a merge that needs logits, or images that are to end early.
    """
    if not settings.keep_views:
        return
    check_mergeable(settings.merge)
    ends = ("early_exit", "time_budget", "evals_per_image")
    if said := [name for name in ends if getattr(settings, name) != TABLE[name].default]:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in said)
        raise UsageError(f"{flags}: --keep-views gives every image every view; leave one of them "
                         f"out")  # fmt: skip
