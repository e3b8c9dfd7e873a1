"""ONNX's own test cases of its Attention operator, run against this package: every case is passed or listed.

The expected numbers are ONNX's, computed by its reference implementation when the cases are made.
"""

import warnings

import numpy as np
import pytest
import torch

from tests.attnbook.onnx_adapter import NO_SCORES, NO_SOFTCAP, NO_STAGE, Node, by_attention, by_fused

EXPANDED = "_expanded"  # the same case with the node written out in simple operators: the same numbers once more
FUNCTIONS = {"attention": by_attention, "fused": by_fused}

# The outputs that are left out, by case. A case that is in neither list must be passed in all its outputs.
SOFTCAP = {
    "test_attention_3d_diff_heads_sizes_softcap",
    "test_attention_3d_gqa_softcap",
    "test_attention_3d_softcap",
    "test_attention_3d_with_past_and_present_qk_matmul_softcap",
    "test_attention_4d_diff_heads_sizes_softcap",
    "test_attention_4d_gqa_softcap",
    "test_attention_4d_softcap",
    "test_attention_4d_softcap_neginf_mask",
    "test_attention_4d_softcap_neginf_mask_poison",
    "test_attention_4d_with_qk_matmul_softcap",
    "test_attention_local_window_gqa_rank4_mask",
}
BIASED = {
    "test_attention_3d_with_past_and_present_qk_matmul_bias",
    "test_attention_4d_with_past_and_present_qk_matmul_bias",
    "test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask",
    "test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal",
    "test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask",
    "test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal",
    "test_attention_4d_with_qk_matmul_bias",
}
OTHER_STAGES = {
    "test_attention_23_fullymasked_qk_matmul_output_mode3_zero",
    "test_attention_24_fullymasked_qk_matmul_output_mode3_zero",
    "test_attention_24_qk_matmul_output_mode3_softmax_precision",
    "test_attention_3d_with_past_and_present_qk_matmul",
    "test_attention_3d_with_past_and_present_qk_matmul_softmax",
    "test_attention_4d_with_past_and_present_qk_matmul",
    "test_attention_4d_with_qk_matmul",
    "test_attention_4d_with_qk_matmul_softmax",
}
LEFT_OUT = {
    "attention": {(case, "qk_matmul_output"): NO_STAGE for case in BIASED},
    "fused": {(case, "qk_matmul_output"): NO_SCORES for case in BIASED | OTHER_STAGES}
    | {(case, "*"): NO_SOFTCAP for case in SOFTCAP},
}


@pytest.fixture(scope="module")
def cases():
    """Name -> case, all of them. onnx makes the cases of every operator at once, some of which warn."""
    from onnx.backend.test.case.node import collect_testcases

    np.random.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return {case.name: case for case in collect_testcases("Attention")}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_case_is_passed_or_listed(function, cases):
    left_out, wrong = {}, {}
    for name, case in cases.items():
        if name.endswith(EXPANDED):
            continue
        node = Node(case)
        found, reasons = FUNCTIONS[function](node)
        for output, expected in node.expected.items():
            if output in reasons:
                left_out[name, "*" if reasons[output] == NO_SOFTCAP else output] = reasons[output]
                continue
            try:
                same(found[output], expected, case)
            except AssertionError as error:
                wrong[name, output] = str(error)
    assert not wrong
    assert left_out == LEFT_OUT[function]


def same(found, expected, case):
    """The case's own tolerance; in half precision one unit in the last place more, as ours is rounded only once."""
    spacing = torch.finfo(expected.dtype).eps if expected.dtype.itemsize == 2 else 0.0
    torch.testing.assert_close(found, expected, rtol=max(case.rtol, 2 * spacing), atol=max(case.atol, spacing))


def test_the_expanded_cases_hold_the_same_numbers(cases):
    """So leaving them out leaves out nothing: they have no Attention node to read."""
    plain = {name for name in cases if not name.endswith(EXPANDED)}
    assert {name.removesuffix(EXPANDED) for name in cases if name.endswith(EXPANDED)} == plain
    for name in plain:
        for one, other in zip(cases[name].data_sets[0], cases[name + EXPANDED].data_sets[0], strict=True):
            for a, b in zip(one, other, strict=True):
                assert a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True), name


def test_the_counts_that_chapter_15_gives(cases):
    """All outputs of so many cases; and Y, what attention is asked for, of so many."""
    plain = [name for name in cases if not name.endswith(EXPANDED)]
    whole = {name: len(plain) - len({case for case, _ in LEFT_OUT[name]}) for name in FUNCTIONS}
    assert len(plain) == 93 and whole == {"attention": 86, "fused": 67}
    assert len(plain) - len(SOFTCAP) == 82
