"""Members in Python."""

from pathlib import Path

import onnx
import pytest
from toys import MakeMember, ensemble, save_member, toy_card, toy_model

import ensemble as public
from ensemble.errors import MemberError, UsageError
from ensemble.export import to_onnx
from ensemble.pipeline import soup
from ensemble.pipeline.soup_order import SoupOrder
from ensemble.progress import Quiet


def test_cards_are_shown_by_file(members: list[Path]) -> None:
    cards = public.inspect_members(members[0].parent)
    assert {path.name: card.name for path, card in cards.items()} == {
        path.name: path.stem for path in members
    }


def test_members_that_cannot_vote_together_are_refused(
    members: list[Path], make_member: MakeMember
) -> None:
    with pytest.raises(MemberError):
        public.inspect_members([*members, make_member("cow-f0", classes=("x", "y"))])


def test_python_writes_the_card_that_the_command_writes(tmp_path: Path) -> None:
    paths = []
    for folder in ("one", "two"):
        card = toy_card("net-f3")
        path = save_member(tmp_path / folder, card, toy_model(card))
        foreign = onnx.load(path)
        del foreign.metadata_props[:]
        onnx.save(foreign, path)
        paths.append(path)
    described = {"classes": "cat,dog,eel", "height": 8, "width": 8, "mean": "102,127.5,51",
                 "std": "51,51,51", "input-range": 255, "channel-order": "bgr", "batch": "alone",
                 "layout": "nchw", "output-name": "logits"}  # fmt: skip
    flags = [f"--{name}={value}" for name, value in described.items()]
    assert ensemble("inspect", paths[0], "--write-card", *flags) == 0
    pixels = public.PreprocessFlags(
        height=8, width=8, mean=(0.4, 0.5, 0.2), std=(0.2,) * 3, channel_order="bgr"
    )
    head = public.HeadSpec("label", ("cat", "dog", "eel"))
    spec = public.ExportSpec("foreign", (head,), preprocess=pixels, batch="alone")
    found = public.inspect_members(paths[1], write_card=spec, output_name="logits", layout="nchw")
    assert [card.name for card in found.values()] == ["net-f3"]
    by_command, by_python = (path.with_name("net-f3.onnx.card.json") for path in paths)
    assert by_python.read_bytes() == by_command.read_bytes()


def test_an_export_tells_how_many_members_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []

    class Watching(Quiet):
        def start(self, total: int, members: int, unit: str = "images") -> None:
            told.append((total, members, unit))

        def advance(self, evaluations: int) -> None:
            told.append(evaluations)

    monkeypatch.setattr(to_onnx, "export_members", lambda paths, *_, **__: iter(paths))
    spec = public.ExportSpec("tiny", (public.HeadSpec("label", ("cat", "dog")),))
    public.export_members(["a.pt", "b.pt"], spec, tmp_path, progress=Watching())
    assert told == [(2, 1, "members"), 1, 1]


SPEC = public.ExportSpec("tiny", (public.HeadSpec("label", ("cat", "dog")),))


def test_a_soup_is_one_member_of_all_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = []

    def note(order: SoupOrder, out: Path, _: object) -> str:
        orders.append((order, out))
        return "made"

    monkeypatch.setattr(soup, "export_soup", note)
    labels = tmp_path / "labels.csv"
    made = public.export_members(
        ["a.pt", "b.pt"], SPEC, tmp_path, soup=True, images="test", labels=labels,
        label_col="kind", id_col="file", force=True,
    )  # fmt: skip
    assert made == ["made"]
    paths = (Path("a.pt"), Path("b.pt"))
    order = SoupOrder(paths, SPEC, ("test",), labels, "kind", "file", force=True)
    assert orders == [(order, tmp_path)]


@pytest.mark.parametrize("told", [{"images": "test"}, {"labels": {"a": "cat"}}])
def test_only_a_soup_looks_at_images(tmp_path: Path, told: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="only a soup looks at images; say soup=True"):
        public.export_members(["a.pt"], SPEC, tmp_path, **told)  # type: ignore[arg-type]
