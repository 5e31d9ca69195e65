"""A melted sample has a row for each image and name, or is refused with the line or the pairs."""

from pathlib import Path

import pytest

from ensemble.errors import ContractError, UsageError
from ensemble.submission.melted import MARKS, Pairs, find_pairs
from ensemble.submission.sample_table import read_sample_table

NAMES = ("cat", "dog")
KNOWN = ("a", "b")


def found(
    folder: Path, text: str, names: tuple[str, ...] = NAMES, known: tuple[str, ...] = KNOWN
) -> Pairs | None:
    """What is found in a sample of this text."""
    (folder / "s.csv").write_text(text)
    return find_pairs(read_sample_table(folder / "s.csv", names, None, known), names, known)


def by_id(*ids: str) -> str:
    """A sample of these ids and a value."""
    return "id,value\n" + "".join(f"{name},0\n" for name in ids)


@pytest.mark.parametrize("mark", MARKS)
def test_every_mark_parts_image_and_name(tmp_path: Path, mark: str) -> None:
    ids = [f"{image}{mark}{name}" for image in KNOWN for name in NAMES]
    pairs = found(tmp_path, by_id(*ids))
    assert pairs is not None
    assert pairs.rows == (("a", "cat"), ("a", "dog"), ("b", "cat"), ("b", "dog"))
    assert (pairs.images, pairs.names, pairs.value) == (KNOWN, NAMES, 1)


def test_images_and_names_may_hold_the_mark_themselves(tmp_path: Path) -> None:
    names = ("consonant_diacritic", "vowel_diacritic", "root")
    known = ("Test_0", "Test_1")
    ids = [f"{image}_{name}" for image in known for name in names]
    pairs = found(tmp_path, by_id(*ids), names, known)
    assert pairs is not None
    assert pairs.rows == tuple((image, name) for image in known for name in names)


def test_the_image_that_is_known_tells_a_name_from_the_end_of_another(tmp_path: Path) -> None:
    ids = ("a_big_cat", "a_cat", "b_big_cat", "b_cat")
    pairs = found(tmp_path, by_id(*ids), ("cat", "big_cat"))
    assert pairs is not None
    assert pairs.rows == (("a", "big_cat"), ("a", "cat"), ("b", "big_cat"), ("b", "cat"))


def test_an_id_that_may_be_parted_in_two_ways_is_named(tmp_path: Path) -> None:
    known = ("a", "a_big")
    ids = ("a_cat", "a_big_cat", "a_big_big_cat")
    with pytest.raises(UsageError, match="line 3: id 'a_big_cat' may be 'big_cat' of 'a' or 'cat'"):
        found(tmp_path, by_id(*ids), ("cat", "big_cat"), known)


def test_ids_that_may_be_parted_at_two_marks_are_refused(tmp_path: Path) -> None:
    names, known = ("cat", "b-cat"), ("a_b", "a", "x_b", "x")
    ids = ("a_b-cat", "x_b-cat")
    with pytest.raises(UsageError, match="may be parted at '_' or at '-'"):
        found(tmp_path, by_id(*ids), names, known)


def test_images_may_carry_a_folder_and_an_extension(tmp_path: Path) -> None:
    ids = [f"test/{image}.jpg_{name}" for image in KNOWN for name in NAMES]
    pairs = found(tmp_path, by_id(*ids))
    assert pairs is not None
    assert pairs.images == ("test/a.jpg", "test/b.jpg")


def test_ids_without_names_are_no_pairs(tmp_path: Path) -> None:
    assert found(tmp_path, by_id("a", "b")) is None
    assert found(tmp_path, by_id("x_cat", "x_dog")) is None


def test_images_called_as_pairs_are_no_pairs(tmp_path: Path) -> None:
    known = ("a", "a_cat", "a_dog")
    assert found(tmp_path, by_id(*known), known=known) is None


def test_an_id_that_ends_in_no_name_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 4: id 'b_cta': expected an image, '_' and one of"):
        found(tmp_path, by_id("a_cat", "a_dog", "b_cta", "b_dog"))


def test_a_pair_that_is_missing_is_listed(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"1 are missing \('cat' of 'b'\)"):
        found(tmp_path, by_id("a_cat", "a_dog", "b_dog"))


def test_names_that_no_image_has_may_be_left_out_where_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(by_id("a_cat", "b_cat"))
    table = read_sample_table(tmp_path / "s.csv", NAMES, None, KNOWN)
    pairs = find_pairs(table, NAMES, KNOWN, every=False)
    assert pairs is not None
    assert pairs.names == ("cat",)
    with pytest.raises(ContractError, match="2 are missing"):
        find_pairs(table, NAMES, KNOWN)


# ---- three columns


def test_a_column_of_names_makes_pairs_with_the_ids(tmp_path: Path) -> None:
    pairs = found(tmp_path, "target,value,image\ncat,0.5,b\ndog,0.5,b\n")
    assert pairs is not None
    assert (pairs.rows, pairs.value) == ((("b", "cat"), ("b", "dog")), 1)


def test_values_that_look_like_names_are_told_from_them_by_the_pairs(tmp_path: Path) -> None:
    text = "image,class,value\na,0,0\na,1,0\nb,0,0\nb,1,0\n"
    pairs = found(tmp_path, text, ("0", "1"))
    assert pairs is not None
    assert (pairs.rows[:2], pairs.value) == ((("a", "0"), ("a", "1")), 2)


def test_columns_that_both_may_be_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the columns x, y both hold names"):
        found(tmp_path, "image,x,y\na,0,1\na,1,0\n", ("0", "1"))


def test_columns_called_as_the_names_are_no_pairs(tmp_path: Path) -> None:
    assert found(tmp_path, "id,0,1\na,0,1\nb,0,1\n", ("0", "1")) is None


def test_a_pair_that_stands_there_twice_is_named_with_both_lines(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 4: 'cat' of 'a' stands in line 2 too"):
        found(tmp_path, "image,target,value\na,cat,1\na,dog,2\na,cat,3\n")


def test_a_name_that_is_none_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 3, column 'target': 'dgo' is none of cat, dog"):
        found(tmp_path, "image,target,value\na,cat,1\na,dgo,2\nb,cat,3\nb,dog,3\n")
