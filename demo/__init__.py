# SPDX-License-Identifier: Apache-2.0
"""A story of one rack, told with real frames: `python -m demo`."""
