# SPDX-License-Identifier: Apache-2.0
"""HIL's own API, `/v0`: its paths, arguments, status codes and error types, over the verbs that `/v1` has."""
