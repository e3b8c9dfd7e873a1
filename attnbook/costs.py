"""What one layer costs, counted: multiply-adds and numbers kept, for attention in several forms and a recurrent layer.

Counting is not timing: memory that is written and read, exponentials and the shape of the products are not in it.

Axes: n tokens, d the size of their vectors, h heads of size d / h, w keys that a query sees in a window.
"""

from attnbook._validation import check_size

FORMS = ("full", "fused", "window", "linear", "recurrent")


def operations(form: str, *, n: int, d: int, h: int = 1, w: int | None = None) -> dict[str, int]:
    """Multiply-adds of a layer on one text: {"projections": ..., "attention": ...}.

    projections 4 n d²: queries, keys, values and output. attention, scores and averages together:
      "full", "fused"   2 n² d                     Vaswani et al. (2017), Table 1
      "window"          2 n min(w, n) d            Beltagy et al. (2020), Section 3.1
      "linear"          2 n d²/h + n d             Katharopoulos et al. (2020), Eqs. 5 and 6, features like keys
      "recurrent"       0; its projections are 6 n d², a GRU's three gates on input and state (Cho et al., 2014)
    Raises: TypeError or ValueError for another form, sizes that are not whole numbers of at least 1, a d that h does
    not divide, a window without w.
    """
    _check(form, n, d, h, w)
    if form == "recurrent":
        return {"projections": 6 * n * d**2, "attention": 0}
    attention = {
        "full": 2 * n**2 * d,
        "fused": 2 * n**2 * d,
        "window": 2 * n * min(w or n, n) * d,
        "linear": 2 * n * d * (d // h) + n * d,
    }[form]
    return {"projections": 4 * n * d**2, "attention": attention}


def memory(form: str, *, n: int, d: int, h: int = 1, w: int | None = None) -> dict[str, int]:
    """Numbers that a forward pass keeps at one time: {"vectors": ..., "attention": ...}.

    vectors 4 n d: queries, keys, values, outputs (of a recurrent layer n d: its outputs). attention:
      "full"        h n²             every weight is stored
      "fused"       2 h n            the largest score and the sum of each row (Dao et al., 2022, Section 3.1)
      "window"      h n min(w, n)
      "linear"      d²/h + d         one matrix and one vector a head, for all tokens together
      "recurrent"   d                the state
    Raises: as `operations`.
    """
    _check(form, n, d, h, w)
    attention = {
        "full": h * n**2,
        "fused": 2 * h * n,
        "window": h * n * min(w or n, n),
        "linear": d * (d // h) + d,
        "recurrent": d,
    }[form]
    return {"vectors": (1 if form == "recurrent" else 4) * n * d, "attention": attention}


def _check(form: str, n: int, d: int, h: int, w: int | None) -> None:
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}; got {form!r}")
    for name, size in (("n", n), ("d", d), ("h", h)):
        check_size(name, size, least=1)
    if d % h:
        raise ValueError(f"d must be a multiple of h = {h}; got {d}")
    if w is not None:
        check_size("w", w, least=1)
    elif form == "window":
        raise ValueError("w must be given for the form window; got None")
