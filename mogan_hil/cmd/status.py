# SPDX-License-Identifier: Apache-2.0
"""mogan-hil-status: may this version be started on what is there?"""

from __future__ import annotations

import sys

from oslo_config import cfg
from oslo_db import options
from oslo_upgradecheck import common_checks, upgradecheck

from mogan_hil import conf as service_conf
from mogan_hil.db import migration, models
from mogan_hil.db.api import Database
from mogan_hil.drivers.loader import Drivers
from mogan_hil.objects.switch import Switch

Code = upgradecheck.Code
Result = upgradecheck.Result


class Checks(upgradecheck.UpgradeCommands):
    """`mogan-hil-status upgrade check`"""

    def _schema(self) -> Result:
        if not cfg.CONF.database.connection:
            return Result(Code.FAILURE, "No database is configured: set [database] connection.")
        current, head = migration.version(Database(cfg.CONF).engine), migration.head()
        if current == head:
            return Result(Code.SUCCESS)
        return Result(Code.FAILURE, f"The schema is at {current}, not at {head}: run mogan-hil-manage db upgrade.")

    def _drivers(self) -> Result:
        if not cfg.CONF.database.connection:
            return Result(Code.SUCCESS)
        database = Database(cfg.CONF)
        if migration.version(database.engine) is None:
            return Result(Code.SUCCESS)
        with database.reader() as session:
            used = {switch.driver for switch in Switch.find(session, models.Switch.id > 0)}
        missing = sorted(used - set(Drivers().names("switch")))
        if missing:
            return Result(Code.WARNING, f"Switches use drivers that are not installed here: {', '.join(missing)}.")
        return Result(Code.SUCCESS)

    _upgrade_checks = (
        ("Database schema", _schema),
        ("Switch drivers", _drivers),
        ("Policy file", (common_checks.check_policy_json, {"conf": cfg.CONF})),
    )


def main() -> int:
    """Run the command."""
    service_conf.register_opts(cfg.CONF)
    options.set_defaults(cfg.CONF)
    return int(upgradecheck.main(cfg.CONF, project="mogan_hil", upgrade_command=Checks()))


if __name__ == "__main__":
    sys.exit(main())
