# SPDX-License-Identifier: Apache-2.0
"""Tests. As in a command, the threading back end is chosen before anything of oslo is used."""

import mogan_hil.cmd  # noqa: F401
