# SPDX-License-Identifier: Apache-2.0
"""What things cost, measured: `python -m benchmarks.attach_latency`, `python -m benchmarks.api_reads`."""
