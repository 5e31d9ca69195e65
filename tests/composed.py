"""A scorer over the composed graph of a toy member, and the same member in torch."""

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto

from ensemble.members.card import Card
from ensemble.records import Merge
from ensemble.runtime import graph
from ensemble.runtime.session import OnnxScorer
from ensemble.views import policy
from ensemble.views import policy as views
from ensemble.views.pixels import output_size

TTACH_MERGES: tuple[Merge, ...] = ("mean", "gmean", "max", "min", "tsharpen")


def composed(card: Card, model: ModelProto, tta: str, merge: Merge, **how: int) -> OnnxScorer:
    """A scorer over the composed graph."""
    size = card.preprocess.size
    shaped = [policy.Shaped(v, output_size(v, size)) for v in views.preset(tta)]
    whole = graph.compose_graph(model, card, shaped, merge, **how)
    names = {h.name: graph.probs_name(h) for h in card.heads}
    return OnnxScorer(whole.SerializeToString(), names, device="cpu")


def normalised(images: NDArray[np.uint8], card: Card) -> torch.Tensor:
    """What torchvision's ToTensor and Normalize give."""
    pre = card.preprocess
    mean, std = (torch.tensor(v).reshape(1, -1, 1, 1) for v in (pre.mean, pre.std))
    return (torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float() / 255 - mean) / std
