"""Pictures come from the images that are named, or from those of the run."""

from pathlib import Path

import pytest
from pages import answer_of, given
from runs import submit
from toys import save_images

from ensemble.errors import UsageError
from ensemble.pipeline.report_images import found_images, unlike_the_run
from ensemble.pipeline.report_order import ReportOrder
from ensemble.predictions.run_record import RunRecord, read_record
from ensemble.reports.page.looked import Looked

ORDER = ReportOrder(Path("a.html"))
ANSWER = answer_of(given(3))


def record(images: list[str], **more: object) -> RunRecord:
    settings = {"images": images, "exif": "ignore", "id_from": "name", **more}
    return RunRecord(settings, "label", (), (), {}, {}, {})


def test_those_of_the_run_are_found_as_the_run_found_them(tmp_path: Path) -> None:
    folder = save_images(tmp_path / "images", 2)
    found = found_images(Looked("a", "b", (ANSWER,), record([str(folder)])), ORDER)
    assert set(found.sources) == {"img1.png", "img2.png"}
    assert found.policy.exif == "ignore"


def test_a_run_whose_images_are_gone_says_so() -> None:
    found = found_images(Looked("a", "b", (ANSWER,), record(["gone"])), ORDER)
    assert found.sources == {}
    assert "--images says where they lie" in found.missing


def test_images_that_are_named_and_not_there_are_an_error() -> None:
    with pytest.raises(UsageError):
        found_images(Looked("a", "b", (ANSWER,)), ReportOrder(Path("a.html"), images=("gone",)))


def test_nothing_named_is_told_where_there_is_something_to_show() -> None:
    assert "--images" in found_images(Looked("a", "b", (ANSWER,)), ORDER).missing
    assert found_images(Looked("a", "b"), ORDER).missing == ""


def test_the_boxes_of_a_run_are_those_of_its_table(tmp_path: Path) -> None:
    table = tmp_path / "crops.csv"
    table.write_text("id,left,top,right,bottom,rule\na,1,2,3,4,sure\n")
    folder = save_images(tmp_path / "images", 1)
    looked = Looked("a", "b", (ANSWER,), record([str(folder)], crops=str(table)))
    assert found_images(looked, ORDER).boxes["a"].sides == (1, 2, 3, 4)


def test_images_that_were_replaced_since_the_run_are_told(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(images.parent)
    submit(members, images)
    told = read_record(Path("out"))
    assert unlike_the_run(told, found_images(Looked("a", "b", (ANSWER,), told), ORDER)) == ""
    save_images(images, 1, seed=9)
    said = unlike_the_run(told, found_images(Looked("a", "b", (ANSWER,), told), ORDER))
    assert "not those of the run, byte by byte" in said
