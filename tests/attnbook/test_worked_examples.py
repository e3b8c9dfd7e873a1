"""Worked numbers: the documents' example in 50 digits, and two that were published elsewhere."""

import mpmath
import torch

from attnbook import attention, attention_weights, scaled_dot_product_attention
from attnbook.scores import cosine, dot, scaled_dot
from tests.attnbook.reference import check

QUERY, KEYS, VALUES = [1, 2, 3], [[4, 5, 6], [7, 8, 9]], [[10, 11, 12], [13, 14, 15]]


def in_fifty_digits(score):
    """Weights and output of the documents' example, for a score given as a function of mpmath numbers."""
    with mpmath.workdps(50):
        powers = [mpmath.exp(score([mpmath.mpf(x) for x in QUERY], [mpmath.mpf(x) for x in k])) for k in KEYS]
        weights = [p / mpmath.fsum(powers) for p in powers]
        output = [mpmath.fsum(w * v[d] for w, v in zip(weights, VALUES, strict=True)) for d in range(3)]
        return [float(w) for w in weights], [float(o) for o in output]


def exact_dot(q, k):
    return mpmath.fsum(a * b for a, b in zip(q, k, strict=True))


EXACT = {
    dot: exact_dot,
    scaled_dot: lambda q, k: exact_dot(q, k) / mpmath.sqrt(3),
    cosine: lambda q, k: exact_dot(q, k) / mpmath.sqrt(exact_dot(q, q) * exact_dot(k, k)),
}


def test_the_documents_example(device):
    query = torch.tensor([QUERY], dtype=torch.float64, device=device)
    key, value = (torch.tensor(x, dtype=torch.float64, device=device) for x in (KEYS, VALUES))
    for score, exact in EXACT.items():
        weights, output = in_fifty_digits(exact)
        actual_output, actual_weights = attention(query, key, value, score=score)
        check(actual_weights, [weights], atol=0, rtol=1e-13)
        check(actual_output, [output], atol=0, rtol=1e-14)
    _, output = in_fifty_digits(EXACT[scaled_dot])
    check(scaled_dot_product_attention(query, key, value), [output], atol=0, rtol=1e-14)


def test_the_illustrated_transformer():
    """Alammar (2018): scores 112 and 96, divided by 8 (d_k = 64), are 14 and 12; their softmax is 0.88 and 0.12."""
    query, key = torch.zeros(1, 64), torch.zeros(2, 64)
    query[0, :2] = torch.tensor([4.0, 8.0])
    key[:, :2] = torch.tensor([[10.0, 9.0], [8.0, 8.0]])
    assert dot(query, key).tolist() == [[112, 96]]
    assert scaled_dot(query, key).tolist() == [[14, 12]]
    check(attention_weights(scaled_dot(query, key)), [[0.88, 0.12]], atol=0.005)


def test_illustrated_self_attention():
    """Karim (2019), "Illustrated: Self-Attention": three inputs, three matrices, unscaled; printed to 4 decimals."""
    x = torch.tensor([[1.0, 0, 1, 0], [0, 2, 0, 2], [1, 1, 1, 1]])
    key = x @ torch.tensor([[0.0, 0, 1], [1, 1, 0], [0, 1, 0], [1, 1, 0]])
    query = x @ torch.tensor([[1.0, 0, 1], [1, 0, 0], [0, 0, 1], [0, 1, 1]])
    value = x @ torch.tensor([[0.0, 2, 0], [0, 3, 0], [1, 0, 3], [1, 1, 0]])
    output, weights = attention(query, key, value, score=dot)
    assert dot(query, key).tolist() == [[2, 4, 4], [4, 16, 12], [4, 12, 10]]
    published = [
        [6.3379e-02, 4.6831e-01, 4.6831e-01],
        [6.0337e-06, 9.8201e-01, 1.7986e-02],
        [2.9539e-04, 8.8054e-01, 1.1917e-01],
    ]
    check(weights, published, atol=0, rtol=5e-5)
    check(output, [[1.9366, 6.6831, 1.5951], [2.0, 7.9640, 0.0540], [1.9997, 7.7599, 0.3584]], atol=5e-5)
    check(scaled_dot_product_attention(query, key, value, scale=1.0), output, atol=1e-5)
