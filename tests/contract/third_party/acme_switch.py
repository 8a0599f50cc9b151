# SPDX-License-Identifier: Apache-2.0
"""A switch driver of somebody else, whole: this file, and one line in its package's entry points.

The device is a text file with a line a port, which stands for whatever a maker's switch speaks.
"""

import contextlib
import re
from pathlib import Path

from mogan_hil.common import channels
from mogan_hil.drivers.switch.base import ADMIN_STATE, READ, TAGGED, TAGGED_ONLY, DriverError, PortState, SwitchDriver


class AcmeSwitch(SwitchDriver):
    """An Acme 3000, which reads `native tagged` from a file, 0 for none."""

    capabilities = frozenset({READ, TAGGED, TAGGED_ONLY, ADMIN_STATE})
    port_name_pattern = re.compile(r"[1-4]/[0-9]{1,2}")
    options_schema = {
        "type": "object",
        "properties": {"path": {"type": "string"}, "password": {"type": "string", "writeOnly": True}},
        "required": ["path"],
        "additionalProperties": False,
    }

    def _lines(self):
        try:
            text = Path(self.options["path"]).read_text()
        except OSError as error:
            raise DriverError("The switch does not answer.", str(error), transient=True) from error
        return dict(line.split("=", 1) for line in text.splitlines())

    def configure(self, ports):
        lines = self._lines()
        for port, config in ports.items():
            if port not in lines:
                raise DriverError("The switch has no such port.", f"no port {port}")
            lines[port] = f"{config.native or 0} {channels.ranges(config.tagged) or 0}" if config.enabled else "shut"
        Path(self.options["path"]).write_text("".join(f"{port}={line}\n" for port, line in lines.items()))

    def read(self, ports):
        lines = self._lines()
        return {port: self._state(lines[port]) if port in lines else None for port in ports}

    @staticmethod
    def _state(line):
        if line == "shut":
            return PortState(enabled=False)
        native, tagged = line.split()
        vlans = set()
        for part in tagged.split(","):
            low, _, high = part.partition("-")
            vlans |= set(range(int(low), int(high or low) + 1))
        with contextlib.suppress(KeyError):
            if tagged != "0-4095":
                vlans.remove(0)
        return PortState(0 if tagged == "0-4095" else int(native) or None, frozenset(vlans))
