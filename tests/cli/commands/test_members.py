"""`ensemble export` and `ensemble inspect`."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from detectors import detector_card, detector_model
from onnx import NodeProto, helper
from toys import MakeMember, ensemble, save_member, toy_card, toy_model

from ensemble.errors import UsageError
from ensemble.members.card import Card
from ensemble.pipeline import soup
from ensemble.pipeline.soup_order import SoupOrder


def test_inspect_shows_cards_as_json(
    members: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble("inspect", *members, "--json") == 0
    cards = json.loads(capsys.readouterr().out)
    assert [c["family"] for c in cards.values()] == ["ant", "ant", "bee", "bee"]


def test_inspect_has_a_line_for_each_member_and_says_that_they_can_vote(
    members: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble("inspect", *members) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert len(lines) == len(members)
    assert lines[3] == "bee-f1: bee, fold 1, 8x8, RGB; label: classification, 3 classes"
    assert "can vote together" in shown.err


def test_inspect_tells_the_task_of_every_head(capsys: pytest.CaptureFixture[str]) -> None:
    path = several_outputs("net-f0.onnx", {"years": (), "sex": (2,), "tags": (3,)})
    heads = ("--classes", "years=years", "--classes", "sex=f,m", "--classes", "tags=a,b,c")
    tasks = ("--task", "years=regression", "--task", "tags=multilabel")
    assert ensemble("inspect", path, "--write-card", *heads, *tasks, *PIXELS) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(
        "; years: regression, years alone; sex: classification, 2 classes; "
        "tags: multilabel, 3 classes"
    )


def test_inspect_shows_a_table_with_all_of_the_cards_where_it_is_asked_for(
    members: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble("inspect", *members, "--verbose") == 0
    shown = capsys.readouterr()
    assert "bee-f1" in shown.out
    assert "mean 0" in shown.out
    assert "can vote together" in shown.err


def test_inspect_exits_4_where_members_cannot_vote(
    members: list[Path], make_member: MakeMember
) -> None:
    odd = make_member("cow-f0", classes=("x", "y"))
    assert ensemble("inspect", *members, odd) == 4


def foreign(card: Card, *more: NodeProto) -> Path:
    """A member without a card, with what comes after its logits."""
    model = toy_model(card)
    if more:
        model.graph.node[-1].output[0] = "raw"
        model.graph.node.extend(more)
    Path("folds").mkdir()
    onnx.save(model, f"folds/{card.name}.onnx")
    return Path(f"folds/{card.name}.onnx")


def written(path: Path, *flags: str) -> dict[str, Any]:
    """The card that inspect writes beside a foreign member."""
    size = ("--classes", "cat,dog,eel", "--height", "8", "--width", "8", "--output-name", "logits")
    assert ensemble("inspect", path, "--write-card", *size, *flags) == 0
    card = json.loads(Path(f"{path}.card.json").read_text())
    assert isinstance(card, dict)
    return card


HALVES = ("--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5")


@pytest.mark.parametrize(
    ("kind", "task", "activation"),
    [
        ("LogSoftmax", "classification", "exp"),
        ("Softmax", "classification", "none"),
        ("Sigmoid", "multilabel", "none"),
        ("Identity", "multilabel", "sigmoid"),
    ],
)
def test_the_last_operator_tells_the_activation(kind: str, task: str, activation: str) -> None:
    path = foreign(toy_card(), helper.make_node(kind, ["raw"], ["logits"]))
    assert written(path, *HALVES, "--task", task)["heads"][0]["activation"] == activation


def test_the_conventions_of_caffe_are_on_the_card() -> None:
    card = written(
        foreign(toy_card()), "--channel-order", "bgr", "--input-range", "255",
        "--mean", "102,51,204", "--std", "1,51,1",
    )  # fmt: skip
    pre = card["preprocess"]
    assert pre["channel_order"] == "bgr"
    assert pre["mean"] == pytest.approx([0.4, 0.2, 0.8])
    assert pre["std"] == pytest.approx([1 / 255, 0.2, 1 / 255])


def test_a_range_without_means_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--classes", "a,b", "--arch", "resnet10t", "--out", "o", "--input-range", "255")
    assert ensemble("export", "x.pt", *flags) == 2
    assert "--input-range is the scale of --mean and --std" in capsys.readouterr().err


def test_the_axes_tell_the_layout_and_the_card_says_who_is_alone() -> None:
    path = foreign(toy_card())
    model = onnx.load(path)
    for dim, length in zip(
        model.graph.input[0].type.tensor_type.shape.dim[1:], (8, 8, 3), strict=True
    ):
        dim.dim_value = length
    onnx.save(model, path)
    card = written(path, *HALVES, "--batch", "alone")
    assert (card["layout"], card["batch"]) == ("nhwc", "alone")


def test_inspect_writes_a_card_for_a_foreign_member(images: Path) -> None:
    card = toy_card("net-f3")
    path = save_member(Path("folds"), card, toy_model(card))
    model = path.read_bytes()
    bare = onnx.load_from_string(model)
    del bare.metadata_props[:]
    onnx.save(bare, path)
    described = {
        "--classes": "cat,dog,eel", "--height": "8", "--width": "8",
        "--mean": "0.5,0.5,0.5", "--std": "0.25,0.25,0.25", "--output-name": "logits",
    }  # fmt: skip
    flags = [text for pair in described.items() for text in pair]
    assert ensemble("inspect", path, "--write-card", *flags) == 0
    written = json.loads(Path("folds/net-f3.onnx.card.json").read_text())
    assert (written["family"], written["fold"]) == ("net", 3)
    assert ensemble("run", "--members", path, "--images", images, "--out", "out") == 0


def test_inspect_and_run_note_families_that_look_like_single_folds(
    members: list[Path], images: Path, make_member: MakeMember, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = make_member("cow-f0")
    note = "families of one member beside ant of 2, bee of 2: cow"
    assert ensemble("inspect", *members, odd) == 0
    assert note in " ".join(capsys.readouterr().err.split())
    assert ensemble("run", "--members", *members, odd, "--images", images, "--out", "out") == 0
    assert note in " ".join(capsys.readouterr().err.split())


def test_a_card_of_a_name_without_a_family_asks_for_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    card = toy_card("net-f3")
    path = save_member(tmp_path, card, toy_model(card)).rename(tmp_path / "fold3.onnx")
    sizes = ("--height", "8", "--width", "8", "--mean", "0,0,0", "--std", "1,1,1")
    assert ensemble("inspect", path, "--write-card", "--classes", "a,b", *sizes) == 2
    assert "its name tells no family; give --family" in capsys.readouterr().err


def several_outputs(name: str, outputs: dict[str, tuple[int, ...]]) -> Path:
    """A net of no card: the mean of each channel, over the columns of each output."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["p"])]
    nodes += [helper.make_node("Flatten", ["p"], ["f"], axis=1)]
    constants, infos = [], []
    for number, (output, columns) in enumerate(outputs.items()):
        weights = np.linspace(-2, 3, 3 * max(columns, default=1), dtype=np.float32)
        shape = (3, *columns) if columns else (3,)
        constants.append(numpy_helper.from_array(weights.reshape(shape) + number, f"w{number}"))
        nodes.append(helper.make_node("MatMul", ["f", f"w{number}"], [output]))
        infos.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", *columns]))
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])
    graph = helper.make_graph(nodes, "g", [image], infos, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, name)
    return Path(name)


PIXELS = ("--height", "8", "--width", "8", "--mean", "0,0,0", "--std", "1,1,1")


def test_a_foreign_net_may_have_heads_of_different_tasks(images: Path) -> None:
    path = several_outputs("net-f0.onnx", {"years": (), "sex": (2,), "tags": (3,)})
    heads = ("--classes", "years=years", "--classes", "sex=f,m", "--classes", "tags=a,b,c")
    tasks = ("--task", "years=regression", "--task", "tags=multilabel")
    assert ensemble("inspect", path, "--write-card", *heads, *tasks, *PIXELS) == 0
    card = json.loads(Path("net-f0.onnx.card.json").read_text())
    assert [(h["name"], h["task"], h["activation"]) for h in card["heads"]] == [
        ("years", "regression", "none"),
        ("sex", "classification", "softmax"),
        ("tags", "multilabel", "sigmoid"),
    ]
    for head in ("years", "sex", "tags"):
        given = ("--members", path, "--images", images, "--head", head, "--out", head)
        assert ensemble("run", *given) == 0


def test_a_foreign_regression_gives_a_number_an_image(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    (tmp_path / "small").mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "small" / f"{number}.png")
    path = several_outputs("net-f0.onnx", {"years": ()})
    told = ("--classes", "years", "--task", "regression", "--head", "years", *PIXELS)
    assert ensemble("inspect", path, "--write-card", *told) == 0
    run = ("--members", path, "--images", tmp_path / "small", "--tta", "hflip", "--out", "out")
    assert ensemble("run", *run) == 0
    found = [line.split(",") for line in Path("out/submission.csv").read_text().split()]
    assert found[0] == ["id", "years"]
    expected = pixels.mean((1, 2)) / 255 @ np.linspace(-2, 3, 3)
    np.testing.assert_allclose([float(row[1]) for row in found[1:]], expected, atol=1e-5)


def test_a_detector_is_described_by_flags_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(detector_model(detector_card()), "finder.onnx")
    sizes = ("--height", "32", "--width", "32", "--mean", "0,0,0", "--std", "1,1,1")
    code = ensemble("inspect", "finder.onnx", "--write-card", "--task", "boxes", "--head", "face",
                    "--classes", "face", *sizes)  # fmt: skip
    assert code == 0
    told = capsys.readouterr()
    assert "face: a detector, 3 boxes" in told.out
    assert "vote together" not in told.err


def test_what_was_trained_on_crops_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(toy_model(toy_card()), "ant-f0.onnx")
    sizes = ("--height", "8", "--width", "8", "--mean", ".5,.5,.5", "--std", "1,1,1")
    code = ensemble("inspect", "ant-f0.onnx", "--write-card", "--classes", "a,b,c", *sizes,
                    "--output-name", "logits", "--margin", "0.25", "--square")  # fmt: skip
    assert code == 0
    assert "crops --margin 0.25 --square" in capsys.readouterr().out


def test_each_head_of_a_foreign_net_may_read_an_output_of_another_name(tmp_path: Path) -> None:
    """As tf2onnx calls them: Identity:0 and Identity_1:0. The values are those of a product."""
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(1).integers(0, 256, (4, 8, 8, 3), np.uint8)
    (tmp_path / "small").mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "small" / f"{number}.png")
    path = several_outputs("net-f0.onnx", {"Identity:0": (2,), "Identity_1:0": (1,)})
    heads = ("--classes", "sex=f,m", "--classes", "age=years", "--task", "age=regression")
    named = ("--output-name", "sex=Identity:0", "--output-name", "age=Identity_1:0")
    assert ensemble("inspect", path, "--write-card", *heads, *named, *PIXELS) == 0
    run = ("--members", path, "--images", tmp_path / "small")
    assert ensemble("run", *run, "--head", "age", "--out", "age") == 0
    assert ensemble("run", *run, "--head", "sex", "--output", "probs", "--out", "sex") == 0
    means = pixels.mean((1, 2)) / 255
    table = np.genfromtxt("age/submission.csv", delimiter=",", skip_header=1)
    np.testing.assert_allclose(table[:, 1], means @ (np.linspace(-2, 3, 3) + 1), atol=1e-5)
    logits = means @ np.linspace(-2, 3, 6).reshape(3, 2)
    table = np.genfromtxt("sex/submission.csv", delimiter=",", skip_header=1)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(table[:, 1:], expected, atol=1e-5)


def test_an_output_that_the_file_lacks_is_told_with_the_flag(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = several_outputs("net-f0.onnx", {"Identity:0": (2,), "Identity_1:0": (1,)})
    heads = ("--classes", "sex=f,m", "--classes", "age=years", "--task", "age=regression")
    named = ("--output-name", "sex=Identity:0")
    assert ensemble("inspect", path, "--write-card", *heads, *named, *PIXELS) == 4
    told = " ".join(capsys.readouterr().err.split())
    assert "no output 'age'; the file has: Identity:0, Identity_1:0" in told
    assert "--output-name age=NAME" in told


EXPORT = ("export", "a-f0.pt", "b-f0.pt", "--arch", "resnet10t", "--classes", "a,b", "--out", "o")


def test_a_soup_takes_what_is_told_of_its_images(monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[SoupOrder] = []

    def note(order: SoupOrder, *_: object) -> None:
        orders.append(order)
        raise UsageError("enough")

    monkeypatch.setattr(soup, "export_soup", note)
    told = ("--images", "i", "--images", "j", "--labels", "l.csv", "--label-col", "kind")
    assert ensemble(*EXPORT, "--soup", *told, "--id-col", "file", "--force") == 2
    (order,) = orders
    assert order.checkpoints == (Path("a-f0.pt"), Path("b-f0.pt"))
    assert (order.images, order.labels, order.force) == (("i", "j"), Path("l.csv"), True)
    assert (order.label_column, order.id_column, order.spec.arch) == ("kind", "file", "resnet10t")


def test_a_soup_without_images_says_what_they_are_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble(*EXPORT, "--soup") == 2
    assert "--soup: give --images like those to predict" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--images", "--labels", "--label-col", "--id-col"])
def test_what_only_a_soup_looks_at_is_refused_without(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble(*EXPORT, flag, "x") == 2
    assert f"{flag}: only --soup looks at images; add it" in capsys.readouterr().err
