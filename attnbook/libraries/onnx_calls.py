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
    """(b, h, n, d); True may be seen; the weights are there for the asking (mode 3); no dropout."""
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    arrays = {"Q": query, "K": key, "V": value} | ({} if mask is None else {"attn_mask": mask})
    options = {"is_causal": int(causal), "qk_matmul_output_mode": 3}
    node = helper.make_node("Attention", [*arrays], ["Y", "", "", "weights"], **options)
    dtype = helper.np_dtype_to_tensor_dtype(query.dtype)
    kinds = {name: dtype if x.dtype == query.dtype else TensorProto.BOOL for name, x in arrays.items()}
    inputs = [helper.make_tensor_value_info(name, kinds[name], x.shape) for name, x in arrays.items()]
    outputs = [helper.make_tensor_value_info(name, dtype, None) for name in ("Y", "weights")]
    graph = helper.make_graph([node], "attention", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)])
    return tuple(ReferenceEvaluator(model).run(None, arrays))
