# SPDX-License-Identifier: Apache-2.0
"""What every kind of driver keeps."""

from __future__ import annotations

import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import jsonschema

from mogan_hil.common import exception
from mogan_hil.drivers import loader
from mogan_hil.drivers.base import Driver, DriverError, Environment, Options

# A contract is a mixin: were it a test case itself, every module that imports it would run it without a driver.
if TYPE_CHECKING:
    Mixin = unittest.TestCase
else:
    Mixin = object


class DriverContract(Mixin):
    """The schema, the secrets and the description of a driver."""

    driver_class: ClassVar[type[Driver]]

    #: Options that the schema must refuse, beside those that it must refuse of any driver.
    bad_options: ClassVar[tuple[dict[str, Any], ...]] = ()

    def options(self) -> Options:
        """Options that reach the device; the default is none."""
        return {}

    def test_schema_is_sound(self) -> None:
        schema = self.driver_class.options_schema
        jsonschema.Draft202012Validator.check_schema(schema)
        self.assertEqual("object", schema["type"])
        self.assertIs(False, schema["additionalProperties"])

    def test_options_are_checked(self) -> None:
        loader.check_options(self.driver_class, self.options())
        for bad in ({**self.options(), "no_such_option": 1}, *self.bad_options):
            with self.assertRaises(exception.BadField, msg=f"{sorted(bad)} is accepted"):
                loader.check_options(self.driver_class, bad)

    def test_secrets_are_marked(self) -> None:
        """An option that is called like a secret is one."""
        secret = self.driver_class.secret_options()
        for name in self.driver_class.options_schema.get("properties", {}):
            if any(word in name for word in ("password", "secret", "token", "passphrase")):
                self.assertIn(name, secret)

    def test_harmless_options_are_options(self) -> None:
        """See `Driver.harmless_options`: where a device is, and what says whom to trust, is none of them."""
        harmless = self.driver_class.harmless_options
        self.assertLessEqual(harmless, set(self.driver_class.options_schema.get("properties", {})))
        self.assertEqual(set(), harmless & {"host", "address", "endpoint", "uri", "url", "port", "verify_ca"})

    def test_summary_is_one_line(self) -> None:
        summary = self.driver_class.summary()
        self.assertTrue(summary.strip())
        self.assertNotIn("\n", summary)

    def assert_error_texts(self, error: DriverError, *hidden: str) -> None:
        """An error has a text for the tenant and one for the operator; the first keeps the options to itself."""
        self.assertTrue(error.user.strip())
        self.assertTrue(error.operator.strip())
        for text in [str(value) for value in self.options().values() if isinstance(value, str)] + list(hidden):
            self.assertNotIn(text, error.user)
        for name in self.driver_class.secret_options() & self.options().keys():
            self.assertNotIn(str(self.options()[name]), error.operator)


def eventually(done: Callable[[], bool], seconds: float) -> bool:
    """Whether something becomes so in time."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def environment(state_dir: Path, timeout: float = 10.0) -> Environment:
    """An environment for a driver under test."""
    return Environment(
        uuid="5e5a2f6c-8a0e-4a39-9a4c-0f6d4d1f3a11", name="under-test", state_dir=state_dir, timeout=timeout
    )
