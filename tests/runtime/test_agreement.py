"""What another precision or runtime changes of a head is told, and refused over a bound."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import toy_card

from ensemble.errors import MemberError
from ensemble.records import Precision
from ensemble.runtime import agreement
from ensemble.runtime.agreement import (
    FLOAT16,
    Agreement,
    How,
    check_agreement,
    how_computed,
    together,
)

LABEL = toy_card().heads[0]


@pytest.mark.parametrize("nothing", [np.nan, np.inf])
def test_an_activation_beyond_float16_is_refused(nothing: float) -> None:
    full = np.full((2, 3), 1 / 3, np.float32)
    with pytest.raises(MemberError, match="'label' overflows float16, which ends at 65504"):
        check_agreement(LABEL, full, full * np.float32(nothing), FLOAT16)


@given(st.floats(0, 1), st.integers(1, 5))
def test_what_is_within_the_bound_is_accepted(share: float, rows: int) -> None:
    full = np.full((rows, 3), 1 / 3, np.float32)
    check_agreement(LABEL, full, full + np.float32(share * FLOAT16.bound * 0.99), FLOAT16)


def test_rows_that_float32_cannot_give_are_not_held_against_float16() -> None:
    nothing = np.full((2, 3), np.nan, np.float32)
    check_agreement(LABEL, nothing, nothing, FLOAT16)


def test_a_regression_is_judged_by_the_size_of_its_values() -> None:
    head = replace(LABEL, task="regression", activation="none")
    full = np.array([[500.0, -3.0, 1.0]], np.float32)
    check_agreement(head, full, full + 4, FLOAT16)
    with pytest.raises(MemberError, match="no labels"):
        check_agreement(head, full, full + 6, FLOAT16)


def test_the_labels_of_a_multilabel_head_agree_where_all_of_an_image_do() -> None:
    head = replace(LABEL, task="multilabel", activation="sigmoid")
    full = np.array([[0.4, 0.9, 0.1], [0.2, 0.2, 0.2]], np.float32)
    with pytest.raises(MemberError, match="1 of 2 labels"):
        check_agreement(head, full, full + np.float32(0.15), FLOAT16)


def test_the_difference_is_told_with_the_labels_that_agree() -> None:
    full = np.array([[0.6, 0.4, 0.0], [0.5, 0.4, 0.1]], np.float32)
    half = np.array([[0.6, 0.4, 0.0], [0.4, 0.5, 0.1]], np.float32)
    with pytest.raises(MemberError) as told:
        check_agreement(LABEL, full, half, FLOAT16)
    assert str(told.value) == (
        "in float16, head 'label' differs by 0.1 on a probe batch, and at most 0.01 is accepted; "
        "1 of 2 labels agree. Use --precision fp32"
    )


def test_a_row_that_float32_cannot_give_counts_for_no_label() -> None:
    full = np.array([[np.nan] * 3, [0.5, 0.4, 0.1]], np.float32)
    half = np.array([[0.0] * 3, [0.4, 0.5, 0.1]], np.float32)
    with pytest.raises(MemberError, match="0 of 1 labels agree"):
        check_agreement(LABEL, full, half, FLOAT16)


def test_labels_that_change_within_the_bound_are_counted() -> None:
    full = np.array([[0.51, 0.49, 0.0], [0.1, 0.2, 0.7]], np.float32)
    other = np.array([[0.49, 0.51, 0.0], [0.1, 0.2, 0.7]], np.float32)
    found = check_agreement(LABEL, full, other, agreement.OPENVINO_BFLOAT16)
    assert (found.labels, found.changed) == (2, 1)
    assert found.difference == pytest.approx(0.02)


def test_a_regression_counts_no_labels() -> None:
    head = replace(LABEL, task="regression", activation="none")
    full = np.array([[500.0, -3.0, 1.0]], np.float32)
    assert check_agreement(head, full, full + 4, FLOAT16) == Agreement(0, 0, 4.0)


def test_heads_and_members_add_up() -> None:
    found = together([Agreement(3, 1, 0.5), Agreement(0, 0, 2.0), Agreement(2, 2, 0.1)])
    assert found == Agreement(5, 3, 2.0)
    assert together([]) == Agreement(0, 0, 0.0)


@pytest.mark.parametrize(
    ("device", "precision", "quantised", "how"),
    [
        ("cpu", "fp32", False, None),
        ("auto", "fp32", True, None),
        ("cuda:1", "fp16", False, FLOAT16),
        ("openvino", "fp32", False, agreement.OPENVINO_FLOAT32),
        ("openvino", "fp32", True, agreement.OPENVINO_INT8),
        ("openvino", "bf16", False, agreement.OPENVINO_BFLOAT16),
    ],
)
def test_what_is_not_float32_by_onnx_runtime_is_held_to_it(
    device: str, precision: Precision, quantised: bool, how: How | None
) -> None:
    assert how_computed(device, precision, quantised=quantised) == how


def test_nothing_but_float16_is_said_to_overflow_it() -> None:
    full = np.full((1, 3), 1 / 3, np.float32)
    with pytest.raises(MemberError, match="by OpenVINO, head 'label' gives NaN.*--device cpu"):
        check_agreement(LABEL, full, full * np.nan, agreement.OPENVINO_FLOAT32)
