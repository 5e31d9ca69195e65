"""The table of settings: every one stands in it once, and is recorded as JSON can say it."""

import json
from dataclasses import fields, replace
from pathlib import Path

from ensemble.recipe.resolve import check_settings
from ensemble.recipe.settings import DECODE, TABLE, Settings, named, settings_of
from ensemble.records import DecodePolicy
from ensemble.voting.weights import Weights

WRITTEN = Settings(("a.onnx",), ("images",))


def test_every_field_is_a_row_and_every_row_a_field() -> None:
    own = {entry.name for entry in fields(Settings)} - {"decode"}
    decoding = {entry.name for entry in fields(DecodePolicy)}
    assert set(DECODE) == decoding
    assert set(TABLE) == own | decoding
    assert not own & decoding


def test_the_defaults_of_the_table_are_those_of_settings_and_pass_their_checks() -> None:
    check_settings(WRITTEN)
    for name, row in TABLE.items():
        if name not in ("members", "images"):
            assert getattr(WRITTEN.decode if name in DECODE else WRITTEN, name) == row.default


def test_a_default_is_one_of_its_choices() -> None:
    chosen = [row for row in TABLE.values() if row.choices]
    assert chosen
    assert all(row.default in row.choices for row in chosen)


def test_settings_are_recorded_in_the_order_of_the_table_and_survive_json() -> None:
    how = replace(WRITTEN, store=Path("kept"), weights=Weights({"ant": 0.3, "bee": 0.7}))
    record = settings_of(how)
    again = json.loads(json.dumps(record))
    told = [name for name, row in TABLE.items() if row.about.recorded and not row.about.later]
    assert list(again) == told
    assert again["store"] == "kept"
    assert again["weights"]["weights"] == {"ant": 0.3, "bee": 0.7}
    assert again["members"] == ["a.onnx"]


def test_what_decodes_is_recorded_beside_the_rest() -> None:
    record = settings_of(replace(WRITTEN, decode=DecodePolicy(exif="ignore", max_pixels=7)))
    assert (record["exif"], record["max_pixels"]) == ("ignore", 7)
    assert "decode" not in record


def test_no_setting_is_both_taken_from_the_run_and_beside_it() -> None:
    assert not set(named("predicted")) & (set(named("kept")) | set(named("beside")))


def test_a_later_setting_stands_in_the_record_only_where_it_is_given() -> None:
    later = {name for name, row in TABLE.items() if row.about.later}
    assert later == {
        "id_col",
        "image_col",
        "label_map",
        "tasks",
        "crops",
        "margin",
        "square",
        "positive",
        "form",
        "top",
        "round",
        "constraints",
        "policy",
        "keep_views",
        "probe_images",
        "verify_inputs",
        "workers",
        "executor",
        "ray_address",
    }
    plain = Settings(("m.onnx",), ("images",))
    assert not later & set(settings_of(plain))
    assert settings_of(replace(plain, top=3, id_col="name")) == {
        **settings_of(plain), "top": 3, "id_col": "name"
    }  # fmt: skip


def test_who_tracks_a_run_is_never_recorded() -> None:
    assert [name for name, row in TABLE.items() if not row.about.recorded] == ["track"]
    tracked = replace(WRITTEN, track=("mlflow=http://me:secret@there",))
    assert settings_of(tracked) == settings_of(WRITTEN)
