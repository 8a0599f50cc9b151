# SPDX-License-Identifier: Apache-2.0
"""Tests of parts. What is made up is the same in each run, and may take as long as it takes."""

from hypothesis import HealthCheck, settings

settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("steady")
