"""policy.json: read back as it was written, and refused where it was edited or is of others."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import ensemble as package
from ensemble.errors import UsageError
from ensemble.recipe.policy import FamilyPolicy, FrontierPoint, Policy, read_policy_file, to_json
from ensemble.records import MemberId
from ensemble.views.families import policies_of, read_policies
from ensemble.voting.weights import Weights


def policy() -> Policy:
    """Two families, one of which runs one of its two folds."""
    return Policy(
        families={
            "ant": FamilyPolicy(("plain", "hflip+rot90(1)"), {0: "a0", 1: "a1"}),
            "bee": FamilyPolicy(("plain",), {1: "b1"}),
        },
        weights=Weights({"ant": 0.7, "bee": 0.4}, pool="log-linear", classes=("cat", "dog")),
        left_out=("b0",),
        head="label",
        evaluations=5,
        seconds=0.125,
        start=0.5,
        budget="5 evaluations an image",
        verdict="gain",
        views={"ant vflip": "hurts"},
        frontier=(FrontierPoint({"ant": ("plain",)}, 2, 0.1, 0.9, (0.8, 0.95), knee=False),
                  FrontierPoint({"ant": ("plain",)}, 5, 0.2, 0.91, None, knee=True)),
    )  # fmt: skip


def here(**hashes: str) -> dict[str, MemberId]:
    return {name: MemberId(name, sha256=sha) for name, sha in hashes.items()}


def test_a_policy_is_read_as_it_was_written(tmp_path: Path) -> None:
    policy().save(tmp_path / "policy.json")
    assert package.Policy.load(tmp_path / "policy.json") == policy()


def test_its_views_are_what_tta_takes() -> None:
    told = policies_of(read_policies(policy().tta), ["ant", "bee"])
    assert {family: len(views) for family, views in told.items()} == {"ant": 2, "bee": 1}
    assert [op.name for op in told["ant"][1].ops] == ["hflip", "rot90"]


def test_seconds_are_those_of_starts_and_of_images() -> None:
    assert policy().seconds_for(8) == 3 * 0.5 + 8 * 0.125


def test_of_the_members_here_those_of_the_policy_run() -> None:
    found = policy().runs(here(one="b1", two="b0", three="a1", four="a0"))
    assert found == ["one", "three", "four"]


def test_a_member_that_it_was_not_chosen_among_is_refused() -> None:
    with pytest.raises(UsageError, match="chosen among other members than new"):
        policy().runs(here(a="a0", b="a1", c="b1", new="c0"))


def test_a_member_that_is_to_run_and_is_not_here_is_named() -> None:
    with pytest.raises(UsageError, match="it runs ant fold 1, bee fold 1, and no such member"):
        policy().runs(here(a="a0", b="b0"))


@pytest.mark.parametrize("field", ["views", "weights", "seconds", "left_out", "families"])
def test_a_file_that_was_edited_is_refused(tmp_path: Path, field: str) -> None:
    record = to_json(policy())
    record[field] = {"ant": 1} if isinstance(record[field], dict) else 7
    (tmp_path / "policy.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match=r"policy\.json: it was edited"):
        read_policy_file(tmp_path / "policy.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not JSON"), ("[]", "not a policy.json"), ('{"schema": 2}', "not a policy.json")],
)
def test_another_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "policy.json").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_policy_file(tmp_path / "policy.json")


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"gone\.json: cannot read the policy"):
        read_policy_file(Path("gone.json"))


def test_the_hash_is_of_all_that_it_says() -> None:
    other = replace(policy(), verdict="other")
    assert len({policy().sha256, other.sha256}) == 2
