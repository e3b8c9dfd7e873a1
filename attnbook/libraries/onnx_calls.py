"""ONNX: a model of one Attention node, run by the reference implementation. NumPy in, NumPy out.

Axes: b batch, h heads, n queries, m keys, d the size of a head.
"""

import numpy as np


def attention_node(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    causal: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """(b, h, n, d); True may be seen; mode 3 gives the weights."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    arrays = {"Q": query, "K": key, "V": value}
    if mask is not None:
        arrays["attn_mask"] = mask
    options = {"is_causal": int(causal), "qk_matmul_output_mode": 3}
    names = ["Y", "", "", "weights"]
    node = helper.make_node("Attention", [*arrays], names, **options)
    describe, kind = helper.make_tensor_value_info, helper.np_dtype_to_tensor_dtype
    inputs = [describe(name, kind(x.dtype), x.shape) for name, x in arrays.items()]
    outputs = [describe(name, kind(query.dtype), None) for name in ("Y", "weights")]
    graph = helper.make_graph([node], "attention", inputs, outputs)
    opset = helper.make_opsetid("", 23)
    model = helper.make_model(graph, opset_imports=[opset])
    return tuple(ReferenceEvaluator(model).run(None, arrays))
