# SPDX-License-Identifier: Apache-2.0
"""mogan-hil-status: may this version be started on what is there?"""

from __future__ import annotations

import sys

import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import options
from oslo_upgradecheck import common_checks, upgradecheck

from mogan_hil import conf as service_conf
from mogan_hil.common.sealing import Sealer, SealingError
from mogan_hil.db import migration, models
from mogan_hil.db.api import Database
from mogan_hil.drivers.loader import Drivers
from mogan_hil.objects import sealed

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
            switches = set(session.scalars(sa.select(models.Switch.driver).distinct()))
            nodes = {name for name in session.scalars(sa.select(models.Node.obm_driver).distinct()) if name}
        drivers, told = Drivers(), []
        for who, kind, used in (("Switches", "switch", switches), ("Nodes", "obm", nodes)):
            if missing := sorted(used - set(drivers.names(kind))):
                told.append(f"{who} use drivers that are not installed here: {', '.join(missing)}.")
        return Result(Code.WARNING, " ".join(told)) if told else Result(Code.SUCCESS)

    def _configured(self) -> Result:
        conf, drivers = cfg.CONF, Drivers()
        named = {
            "deploy": ("[conductor] deploy_driver", conf.conductor.deploy_driver),
            "headnode": ("[headnode] driver", conf.headnode.driver),
            "allocator": ("[network] allocator", conf.network.allocator),
            "ipam": ("[network] ipam_driver", conf.network.ipam_driver),
            "network": ("[network] manager_driver", conf.network.manager_driver),
        }
        missing = [f"{option} = {name}" for kind, (option, name) in named.items() if name not in drivers.names(kind)]
        if missing:
            return Result(Code.FAILURE, f"Drivers are configured that are not installed here: {', '.join(missing)}.")
        return Result(Code.SUCCESS)

    def _secrets(self) -> Result:
        if not cfg.CONF.database.connection:
            return Result(Code.SUCCESS)
        database = Database(cfg.CONF)
        if migration.version(database.engine) != migration.head():
            return Result(Code.SUCCESS)
        with database.reader() as session:
            clear = sealed.count(session)[sealed.CLEAR]
        if clear:
            text = f"{clear} secrets of devices are in clear text: run mogan-hil-manage secrets seal."
            return Result(Code.WARNING, text)
        try:
            Sealer(cfg.CONF.secrets.public_key_file).key_id  # noqa: B018 - whether it can be read
        except SealingError as error:
            return Result(Code.WARNING, f"No secret can be sealed: {error} See mogan-hil-manage secrets create.")
        return Result(Code.SUCCESS)

    _upgrade_checks = (
        ("Database schema", _schema),
        ("Drivers of devices", _drivers),
        ("Drivers of the configuration", _configured),
        ("Secrets of devices", _secrets),
        ("Policy file", (common_checks.check_policy_json, {"conf": cfg.CONF})),
    )


def main() -> int:
    """Run the command."""
    service_conf.register_opts(cfg.CONF)
    options.set_defaults(cfg.CONF)
    return int(upgradecheck.main(cfg.CONF, project="mogan_hil", upgrade_command=Checks()))


if __name__ == "__main__":
    sys.exit(main())
