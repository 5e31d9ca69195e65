"""What computes a member's composed graph: ONNX Runtime, or OpenVINO where that was asked for."""

from dataclasses import dataclass
from pathlib import Path

from ensemble.files.atomic import sha256_bytes, sha256_json
from ensemble.inference.probe import outputs_of
from ensemble.members.member import Member
from ensemble.records import Precision
from ensemble.runtime.devices import OPENVINO, TENSORRT, engine_host, provider_of
from ensemble.runtime.openvino import OpenVinoScorer
from ensemble.runtime.scorer import Session
from ensemble.runtime.session import OnnxScorer


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Where a member computes, with how many threads, in what; `cache` keeps TensorRT's engines.

    `rows` are the images of a batch, for which OpenVINO compiles it.
    """

    device: str
    threads: int
    precision: Precision
    cache: Path | None
    rows: int


def open_scorer(member: Member, model: bytes, options: SessionOptions) -> Session:
    """Open a session over a member's composed graph.

    Raises:
        MemberError: the graph is refused.
        ProviderError: the device does not start.
    """
    outputs, precision = outputs_of(member), options.precision
    if provider_of(options.device) == OPENVINO:
        return OpenVinoScorer(
            model, outputs, batch=options.rows, threads=options.threads, precision=precision
        )
    return OnnxScorer(
        model,
        outputs,
        device=options.device,
        threads=options.threads,
        folder=member.folder,
        precision=precision,
        cache=options.cache and _engines(options.cache, member, model, options),
    )


def _engines(cache: Path, member: Member, model: bytes, options: SessionOptions) -> Path | None:
    """Return the folder for TensorRT's engines of a graph, named by all that an engine depends on.

    That is what it holds, weights too, as ONNX Runtime goes by node names; and what it was built
    for: an engine that was copied from another machine is not found, and built anew.
    """
    if provider_of(options.device) != TENSORRT:
        return None
    holds = [member.sha256, sha256_bytes(model), options.precision]
    return cache / sha256_json([*holds, *engine_host(options.device)])[:16]
