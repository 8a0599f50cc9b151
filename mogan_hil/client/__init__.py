# SPDX-License-Identifier: Apache-2.0
"""Talks to the REST API from outside. Imports nothing else of the service."""
