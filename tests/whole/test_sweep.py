"""Nets of timm export by name and equal torch, under ttach's views too: a few of the sweep's."""

import runpy
from pathlib import Path

import pytest

SWEEP = Path(__file__).parents[2] / "benchmarks" / "sweep_timm.py"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("arch", "size"),
    [("resnet10t", 64), ("vit_tiny_patch16_224", 64), ("hgnetv2_b0", 224), ("nest_tiny", 112)],
)
def test_a_net_of_timm_exports_and_equals_torch(arch: str, size: int) -> None:
    found = runpy.run_path(str(SWEEP))["check"](arch, size)
    assert "fault" not in found
    assert found["difference"] < 1e-4
    assert found["views"] < 1e-5


def test_an_architecture_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    sweep = runpy.run_path(str(SWEEP))
    results = tmp_path / "results.jsonl"
    results.write_text('{"arch": "a", "fault": "why | not"}\n')
    assert sweep["read"](results) == {"a": {"arch": "a", "fault": "why | not"}}
    assert "| a | why / not |" in sweep["table"](sweep["read"](results))
