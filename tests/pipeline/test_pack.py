"""Ensembles of every kind become one file that gives what a run gives, or are refused by name."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from packs import noise, packed, run_packed, toys_of
from PIL import Image
from task_toys import label_map, save_all
from toys import save_member, toy_card, toy_model

import ensemble
from ensemble.boxes import Crop
from ensemble.errors import MemberError, UsageError
from ensemble.files.label_maps import read_label_map
from ensemble.label_map import LabelMap
from ensemble.members.member import open_member
from ensemble.recipe.policy import FamilyPolicy, Policy
from ensemble.records import Size, View, hashes_of
from ensemble.voting import pools
from ensemble.voting.decision import Decision
from ensemble.voting.joint_weights import JointWeights
from ensemble.voting.weights import Weights

COUNT = 9
RNG = np.random.default_rng(2)
PRIOR = tuple(RNG.dirichlet(np.ones(3)).tolist())


def pictures(folder: Path, side: Size = Size(8, 8)) -> NDArray[np.uint8]:
    """Write PNG files of the members' own size, and return their pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = noise(COUNT, side.height, side.width, 3)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"img{number}.png")
    return pixels


def check_run(folder: Path, members: list[Path], **settings: object) -> None:
    """Run members over images, pack them, and compare what both give."""
    pixels = pictures(folder / "images")
    run = ensemble.run(
        members, folder / "images", out=folder / "out", store=folder / "store", progress=None,
        **settings,  # type: ignore[arg-type]
    )  # fmt: skip
    if "label_map" in settings:
        settings["label_map"] = Path(str(settings["label_map"]))
    found = run_packed(packed(folder, members, **settings).path, pixels)
    np.testing.assert_allclose(found["probabilities"], run.probs, atol=1e-6)
    classes = read_label_map(settings["label_map"]).labels if "label_map" in settings else (
        "cat", "dog", "eel")  # fmt: skip
    assert tuple(classes[int(place)] for place in found["label"]) == run.labels


WEIGHTS = {
    "linear": Weights({"ant": 0.3, "bee": 0.9}),
    "log-linear": Weights({"ant": 0.7, "bee": 0.6}, pool="log-linear", temperature=0.8),
    "prior": Weights({"ant": 1.0, "bee": 1.0}, decision=Decision(prior_tau=0.8, prior=PRIOR)),
    "cuts": Weights({"ant": 1.0, "bee": 2.0}, decision=Decision(cut_points=(0.9, 1.1))),
    "rank": Weights(
        {"ant": 0.4, "bee": 0.6}, pool="rank",
        ranks={name: tuple(map(tuple, rows.tolist())) for name, rows in zip(
            ("ant", "bee"), pools.quantiles(RNG.dirichlet(np.ones(3), (2, 50)), 11), strict=True)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_of_every_kind_are_packed(tmp_path: Path, name: str) -> None:
    check_run(tmp_path, toys_of(tmp_path), weights=WEIGHTS[name], tta="hflip")


@pytest.mark.parametrize("voting", ["hard", "geometric"])
def test_votes_of_every_kind_are_packed(tmp_path: Path, voting: str) -> None:
    check_run(tmp_path, toys_of(tmp_path), voting=voting, tta="vflip")


@pytest.mark.parametrize("merge", ["gmean", "max", "min", "tsharpen", "logits"])
def test_merges_of_every_kind_are_packed(tmp_path: Path, merge: str) -> None:
    check_run(tmp_path, toys_of(tmp_path), tta="d4", merge=merge)


def test_each_family_has_its_own_views(tmp_path: Path) -> None:
    check_run(tmp_path, toys_of(tmp_path), tta="ant=flip,bee=none")


def joint_weights(mapped: LabelMap, pool: str, members: list[Path]) -> Weights:
    opened = [open_member(path).identity for path in members]
    names = ("decades", "joint", "kinds", "three/age", "three/kind", "three/turn", "turns")
    dependence = tuple(RNG.normal(0, 0.1, len(mapped.labels)).tolist())
    return Weights(
        dict(zip(names, RNG.uniform(0.1, 1, 7).tolist(), strict=True)),
        pool="log-linear" if pool == "log-linear" else "linear",
        classes=mapped.labels,
        members=hashes_of(opened),
        joint=JointWeights(mapped, {"three/age": 6.0}, dependence, 0.4),
    )


TASKS = {
    "values cut hard": {},
    "values with a spread": {"tasks": "age = {spread = 5}"},
    "hard": {"voting": "hard"},
    "views": {"tta": "hflip"},
}


@pytest.mark.parametrize("name", TASKS)
def test_tasks_of_a_label_map_are_packed(tmp_path: Path, name: str) -> None:
    members = save_all(tmp_path / "folds")
    mapped = label_map(tmp_path)
    pixels = pictures(tmp_path / "images")
    run = ensemble.run(
        members, tmp_path / "images", label_map=mapped, out=tmp_path / "out",
        store=tmp_path / "store", progress=None, **TASKS[name],  # type: ignore[arg-type]
    )  # fmt: skip
    found = packed(tmp_path, members, label_map=mapped, **TASKS[name])
    given = run_packed(found.path, pixels)
    np.testing.assert_allclose(given["probabilities"], run.probs, atol=1e-6)
    labels = read_label_map(mapped).labels
    assert tuple(labels[int(place)] for place in given["label"]) == run.labels
    assert found.record["label_map"] is not None


@pytest.mark.parametrize("pool", ["log-linear", "linear"])
def test_tuned_weights_of_tasks_are_packed(tmp_path: Path, pool: str) -> None:
    members, path = save_all(tmp_path / "folds"), label_map(tmp_path)
    weights = joint_weights(read_label_map(path), pool, members)
    pixels = pictures(tmp_path / "images")
    run = ensemble.run(
        members, tmp_path / "images", label_map=path, weights=weights, out=tmp_path / "out",
        store=tmp_path / "store", progress=None,
    )  # fmt: skip
    given = run_packed(packed(tmp_path, members, label_map=path, weights=weights).path, pixels)
    np.testing.assert_allclose(given["probabilities"], run.probs, atol=1e-6)


def test_a_policy_says_who_is_packed_and_under_which_views(tmp_path: Path) -> None:
    members = toys_of(tmp_path)
    hashes = [open_member(path).sha256 for path in members]
    policy = Policy(
        families={"ant": FamilyPolicy(("plain", "hflip"), {1: hashes[1]})},
        weights=Weights({"ant": 1.0}, temperature=2.0),
        left_out=(hashes[0], *hashes[2:]), head="label", evaluations=2, seconds=1.0, start=1.0,
    )  # fmt: skip
    found = packed(tmp_path, members, policy=policy)
    assert found.members == ("ant-f1",)
    assert found.record["members"][0]["views"] == ["plain", "hflip"]  # type: ignore[index]


# ---- members that are unlike each other


def test_members_of_several_opsets_and_irs_are_packed_into_one(tmp_path: Path) -> None:
    made = []
    for number, (opset, version) in enumerate([(13, 8), (17, 8), (18, 10)]):
        card = toy_card(f"toy-f{number}")
        model = toy_model(card, seed=number, opset=opset)
        model.ir_version = version
        made.append(save_member(tmp_path / "folds", card, model))
    check_run(tmp_path, made, tta="hflip")
    model = onnx.load(tmp_path / "model.onnx")
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    assert model.ir_version == 10


def test_equal_names_of_other_weights_stay_apart(tmp_path: Path) -> None:
    members = toys_of(tmp_path)
    assert {onnx.load(path).graph.initializer[0].name for path in members} == {"matrix"}
    check_run(tmp_path, members)


def test_members_of_other_sizes_have_inputs_of_their_own(tmp_path: Path) -> None:
    members = toys_of(tmp_path)
    card = toy_card("cow-f0", size=Size(9, 12))
    members.append(save_member(tmp_path / "folds", card, toy_model(card, seed=7)))
    found = packed(tmp_path, members, tta="hflip")
    shapes = {each["name"]: each["shape"] for each in found.record["inputs"]}  # type: ignore[attr-defined]
    assert shapes == {"images_8x8x3": ["N", 8, 8, 3], "images_9x12x3": ["N", 9, 12, 3]}
    pixels: Mapping[str, NDArray[np.uint8]] = {
        "images_8x8x3": noise(2, 8, 8, 3), "images_9x12x3": noise(2, 9, 12, 3)
    }  # fmt: skip
    assert run_packed(found.path, pixels)["probabilities"].shape == (2, 3)


def test_a_turn_of_an_image_that_is_not_square_is_refused(tmp_path: Path) -> None:
    card = toy_card("toy-f0", size=Size(8, 12))
    member = save_member(tmp_path, card, toy_model(card))
    with pytest.raises(MemberError, match=r"toy-f0 takes 8x12 pixels only; view rot90 is 12x8"):
        packed(tmp_path, [member], tta="d4")


def test_operators_of_a_foreign_domain_are_refused_by_name(tmp_path: Path) -> None:
    card = toy_card("toy-f0")
    model = toy_model(card)
    model.graph.node[0].domain = "Paddle"
    model.opset_import.append(helper.make_opsetid("Paddle", 1))
    member = save_member(tmp_path, card, model)
    with pytest.raises(MemberError, match=r"toy-f0.onnx: operators of the domain Paddle"):
        packed(tmp_path, [member])


def test_operators_of_onnx_runtime_are_packed(tmp_path: Path) -> None:
    card = toy_card("toy-f0")
    model = toy_model(card, opset=13)
    model.graph.node[1].output[0] = "given"
    model.graph.node.append(helper.make_node("Gelu", ["given"], ["logits"], domain="com.microsoft"))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    check_run(tmp_path, [save_member(tmp_path, card, model), *toys_of(tmp_path)])


def test_a_member_with_a_graph_inside_is_packed_beside_another(tmp_path: Path) -> None:
    made = []
    for number in range(2):
        card = toy_card(f"toy-f{number}")
        model = toy_model(card, seed=number, opset=(13, 18)[number])
        branches = [
            helper.make_graph(
                [helper.make_node(kind, ["flat", "matrix"], ["inner"]),
                 helper.make_node("Identity", ["inner"], [f"out_{kind}_{sign}"])],
                "branch", [],
                [helper.make_tensor_value_info(f"out_{kind}_{sign}", TensorProto.FLOAT, None)],
            )
            for kind, sign in (("MatMul", "a"), ("MatMul", "b"))
        ]  # fmt: skip
        model.graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
        model.graph.node.pop()
        model.graph.node.append(
            helper.make_node(
                "If", ["yes"], ["logits"], then_branch=branches[0], else_branch=branches[1]
            )
        )
        made.append(save_member(tmp_path / "folds", card, model))
    check_run(tmp_path, made)


def test_members_that_were_trained_on_boxes_take_what_was_cut_out(tmp_path: Path) -> None:
    card = toy_card("toy-f0")
    card = replace(card, preprocess=replace(card.preprocess, crop=Crop(0.25, square=True)))
    member = save_member(tmp_path, card, toy_model(card))
    found = packed(tmp_path, [member])
    assert "its box, each side moved out by 0.25" in str(found.record["inputs"])


def test_jittered_boxes_are_parts_of_a_tall_image(tmp_path: Path) -> None:
    card = toy_card("toy-f0")
    card = replace(card, preprocess=replace(card.preprocess, crop=Crop(0.25, square=True)))
    member = save_member(tmp_path, card, toy_model(card))
    found = packed(tmp_path, [member], tta="jitter(0.1)")
    (given,) = found.record["inputs"]  # type: ignore[misc]
    assert given["shape"][1] % 8 == 0
    assert given["shape"][1] > 8
    assert run_packed(found.path, noise(2, *given["shape"][1:]))["label"].shape == (2,)


def test_a_view_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    view = View("hflip+hflip")
    assert view.ops == ()
    with pytest.raises(UsageError, match="no view preset"):
        packed(tmp_path, toys_of(tmp_path), tta="nothing")


def test_a_packed_file_is_no_member(tmp_path: Path) -> None:
    found = packed(tmp_path, toys_of(tmp_path))
    with pytest.raises(MemberError, match="a packed ensemble, not a member"):
        open_member(found.path)


def test_a_model_repository_is_written_beside(tmp_path: Path) -> None:
    from ensemble.pipeline.pack import pack
    from ensemble.recipe.settings import Settings

    members = tuple(map(str, toys_of(tmp_path)))
    found = pack(
        Settings(members, (), store=tmp_path / "store"),
        tmp_path / "toys.onnx",
        triton=tmp_path / "repo",
    )
    assert found.triton == tmp_path / "repo" / "toys"
    assert (found.triton / "1" / "model.onnx").read_bytes() == found.path.read_bytes()
