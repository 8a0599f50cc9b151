# SPDX-License-Identifier: Apache-2.0
"""Private database and message servers for a test run; see `python -m tests.servers --help`.

A server is one small class in a file of its own: what it is called, which programs it needs, how it starts, and when
it is ready. `base` holds what they share, `packages` installs what is missing, `__main__` runs them around a command.
"""
