# SPDX-License-Identifier: Apache-2.0
"""The samples in the documents are of what the service tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import testtools

from tests import notification_samples


def shape(message: Mapping[str, Any]) -> Any:
    """What must be as in the sample: the class, its version and its fields, and who would hear it."""
    payload = message["payload"]
    about = {name: value for name, value in payload.items() if name != "mogan_hil_object.data"}
    return sorted(message), message["priority"], about, sorted(payload["mogan_hil_object.data"])


class TestSamples(testtools.TestCase):
    """See the module. Where it fails: `python -m tests.notification_samples`."""

    def test_samples(self) -> None:
        kept = {path.stem: json.loads(path.read_text()) for path in notification_samples.DIRECTORY.glob("*.json")}
        found = notification_samples.collect()
        self.assertEqual(sorted(kept), sorted(found))
        for name, message in found.items():
            self.assertEqual(shape(kept[name]), shape(message), name)
