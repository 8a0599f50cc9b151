# SPDX-License-Identifier: Apache-2.0
"""Python is parsed by one thread of a process at a time.

Python 3.11 keeps how deep its parser is in one place for all threads: who is interrupted by another one that parses,
too, fails with a SystemError. https://github.com/python/cpython/issues/106905
"""

from __future__ import annotations

import threading

#: Is held by whoever calls :func:`ast.parse` or :func:`ast.literal_eval`, or a library that does.
ALONE = threading.Lock()
