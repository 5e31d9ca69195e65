"""A member's graph is computed by what was asked for."""

from pathlib import Path

import numpy as np
import pytest
from toys import MakeMember, external

from ensemble.errors import MemberError
from ensemble.inference.probe import probe_images
from ensemble.inference.start import start
from ensemble.members.member import open_member
from ensemble.runtime import agreement
from ensemble.runtime.agreement import How
from ensemble.views import policy


def begun(path: Path, device: str, tta: str = "flip"):  # noqa: ANN201
    member, views = open_member(path), policy.preset(tta)
    return start(member, views, "mean", device=device, threads=2, batch=2)


@pytest.mark.parametrize(
    ("device", "provider"), [("cpu", "CPUExecutionProvider"), ("openvino", "OpenVINO")]
)
def test_the_provider_is_that_of_the_device(
    make_member: MakeMember, device: str, provider: str
) -> None:
    assert begun(make_member(), device).scorer.provider == provider


def test_external_data_is_read_by_openvino_too(tmp_path: Path) -> None:
    path = external(tmp_path)
    images = probe_images((3, 8, 8, 3))
    (here, there) = (begun(path, device).score(images)["label"] for device in ("cpu", "openvino"))
    np.testing.assert_allclose(here, there, atol=1e-6)


def test_a_member_that_openvino_computes_otherwise_is_refused(
    make_member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = How("by OpenVINO", -1.0, "Use --device cpu")
    monkeypatch.setattr(agreement, "OPENVINO_FLOAT32", none)
    with pytest.raises(MemberError, match="toy-f0.onnx: by OpenVINO, head 'label' differs"):
        begun(make_member(), "openvino")
