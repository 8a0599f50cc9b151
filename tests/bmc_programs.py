# SPDX-License-Identifier: Apache-2.0
"""Controllers for tests, each in a process of its own: `python -m tests.bmc_programs ipmi|redfish ...`.

The password of the user `root` is the first line on standard input.

`ipmi PORT` is pyghmi's server with the boot flags of the specification, which neither it nor `ipmi_sim` keeps:
the one forgets whether they are to stay, the other never calls them valid.

`redfish PORT DIRECTORY` is sushy-emulator with its fake machine and with what that lacks: machines that are on or off
within a second, boot devices for one boot, and sessions. `DIRECTORY` has `cert.pem` and `key.pem`, and `faults.json`
which is read at each request: `delay` in seconds, `status` and `body` of every answer; `late`, seconds by which the
answer to a reset comes after it was done; `state`, of its power. The sessions that are open are in `sessions.json`, and
the resets that arrived in `resets`.
"""

from __future__ import annotations

import json
import secrets
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

USER = "root"
SYSTEM = "27946b59-9e44-4fa7-8e91-f3527a1ef094"


def ipmi(port: int, password: str) -> None:
    """Run until killed."""
    from pyghmi.ipmi import bmc
    from pyghmi.ipmi.private import serversession

    accept = serversession.ServerSession.create_open_session_response

    def negotiate(session: Any, request: Any) -> Any:
        """pyghmi answers with SHA-1 to whoever proposes SHA-256, where it should refuse (IPMI 2.0, 13.17 and 13.18)."""
        if request[12] == 1:
            return accept(session, request)
        session.clientsessionid = request[4:8]
        return bytearray([request[0], 4, 0, 0]) + request[4:8]

    serversession.ServerSession.create_open_session_response = negotiate

    class Bmc(bmc.Bmc):
        """A machine without anything but power and boot flags."""

        on = False
        flags = bytearray(5)

        def get_power_state(self) -> str:
            return "on" if self.on else "off"

        def power_on(self) -> None:
            self.on = True

        def power_off(self) -> None:
            self.on = False

        power_shutdown = power_off

        def power_cycle(self) -> int | None:
            return None if self.on else 0xD5

        power_reset = power_cycle

        def set_system_boot_options(self, request: Any, session: Any) -> None:
            if request["data"][0] == 5:
                Bmc.flags = bytearray(request["data"][1:6])
            session.send_ipmi_response(code=0 if request["data"][0] in (3, 5) else 0x80)

        def get_system_boot_options(self, request: Any, session: Any) -> None:
            session.send_ipmi_response(data=bytearray([1, 5]) + self.flags)

    server = Bmc({USER: password}, port=port, address="127.0.0.1")
    server.listen()


def redfish(port: int, directory: Path, password: str) -> None:
    """Run until killed."""
    import flask
    from sushy_tools.emulator import main as emulator
    from sushy_tools.emulator.resources.systems import fakedriver

    fakedriver.random = types.SimpleNamespace(randint=lambda low, high: 1)  # else up to 11 seconds
    app = emulator.app
    # With EFI it would offer to boot from HTTP, and then boot from PXE.
    machine = {"uuid": SYSTEM, "name": "node", "power_state": "Off", "boot_mode": "Legacy", "nics": []}
    app.config.update(SUSHY_EMULATOR_FAKE_DRIVER=True, SUSHY_EMULATOR_STATE_DIR=str(directory))
    app.config["SUSHY_EMULATOR_FAKE_SYSTEMS"] = [machine]
    sessions: dict[str, str] = {}
    saving = threading.Lock()
    boot = {"BootSourceOverrideEnabled": "Disabled"}

    def save() -> None:
        with saving:
            new = directory / "sessions.new"
            new.write_text(json.dumps(sorted(sessions)))
            new.rename(directory / "sessions.json")

    @app.before_request
    def check() -> Any:
        request = flask.request
        faults = json.loads((directory / "faults.json").read_text())
        time.sleep(faults.get("delay", 0))
        if "status" in faults:
            headers = {"X-Fault": "1", "Content-Type": "application/json"}
            return flask.Response(faults.get("body", "{}"), faults["status"], headers)
        logs_in = request.method == "POST" and request.path.endswith("/Sessions")
        if request.path.rstrip("/") == "/redfish/v1" or logs_in:
            return None
        given = request.authorization
        if request.method == "PATCH" and request.get_json().get("Boot") == {"BootSourceOverrideEnabled": "Disabled"}:
            boot["BootSourceOverrideEnabled"] = "Disabled"  # sushy-emulator wants a device with it
            return "", 204
        if given and (given.username, given.password) == (USER, password):
            return None
        if request.headers.get("X-Auth-Token") in sessions.values():
            return None
        return flask.Response('{"error": {"code": "x", "message": "no"}}', 401, content_type="application/json")

    @app.after_request
    def complete(response: Any) -> Any:
        path = flask.request.path.rstrip("/")
        faults = json.loads((directory / "faults.json").read_text())
        if path.endswith("/ComputerSystem.Reset"):
            with (directory / "resets").open("a") as resets:
                resets.write(flask.request.get_json()["ResetType"] + "\n")
            time.sleep(faults.get("late", 0))
        if response.status_code >= 300 or "X-Fault" in response.headers:
            return response
        if path == "/redfish/v1":
            body = response.get_json()
            body["Links"] = {"Sessions": {"@odata.id": "/redfish/v1/SessionService/Sessions"}}
            response.set_data(json.dumps(body))
        elif path.startswith("/redfish/v1/Systems/") and flask.request.method == "PATCH":
            boot.update(flask.request.get_json().get("Boot", {}))
        elif path.startswith("/redfish/v1/Systems/") and flask.request.method == "GET":
            body = response.get_json()
            body["Boot"]["BootSourceOverrideEnabled"] = boot["BootSourceOverrideEnabled"]
            body["PowerState"] = faults.get("state", body["PowerState"])
            response.set_data(json.dumps(body))
        return response

    @app.post("/redfish/v1/SessionService/Sessions")
    def log_in() -> Any:
        body = flask.request.get_json()
        if (body["UserName"], body["Password"]) != (USER, password):
            return flask.Response('{"error": {"code": "x", "message": "no"}}', 401, content_type="application/json")
        number, token = secrets.token_hex(4), secrets.token_hex(16)
        sessions[number] = token
        save()
        headers = {"X-Auth-Token": token, "Location": f"/redfish/v1/SessionService/Sessions/{number}"}
        return flask.Response("{}", 201, headers, content_type="application/json")

    @app.delete("/redfish/v1/SessionService/Sessions/<number>")
    def log_out(number: str) -> Any:
        sessions.pop(number, None)
        save()
        return "", 204

    app.run(host="127.0.0.1", port=port, ssl_context=(str(directory / "cert.pem"), str(directory / "key.pem")))


if __name__ == "__main__":
    if sys.argv[1] == "ipmi":
        ipmi(int(sys.argv[2]), sys.stdin.readline().strip())
    else:
        redfish(int(sys.argv[2]), Path(sys.argv[3]), sys.stdin.readline().strip())
