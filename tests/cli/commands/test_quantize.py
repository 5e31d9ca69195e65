"""`ensemble quantize`."""

from pathlib import Path

import pytest
from toys import ensemble

from ensemble.pipeline import quantize
from ensemble.pipeline.quantize_order import QuantizeOrder
from ensemble.records import DecodePolicy


def test_quantize_reads_images_as_a_run_would(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = []

    def note(order: QuantizeOrder, *_: object) -> list[object]:
        orders.append(order)
        return []

    monkeypatch.setattr(quantize, "quantize_members", note)
    Path("ensemble.toml").write_text('exif = "ignore"\nid_from = "name"\ntta = "flip"\n')
    assert ensemble("quantize", "a.onnx", "--images", "i", "--alpha", "white", "--out", "o") == 0
    assert orders[0].decode == DecodePolicy(exif="ignore", alpha="white")
    assert orders[0].id_from == "name"
