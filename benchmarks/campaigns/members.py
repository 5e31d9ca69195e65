"""Mutated members and cards, and the known attacks: a member error, or a clean load.

    python benchmarks/campaigns/members.py --count 2000 --seed 20

Each trial writes a damaged member into a folder of its own and starts it as a run does, in a child
process whose memory is capped. A file outside the folder holds weights that would be valid; an
audit hook counts what is opened, run or connected, beside the member's folder.
"""

import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[1]))

from campaigns.trials import Outcome, asked_of, print_tally, run_trials

from ensemble.errors import MemberError
from ensemble.inference import start
from ensemble.inference.probe import probe_images
from ensemble.members.card import Card, Head
from ensemble.members.card_json import to_json
from ensemble.members.member import embed_card, open_member
from ensemble.records import Preprocess, Size
from ensemble.views import policy

MEMORY = 8 * 2**30
"""The address space of a child, in bytes."""

_FORBIDDEN = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect",
              "ctypes.dlopen", "import")  # fmt: skip


def card() -> Card:
    """Return the card of the member that is damaged."""
    pre = Preprocess(Size(8, 8), "crop", 1.0, "bilinear", (0.5,) * 3, (0.25,) * 3)
    head = Head("label", "logits", "classification", "softmax", ("cat", "dog", "eel"))
    return Card("toy-f0", "toy", 0, "toy", pre, (head,))


def model(opset: int = 18) -> ModelProto:
    """Return a small net without a card: a convolution, a branch and a linear map."""
    rng = np.random.default_rng(20)
    held = {
        "kernel": rng.normal(0, 0.3, (4, 3, 3, 3)),
        "matrix": rng.normal(0, 0.3, (4, 3)),
    }
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["maps"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in held.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 8
    return made


@cache
def clean(opset: int = 18) -> bytes:
    """Return the member with its card inside."""
    made = model(opset)
    embed_card(made, card())
    return made.SerializeToString()


# ---- trials


def trial(seed: int, number: int) -> Outcome:
    """Damage a member, and start it."""
    rng = random.Random(f"{seed}/{number}")
    kind = rng.choice(list(_MUTATIONS))
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "folds"
        folder.mkdir()
        _MUTATIONS[kind](folder, rng)
        return started(kind, folder)


def attack(name: str) -> Outcome:
    """Make a known attack, and start it; a clean load counts as a fault."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "folds"
        folder.mkdir()
        ATTACKS[name](folder)
        found = started(name, folder)
    return Outcome(name, found.result, found.result == "member error", detail=found.detail)


def started(group: str, folder: Path) -> Outcome:
    """Open the member of a folder and prove it on a probe, watched."""
    path = folder / "toy-f0.onnx"
    with watched(folder) as seen:
        try:
            ready = start.start(
                open_member(path), policy.preset("hflip"), "mean", device="cpu", threads=1, batch=4
            )
            scores = ready.scorer.score(probe_images((4, 8, 8, 3)))
            shapes = [probs.shape for probs in scores.values()]
            result = "clean load" if shapes == [(4, 3)] else f"shapes {shapes}"
            detail = ""
        except MemberError as error:
            result, detail = "member error", str(error)
        except Exception as error:
            result, detail = type(error).__name__, str(error)[:200]
    if seen:
        return Outcome(group, "reached outside", allowed=False, detail=", ".join(seen)[:200])
    return Outcome(group, result, result in ("clean load", "member error"), detail=detail)


_WATCH: dict[str, list[str] | Path] = {}


@contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """Collect what Python opens outside a folder, runs or connects to, in this process."""
    if not _WATCH:
        sys.addaudithook(_audit)
    seen: list[str] = []
    _WATCH.update(folder=folder, seen=seen)
    try:
        yield seen
    finally:
        _WATCH.update(seen=[])


def _audit(event: str, args: tuple[object, ...]) -> None:
    seen = _WATCH.get("seen")
    if not isinstance(seen, list) or not _WATCH.get("folder"):
        return
    if event in _FORBIDDEN and event != "import":
        seen.append(event)
    elif event == "open" and isinstance(args[0], str | bytes):
        place = os.fsdecode(args[0])
        own = place.startswith((str(_WATCH["folder"]), sys.prefix, sys.base_prefix, "/proc/self"))
        package = str(Path(start.__file__).parent)
        if not own and not place.startswith(package) and not place.endswith((".py", ".pyc")):
            seen.append(place)


def capped(function: Callable[[int], Outcome]) -> Callable[[int], Outcome]:
    """Run a trial with a cap on the process's memory."""

    def inner(number: int) -> Outcome:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        return function(number)

    return inner


# ---- mutations


def _write(folder: Path, data: bytes) -> None:
    (folder / "toy-f0.onnx").write_bytes(data)


def _flipped(folder: Path, rng: random.Random) -> None:
    data = bytearray(clean(rng.choice((9, 18))))
    for _ in range(rng.choice((1, 1, 2, 8, 40))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    _write(folder, bytes(data))


def _spliced(folder: Path, rng: random.Random) -> None:
    data = clean()
    start, end = sorted(rng.randrange(len(data)) for _ in range(2))
    parts = (data[:start], data[start:end], data[end:])
    _write(folder, b"".join(rng.choice((parts[:1], parts[::2], parts[::-1], (*parts, parts[1])))))


def _fielded(folder: Path, rng: random.Random) -> None:
    """Edit one field of the proto, chosen anywhere in it."""
    made = onnx.load_model_from_string(clean(rng.choice((9, 18))))
    for _ in range(rng.choice((1, 1, 3))):
        _edit(made, rng)
    _write(folder, made.SerializeToString())


def _edit(message: object, rng: random.Random) -> None:
    """Walk down to a field and change it: another number, another text, or doubled entries."""
    fields = message.ListFields()
    if not fields:
        return
    field, value = rng.choice(fields)
    repeated = field.is_repeated
    if field.message_type is not None:
        child = rng.choice(list(value)) if repeated else value
        if repeated and rng.random() < 0.1:
            value.add().CopyFrom(child)
        elif rng.random() < 0.1:
            message.ClearField(field.name)
        else:
            _edit(child, rng)
        return
    odd = _ODD.get(field.cpp_type)
    if odd is None or field.type == field.TYPE_BYTES:
        return
    new = rng.choice(odd)
    if repeated:
        value[rng.randrange(len(value))] = new
    else:
        setattr(message, field.name, new)


_INTS = (0, 1, 2, 3, 4, 7, 8, 9, 16, 64, 99, -1, 2**31 - 1, -(2**31))
_ODD = {
    1: _INTS, 2: (*_INTS, 2**62, -(2**63)), 3: (0, 1, 2**32 - 1), 4: (0, 1, 2**64 - 1),
    5: (0.0, 1e300, float("nan"), float("inf")), 6: (0.0, 1e30, float("nan"), float("inf")),
    9: ("", "image", "logits", "evil", "com.microsoft", "ai.onnx.ml", "Relu", "Softmax", "Loop",
        "If", "Sin", "a\0b", "../x", "\u00e9" * 300, "ensemble/images"),
}  # fmt: skip


def _external(folder: Path, rng: random.Random) -> None:
    """Move the weights to a file, and describe them wrongly."""
    made = onnx.load_model_from_string(clean())
    tensor = rng.choice(list(made.graph.initializer))
    (folder / "w.data").write_bytes(tensor.raw_data + bytes(64))
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    places = ("w.data", "", ".", "..", "/etc/passwd", "../secret", "w.data\0", "*/_ORT_MEM_ADDR_/*",
              "a" * 5000, "w.data/", "./w.data", "~", "file:///etc/passwd")  # fmt: skip
    tensor.external_data.add(key="location", value=rng.choice(places))
    for key in rng.sample(("offset", "length", "checksum", "basepath", "location", "__class__"), 2):
        value = rng.choice(("0", "8", "-1", "abc", "1" * 400, "1e3", " 4", "w.data", "\u0663"))
        tensor.external_data.add(key=key, value=value)
    (folder.parent / "secret").write_bytes(bytes(4096))
    written = json.loads(to_json(card()))
    written["source"] = {"sha256:w.data": "0" * 64}
    embed = next(p for p in made.metadata_props if p.key == "ensemble.card")
    embed.value = json.dumps(written)
    _write(folder, made.SerializeToString())


def _carded(folder: Path, rng: random.Random) -> None:
    """Change a field of the card, chosen anywhere in it, inside or beside."""
    record = json.loads(to_json(card()))
    _edit_json(record, rng)
    text = json.dumps(record)
    if rng.random() < 0.2:
        at = rng.randrange(len(text))
        text = rng.choice((text[:at], text[:at] + "\ufffd" + text[at:], text.replace('"', "'"), ""))
    if rng.random() < 0.5:
        _write(folder, model().SerializeToString())
        (folder / "toy-f0.onnx.card.json").write_bytes(text.encode())
        return
    made = model()
    made.metadata_props.add(key="ensemble.card", value=text)
    _write(folder, made.SerializeToString())


def _edit_json(record: dict[str, object], rng: random.Random) -> None:
    name = rng.choice(list(record) or ["x"])
    inner = record.get(name)
    if isinstance(inner, dict) and inner and rng.random() < 0.7:
        _edit_json(inner, rng)
    elif isinstance(inner, list) and inner and isinstance(inner[0], dict) and rng.random() < 0.7:
        _edit_json(inner[0], rng)
    elif rng.random() < 0.1:
        del record[name]
    elif rng.random() < 0.1:
        record[rng.choice(("factory", "__class__", "weights", name + " "))] = "os:system"
    else:
        record[name] = rng.choice(_ODD_JSON)


def _deep() -> object:
    value: object = 0
    for _ in range(400):
        value = [value]
    return value


_ODD_JSON: tuple[object, ...] = (
    None, True, -1, 0, 10**400, 1e308, float("nan"), 16_384, "", "x" * 10**6, "\ud800", "a\0b",
    [], {}, _deep(), [0.5] * 3, ["a", "a"], [str(n) for n in range(10**5)], [["a"]],
    ["x\n", "y", "z"], "os:system", [1, 2, 3], 10**30,
)  # fmt: skip

_MUTATIONS: dict[str, Callable[[Path, random.Random], None]] = {
    "bytes": _flipped, "cut or spliced": _spliced, "proto field": _fielded,
    "external data": _external, "card field": _carded,
}  # fmt: skip


# ---- attacks


def _placed(folder: Path, location: str, where: str = "initializer") -> None:
    """Let a tensor's data lie at a place outside, with the right bytes there."""
    made = model()
    tensor = made.graph.initializer[1]
    raw = tensor.raw_data
    (folder.parent / "secret").write_bytes(raw)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location.format(root=folder.parent))
    outside = TensorProto()
    outside.CopyFrom(tensor)
    if where != "initializer":
        del made.graph.initializer[1]
    if where == "attribute":
        made.graph.node.insert(0, helper.make_node("Constant", [], ["matrix"], value=outside))
    elif where == "sparse":
        indices = numpy_helper.from_array(np.arange(12), "indices")
        made.graph.sparse_initializer.add(values=outside, indices=indices, dims=[4, 3])
    elif where == "function":
        function = _function("Sly", [("Identity", "")])
        function.attribute_proto.append(helper.make_attribute("value", outside))
        made.functions.append(function)
        made.graph.initializer.append(numpy_helper.from_array(np.zeros((4, 3), "f4"), "matrix"))
    written = json.loads(to_json(card()))
    written["source"] = {f"sha256:{location}": "0" * 64}
    made.metadata_props.add(key="ensemble.card", value=json.dumps(written))
    _write(folder, made.SerializeToString())


def _linked(folder: Path, link: Callable[[Path, Path], None]) -> None:
    _placed(folder, "w.data")
    link(folder.parent / "secret", folder / "w.data")


def _linked_folder(folder: Path) -> None:
    _placed(folder, "sub/secret")
    (folder / "sub").symlink_to(folder.parent, target_is_directory=True)


def _memory_address(folder: Path) -> None:
    _placed(folder, "*/_ORT_MEM_ADDR_/*")
    (folder / "*" / "_ORT_MEM_ADDR_").mkdir(parents=True)
    (folder / "*" / "_ORT_MEM_ADDR_" / "*").write_bytes(bytes(4096))


def _with_card(folder: Path, made: ModelProto) -> None:
    embed_card(made, card())
    _write(folder, made.SerializeToString())


def _foreign(folder: Path, *, inside: bool) -> None:
    made = model()
    evil = helper.make_node("Run", ["active"], ["sly"], domain="evil")
    if not inside:
        made.graph.node.insert(2, evil)
    else:
        out = [helper.make_tensor_value_info("sly", TensorProto.FLOAT, None)]
        body = helper.make_graph([evil], "body", [], out)
        yes = numpy_helper.from_array(np.array(True), "yes")
        made.graph.initializer.append(yes)
        node = helper.make_node("If", ["yes"], ["never"], then_branch=body, else_branch=body)
        made.graph.node.insert(2, node)
    _with_card(folder, made)


def _function(name: str, calls: list[tuple[str, str]]) -> onnx.FunctionProto:
    steps = ["x", *(f"t{i}" for i in range(len(calls) - 1)), "y"]
    nodes = [helper.make_node(kind, [steps[i]], [steps[i + 1]], domain=domain)
             for i, (kind, domain) in enumerate(calls)]  # fmt: skip
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_function("com.microsoft", name, ["x"], ["y"], nodes, imports)


def _called(folder: Path, *functions: onnx.FunctionProto) -> None:
    made = model()
    made.graph.node[1].op_type, made.graph.node[1].domain = functions[-1].name, "com.microsoft"
    made.functions.extend(functions)
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    _with_card(folder, made)


def _laughing(folder: Path) -> None:
    """Thirty functions, each calling the one before twice: a thousand million nodes."""
    first = _function("F0", [("Identity", "")])
    rest = [_function(f"F{i}", [(f"F{i - 1}", "com.microsoft")] * 2) for i in range(1, 31)]
    _called(folder, first, *rest)


def _metadata(folder: Path) -> None:
    made = model()
    made.metadata_props.add(key="ensemble.card", value='{"schema": 1, "x": "' + "x" * 9_000_000)
    _write(folder, made.SerializeToString())


def _factory(folder: Path) -> None:
    made = model()
    record = {**json.loads(to_json(card())), "factory": "os:system"}
    made.metadata_props.add(key="ensemble.card", value=json.dumps(record))
    _write(folder, made.SerializeToString())


_HIDDEN = "com.microsoft"
ATTACKS: dict[str, Callable[[Path], None]] = {
    "external data, absolute": lambda f: _placed(f, "{root}/secret"),
    "external data, ..": lambda f: _placed(f, "../secret"),
    "external data, .. within": lambda f: _placed(f, "sub/../../secret"),
    "external data of an attribute": lambda f: _placed(f, "../secret", "attribute"),
    "external data of a sparse tensor": lambda f: _placed(f, "../secret", "sparse"),
    "external data of a function's default": lambda f: _placed(f, "../secret", "function"),
    "external data, memory address": _memory_address,
    "symbolic link": lambda f: _linked(f, lambda real, link: link.symlink_to(real)),
    "hard link": lambda f: _linked(f, lambda real, link: link.hardlink_to(real)),
    "linked folder": _linked_folder,
    "foreign domain": lambda f: _foreign(f, inside=False),
    "foreign domain in an If": lambda f: _foreign(f, inside=True),
    "foreign operator in a function": lambda f: _called(f, _function("A", [("Run", "evil")])),
    "recursive function": lambda f: _called(f, _function("A", [("A", _HIDDEN)])),
    "functions that call each other": lambda f: _called(
        f, _function("A", [("B", _HIDDEN)]), _function("B", [("A", _HIDDEN)])
    ),
    "functions that double": _laughing,
    "huge metadata": _metadata,
    "a card that names a factory": _factory,
}


def main() -> None:
    """Print the tally."""
    asked = asked_of(__doc__, 2000)
    names, began = list(ATTACKS), time.perf_counter()
    known = run_trials(capped(lambda n: attack(names[n])), len(names), workers=1)
    mutated = run_trials(capped(lambda n: trial(asked.seed, n)), asked.count, workers=asked.workers)
    print_tally(mutated, seed=asked.seed, seconds=time.perf_counter() - began)
    print()
    print_tally(known, seed=asked.seed, seconds=time.perf_counter() - began)
    raise SystemExit(bool(known.faults or mutated.faults))


if __name__ == "__main__":
    main()
