"""One test case of ONNX's Attention operator, asked of this package's two functions.

The operator does more than attention: it splits heads, appends to a cache, pads and aligns masks. What is not attention
is done here, in the plainest way; the rest goes through the functions' own arguments. What they do not have is named.

Axes: b batch, h heads, n queries, m keys.
"""

import numpy as np
import torch
from onnx import helper

from attnbook import attention, scaled_dot_product_attention
from attnbook.scores import dot

# Why an output of a case is not asked of a function.
NO_SOFTCAP = "the fused function has no softcap: its scores are the scaled dot product and nothing else"
NO_SCORES = "the fused function returns neither scores nor weights"
NO_STAGE = "scores with the bias and the masks in them are a stage inside of attention that it does not return"
RAW, CAPPED, BIASED, WEIGHTS = range(4)  # the four kinds of qk_matmul_output

PRECISIONS = {10: torch.float32, 11: torch.float64, 16: torch.float32}  # softmax_precision; ours is float32 at least


class Node:
    """The case's node, read: tensors with heads on an axis of their own, one boolean mask, one bias, the options."""

    def __init__(self, case):
        (self.node,) = case.model.graph.node
        options = {a.name: helper.get_attribute_value(a) for a in self.node.attribute}
        ((arrays, outputs),) = case.data_sets
        given = dict(zip((name for name in self.node.input if name), map(tensor, arrays), strict=True))
        self.expected = dict(zip((name for name in self.node.output if name), map(tensor, outputs), strict=True))
        self.stage = options.get("qk_matmul_output_mode", RAW)
        self.softcap = options.get("softcap", 0.0)
        self.wide = PRECISIONS.get(options.get("softmax_precision"))
        self.joined = given["Q"].dim() == 3
        heads = options.get("q_num_heads"), options.get("kv_num_heads"), options.get("kv_num_heads")
        self.query, self.key, self.value = (split(given[x], h) for x, h in zip("QKV", heads, strict=True))
        past = 0
        if "past_key" in given:
            past = given["past_key"].shape[2]
            self.key = torch.cat([given["past_key"], self.key], dim=2)
            self.value = torch.cat([given["past_value"], self.value], dim=2)
        self.scale = options.get("scale", self.query.shape[-1] ** -0.5)
        self.mask, self.bias = self.masks(given, options, past)

    def masks(self, given, options, past):
        """Everything that hides a key, as one boolean mask; a mask of floats is a bias."""
        n, m = self.query.shape[2], self.key.shape[2]
        mask, bias = torch.ones(n, m, dtype=torch.bool), None
        if "attn_mask" in given:
            whole = given["attn_mask"]
            closed = False if whole.dtype == torch.bool else -torch.inf
            whole = torch.nn.functional.pad(whole, (0, m - whole.shape[-1]), value=closed)
            mask, bias = (whole, None) if whole.dtype == torch.bool else (mask, whole)
        valid = given.get("nonpad_kv_seqlen")
        offset = torch.tensor(past) if valid is None else valid.view(-1, 1, 1, 1) - n
        at, key = offset + torch.arange(n)[:, None], torch.arange(m)  # the positions of the queries and of the keys
        if options.get("is_causal"):
            mask = mask & (key <= at)
        for side, distance in (("left", at - key), ("right", key - at)):
            size = options.get(f"{side}_window_size", -1)
            mask = mask & (distance <= size) if size >= 0 else mask
        return mask if valid is None else mask & (key < valid.view(-1, 1, 1, 1)), bias

    def inputs(self):
        wide = (lambda x: x) if self.wide is None else (lambda x: x.to(self.wide))
        return [wide(x) for x in (self.query, self.key, self.value)]

    def outputs(self, output):
        """Y in the case's layout and dtype, and the cache if the case wants it."""
        output = output.to(self.query.dtype)
        found = {"Y": output.transpose(1, 2).flatten(2) if self.joined else output}
        return found | {"present_key": self.key, "present_value": self.value}


def by_attention(node):
    """(output name -> tensor, output name -> the reason why not)."""
    stages = {}

    def score(q, k):
        stages[RAW] = stages[CAPPED] = dot(q, k) * node.scale
        if node.softcap:
            stages[CAPPED] = node.softcap * torch.tanh(stages[RAW] / node.softcap)
        return stages[CAPPED]

    output, stages[WEIGHTS] = attention(*node.inputs(), score=score, mask=node.mask, bias=node.bias)
    if node.stage == BIASED:
        return node.outputs(output), {"qk_matmul_output": NO_STAGE}
    return node.outputs(output) | {"qk_matmul_output": stages[node.stage].to(node.query.dtype)}, {}


def by_fused(node):
    """(output name -> tensor, output name -> the reason why not)."""
    if node.softcap:
        return {}, dict.fromkeys(node.expected, NO_SOFTCAP)
    output = scaled_dot_product_attention(*node.inputs(), mask=node.mask, bias=node.bias, scale=node.scale)
    return node.outputs(output), {"qk_matmul_output": NO_SCORES}


def tensor(array):
    if array.dtype.name == "bfloat16":  # NumPy has it from ml_dtypes, PyTorch of its own
        return torch.from_numpy(array.astype(np.float32)).bfloat16()
    return torch.from_numpy(np.array(array))


def split(x, heads):
    """(b, length, heads * d) -> (b, heads, length, d)."""
    return x if x.dim() == 4 else x.unflatten(-1, (heads, -1)).transpose(1, 2)
