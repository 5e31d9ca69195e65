"""A member judges another on images, and by labels where there are some."""

from pathlib import Path

import pytest
from toys import MakeMember

from ensemble.errors import UsageError
from ensemble.inference.find import find_images
from ensemble.inference.ready import ReadyMember
from ensemble.inference.start import start
from ensemble.members.member import open_member
from ensemble.pipeline.judge import Judge
from ensemble.progress import Quiet
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings
from ensemble.views.policy import preset


def begun(path: Path) -> ReadyMember:
    views = preset("none")
    return start(open_member(path), views, "mean", device="cpu", threads=1, batch=4)


def judge_of(folder: Path, images: Path, labels: dict[str, str] | None = None) -> Judge:
    recipe = resolve(Settings((), (str(images),), device="cpu"))
    found, _ = find_images(recipe.inputs, 1, Quiet())
    return Judge(recipe, found, labels, None, folder, Quiet())


def test_another_member_changes_labels_and_itself_would_not(
    make_member: MakeMember, images: Path, tmp_path: Path
) -> None:
    one, other = (begun(make_member(f"toy-f{seed}", seed=seed)) for seed in (0, 1))
    (found,) = judge_of(tmp_path / "a", images).judge(one, other)
    assert (found.head, found.images, found.accuracies) == ("label", 12, None)
    assert found.changed > 0
    (same,) = judge_of(tmp_path / "b", images).judge(one, begun(one.member.path))
    assert (same.changed, same.largest) == (0, 0.0)


def test_labels_give_both_accuracies(make_member: MakeMember, images: Path, tmp_path: Path) -> None:
    one, other = (begun(make_member(f"toy-f{seed}", seed=seed)) for seed in (0, 1))
    labels = {f"img{number}": "cat" for number in range(1, 13)}
    (found,) = judge_of(tmp_path, images, labels).judge(one, other)
    assert found.accuracies is not None
    assert all(0 <= each <= 1 for each in found.accuracies)


def test_where_no_image_can_be_decoded_nothing_is_judged(
    make_member: MakeMember, images: Path, tmp_path: Path
) -> None:
    for path in images.iterdir():
        path.write_bytes(path.read_bytes()[:60])
    one, other = (begun(make_member(f"toy-f{seed}", seed=seed)) for seed in (0, 1))
    with pytest.raises(UsageError, match="none of the images that judge can be used"):
        judge_of(tmp_path, images).judge(one, other)
