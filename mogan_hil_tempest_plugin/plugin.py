# SPDX-License-Identifier: Apache-2.0
"""The entry point of `tempest.test_plugins`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tempest.test_discover import plugins

from mogan_hil_tempest_plugin import config


class MoganHilPlugin(plugins.TempestPlugin):
    """Tests of the API by HTTP, as administrator, member and reader of a project, and as a member of another."""

    def load_tests(self) -> tuple[str, str]:
        """The directory of the tests, and the one that their names begin at."""
        here = Path(__file__).parent
        return str(here / "tests"), str(here.parent)

    def register_opts(self, conf: Any) -> None:
        """Make the options known."""
        conf.register_opt(config.AVAILABLE, group="service_available")
        conf.register_group(config.GROUP)
        conf.register_opts(config.OPTIONS, group=config.GROUP)

    def get_opt_lists(self) -> list[tuple[str, list[Any]]]:
        """The options, for the sample of tempest.conf."""
        return [(config.GROUP.name, config.OPTIONS), ("service_available", [config.AVAILABLE])]
