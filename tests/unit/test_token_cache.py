# SPDX-License-Identifier: Apache-2.0
"""The tokens that are remembered with auth `keystone`."""

from __future__ import annotations

import unittest
from unittest import mock

from mogan_hil.api.middleware import auth_keystone


class TestTokens(unittest.TestCase):
    """It does not grow without end, and forgets in time."""

    def setUp(self) -> None:
        self.tokens = auth_keystone._Tokens()

    def test_the_oldest_goes_first(self) -> None:
        for number in range(auth_keystone.MAX_TOKENS + 1):
            self.tokens.set(f"tokens/{number}", b"x", time=60)
        self.assertIsNone(self.tokens.get("tokens/0"))
        self.assertEqual(b"x", self.tokens.get("tokens/1"))
        self.assertEqual(b"x", self.tokens.get(f"tokens/{auth_keystone.MAX_TOKENS}"))

    def test_what_is_set_again_is_new(self) -> None:
        for number in (*range(auth_keystone.MAX_TOKENS), 0, "more"):
            self.tokens.set(f"tokens/{number}", b"x", time=60)
        self.assertIsNotNone(self.tokens.get("tokens/0"))
        self.assertIsNone(self.tokens.get("tokens/1"))

    def test_its_time_comes(self) -> None:
        with mock.patch.object(auth_keystone, "monotonic", autospec=True, return_value=100.0) as clock:
            self.tokens.set("tokens/1", b"x", time=1)
            clock.return_value = 100.9
            self.assertEqual(b"x", self.tokens.get("tokens/1"))
            clock.return_value = 101.1
            self.assertIsNone(self.tokens.get("tokens/1"))

    def test_no_time_is_no_cache(self) -> None:
        self.tokens.set("tokens/1", b"x", time=-1)
        self.assertIsNone(self.tokens.get("tokens/1"))

    def test_the_middleware_takes_it_for_one(self) -> None:
        self.assertTrue(self.tokens)
