"""The same attention through other libraries: each one's own call, and one way to ask them all.

A `Form` is one routine of one library. `ask` takes tensors and masks of this book, hands them over in the routine's own
layout and mask convention, and brings the answer back. The calls themselves are short and meant to be read: one module
for each library. A library is imported when it is first asked; `missing` says what is not installed.
"""

from attnbook.libraries.forms import FORMS, Form, ask, missing

__all__ = ["FORMS", "Form", "ask", "missing"]
