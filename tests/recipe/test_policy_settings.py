"""Settings that decide for others: a policy, and views that are kept apart."""

from dataclasses import replace

import pytest

from ensemble.errors import UsageError
from ensemble.recipe.policy import FamilyPolicy, Policy
from ensemble.recipe.policy_settings import under_policy
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings, settings_of
from ensemble.voting.weights import Weights

POLICY = Policy({"ant": FamilyPolicy(("plain", "hflip"), {0: "a0"})}, Weights({"ant": 1.0}), (),
                "label", 2, 0.1, 0.0)  # fmt: skip
ASKED = Settings(("m.onnx",), ("images",), policy=POLICY)


def test_a_policy_decides_views_weights_and_head() -> None:
    found = resolve(ASKED)
    assert found.scoring.tta == "ant=views(plain;hflip)"
    assert (found.scoring.merge, found.inputs.head) == ("mean", "label")
    assert found.fusion.weights == POLICY.weights
    assert found.inputs.policy is POLICY


def test_what_was_decided_once_may_be_resolved_again() -> None:
    assert under_policy(under_policy(ASKED)) == under_policy(ASKED)


def test_without_a_policy_nothing_changes() -> None:
    plain = replace(ASKED, policy=None, tta="hflip")
    assert under_policy(plain) is plain


@pytest.mark.parametrize(
    "said",
    [{"tta": "flip"}, {"merge": "max"}, {"weights": Weights({"ant": 2.0})}, {"head": "age"},
     {"voting": "hard"}],
)  # fmt: skip
def test_what_is_said_otherwise_beside_a_policy_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(said))}: the policy has decided it"):
        resolve(replace(ASKED, **said))  # type: ignore[arg-type]


def test_run_json_tells_a_policy_by_its_hash() -> None:
    assert settings_of(ASKED)["policy"] == f"policy, sha256 {POLICY.sha256}"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"merge": "logits"}, "use --merge gmean"),
        ({"early_exit": "lossless"}, "--early-exit: --keep-views gives every image every view"),
        ({"time_budget": "2h"}, "--time-budget: --keep-views gives every image every view"),
    ],
)
def test_what_does_not_go_with_views_apart_is_refused(
    said: dict[str, object], message: str
) -> None:
    apart = Settings(("m.onnx",), ("images",), tta="flip", keep_views=True)
    with pytest.raises(UsageError, match=message):
        resolve(replace(apart, **said))  # type: ignore[arg-type]
