# SPDX-License-Identifier: Apache-2.0
"""The commands. Here alone is anything global."""

import warnings

# futurist and oslo.service import eventlet where it is installed, and use it nowhere here.
warnings.filterwarnings("ignore", message="\\s*Eventlet is deprecated")

from oslo_service import backend  # noqa: E402 - the filter comes first

# Before anything of oslo.service is used: its default is eventlet.
backend.init_backend(backend.BackendType.THREADING)
