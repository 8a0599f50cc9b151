# SPDX-License-Identifier: Apache-2.0
"""The OBM drivers of this project, held to the contract."""

import unittest

from mogan_hil.drivers.obm import fake
from mogan_hil.drivers.testing import obm as contract


class TestFakeObm(contract.ObmContract, unittest.TestCase):
    driver_class = fake.FakeObm
    bad_options = ({"delay": "1"}, {"fail": 1}, {"password": None})

    def options(self):
        return {"password": "hunter2"}

    def unreachable(self):
        return {**self.options(), "fail_transient": 9}

    def write_console(self, text):
        environment = self.driver.environment
        fake.write_console(environment.state_dir, environment.uuid, text)

    def heard_console(self, text):
        environment = self.driver.environment
        return text in fake.typed(environment.state_dir, environment.uuid)
