# SPDX-License-Identifier: Apache-2.0
"""The story: one rack, two tenants, six machines, somebody who changes the switch by hand, and a lock."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from demo import rack as racks
from demo.house import Failed, House, house, run
from demo.rack import EVERYBODY, PORTS, OpenVSwitchRack, Pairs, PretendRack, Rack
from demo.service import BIN, Service, finished
from demo.teller import Teller
from mogan_hil.client import rest
from mogan_hil.common import passwords

INVENTORY = Path(__file__).with_name("rack.yaml")


def among(groups: dict[str, list[str]]) -> Pairs:
    """The pairs within each project."""
    return {(a, b) for group in groups.values() for a in group for b in group if a != b}


class Story:
    """Its chapters, in order."""

    def __init__(self, home: House, service: Service, rack: Rack, teller: Teller) -> None:
        self._home = home
        self._service = service
        self._rack = rack
        self._tell = teller
        self._users: dict[str, rest.Api] = {}
        self._machines: dict[str, list[str]] = {}
        self._vlans: dict[str, int] = {}

    def _check(self, moment: str, expected: Pairs, show: bool = False) -> None:
        seen = self._rack.reach(expected)
        if show:
            owners = {machine: user for user, group in self._machines.items() for machine in group}
            self._tell.matrix(owners, seen, expected)
        else:
            self._tell.say(f"{self._rack.proof}: {len(seen)} of {len(EVERYBODY)} pairs reach each other.")
        self._tell.expect(f"{moment}: exactly {len(expected)} pairs reach each other", seen == expected)

    def register(self) -> None:
        """Chapter 1."""
        tell = self._tell
        tell.title("1. A rack is registered. The switch comes as it was found: every port carries everything.")
        self._check("on the bare switch", EVERYBODY)
        inventory = yaml.safe_load(INVENTORY.read_text())
        inventory["switches"]["rack1"] = self._rack.switch()
        path = self._home.path / "rack.yaml"
        path.write_text(yaml.safe_dump(inventory))
        shown = [line.partition(" #")[0] for line in INVENTORY.read_text().splitlines() if not line.startswith("#")]
        if isinstance(self._rack, PretendRack):
            shown[2:4] = ["    driver: fake"]
        first = shown.index("nodes:") + 2
        tell.say("\n".join([*shown[:first], f"  ... {len(shown) - first} more like this (demo/rack.yaml)"]))
        tell.command("mogan-hil-inventory apply demo/rack.yaml")
        command = (str(BIN / "mogan-hil-inventory"), "apply", str(path))
        tell.say(run(*command, env=self._service.environment).splitlines()[-1])
        again = run(*command, env=self._service.environment).strip()
        tell.say(f"and once more: {again}")
        tell.expect("a second apply finds nothing to do", again == "nothing to do")
        if isinstance(self._rack, PretendRack):
            self._rack.uuid = self._service.admin.get("switches", "rack1")["uuid"]
        tell.say(f"Every port is parked now:  {self._rack.show('n1')}")
        self._check("with every port parked", set())

    def claim(self) -> None:
        """Chapter 2."""
        tell = self._tell
        tell.title("2. Two tenants claim three machines each, on a network of their own: all or nothing.")
        for user in ("red", "blue"):
            self._add_user(user)
            network = self._users[user].call("POST", "networks", body={"name": f"{user}-net"})
            self._vlans[user] = int(network["segment_id"])
            body = {"count": 3, "resource_class": "metal", "networks": [{"network": network["name"]}]}
            started = time.monotonic()
            if user == "red":
                tell.command(f"curl -u {user} {self._service.url}/v1/claims --json '{json.dumps(body)}'")
            operation = finished(self._users[user], self._users[user].call("POST", "claims", body=body))
            took = (time.monotonic() - started) * 1000
            self._machines[user] = sorted(node["name"] for node in operation["payload"]["nodes"])
            tell.say(
                f"{tell.paint(user, user)}: 202, and {took:.0f} ms later done and read back from the switch: "
                f"{', '.join(self._machines[user])} in VLAN {network['segment_id']}"
            )
            tell.expect(f"{user}'s claim is verified", operation["verified"] is True)
            tell.say(f"  {self._rack.show(self._machines[user][0])}")
        self._check("two tenants", among(self._machines), show=True)
        self._refusals()

    def _add_user(self, user: str) -> None:
        admin, password = self._service.admin, passwords.generated()
        admin.call("PUT", "projects", user)
        admin.call("PUT", "users", user, body={"password": password})
        admin.call("PUT", "users", user, "projects", user, body={"role": "member"})
        self._users[user] = rest.by_password(self._service.url, user, password)

    def _refusals(self) -> None:
        theirs = self._machines["red"][0]
        tell = "blue tries to get at red's machine, and for one machine too many:"
        attachments = ("nodes", theirs, "nics", "eth0", "attachments")
        told = [
            self._refused("blue", 404, "GET", "nodes", theirs),
            self._refused("blue", 404, "POST", *attachments, body={"network": "blue-net"}),
            self._refused("blue", 409, "POST", "claims", body={"count": 1}),
        ]
        self._tell.say("\n  ".join([tell, *told]))

    def _refused(self, user: str, wanted: int, method: str, *path: str, body: dict[str, Any] | None = None) -> str:
        """Try what is to be refused. Returns a line about it."""
        try:
            self._users[user].call(method, *path, body=body)
            status, code = 0, "no error"
        except rest.ApiError as error:
            status, code = error.status or 0, error.code
        asked = f"{method} /v1/{'/'.join(path)}"
        self._tell.expect(f"{user}'s {asked} is refused with {wanted}", status == wanted)
        return f"{asked}: {status} {code}"

    def trunk(self) -> None:
        """Chapter 3."""
        tell, machine = self._tell, self._machines["red"][0]
        tell.title("3. A second network on the same NIC, tagged.")
        red = self._users["red"]
        storage = red.call("POST", "networks", body={"name": "red-storage"})
        body = {"network": "red-storage", "channel": f"vlan/{storage['segment_id']}"}
        tell.command(f"curl -u red .../v1/nodes/{machine}/nics/eth0/attachments --json '{json.dumps(body)}'")
        operation = red.call("POST", "nodes", machine, "nics", "eth0", "attachments", body=body)
        done = finished(red, operation)
        shown = self._rack.show(machine)
        tell.say(shown)
        tell.expect("the tagged network is verified", done["verified"] is True)
        tell.expect(f"the port of {machine} has VLAN {storage['segment_id']}", storage["segment_id"] in shown)

    def drift(self) -> None:
        """Chapter 4."""
        tell, admin, victim = self._tell, self._service.admin, self._machines["blue"][0]
        tell.title(f"4. Somebody puts blue's {victim} into red's VLAN, at the switch, by hand.")
        self._isolation("before", True)
        started = time.monotonic()
        tell.say(self._rack.tamper(victim, self._vlans["red"]))
        port = self._noticed(victim)
        took = (time.monotonic() - started) * 1000
        tell.say(
            f"GET /v1/switches/rack1/ports/{PORTS[victim]}, {took:.0f} ms later: "
            f"in_sync {json.dumps(port['in_sync'])}, observed native {port['observed']['native']}"
        )
        tell.expect("the change by hand is noticed", port["in_sync"] is False)
        mixed = {
            "red": [*self._machines["red"], victim],
            "blue": [machine for machine in self._machines["blue"] if machine != victim],
        }
        self._check("while the port is wrong", among(mixed), show=True)
        self._isolation("meanwhile", False)
        tell.command(f"curl -u admin -X POST {self._service.url}/v1/switches/rack1/heal")
        started = time.monotonic()
        operation = finished(admin, admin.call("POST", "switches", "rack1", "heal"))
        tell.say(
            f"done in {(time.monotonic() - started) * 1000:.0f} ms: healed {', '.join(operation['result']['healed'])}"
        )
        tell.expect(f"{PORTS[victim]} was healed", operation["result"]["healed"] == [PORTS[victim]])
        self._check("after the healing", among(self._machines), show=True)
        self._isolation("after it", True)

    def _noticed(self, machine: str) -> Any:
        end = time.monotonic() + 30
        while True:
            port = self._service.admin.get("switches", "rack1", "ports", PORTS[machine])
            if port["in_sync"] is False or time.monotonic() > end:
                return port
            time.sleep(0.002)

    def _isolation(self, moment: str, expected: bool) -> None:
        report = self._users["red"].get("networks", "red-net", "isolation")
        carried = ", ".join(
            f"{item['node'] or 'another'}{'' if item['expected'] else ' (should not)'}"
            for item in report["ports"]
            if item["carries"]
        )
        self._tell.say(
            f"GET /v1/networks/red-net/isolation {moment}: isolated {json.dumps(report['isolated'])}; on {carried}"
        )
        self._tell.expect(f"red-net is{'' if expected else ' not'} isolated {moment}", report["isolated"] is expected)

    def release(self) -> None:
        """Chapter 5."""
        tell, red = self._tell, self._users["red"]
        tell.title("5. Red gives its machines back.")
        for machine in self._machines.pop("red"):
            for item in red.get("nodes", machine)["nics"][0]["attachments"]:
                path = ("nodes", machine, "nics", "eth0", "attachments", item["network"]["uuid"])
                finished(red, red.call("DELETE", *path))
            red.call("DELETE", "nodes", machine, "project")
        free = [node["name"] for node in self._service.admin.get("nodes", free="true")["nodes"]]
        tell.say(f"Free: {', '.join(free)}, each on a parked port.")
        self._check("after red has gone", among(self._machines))

    def lock(self) -> None:
        """Chapter 6."""
        tell, red = self._tell, self._users["red"]
        tell.title(
            "6. Red asks for an instance: a machine that is claimed, wired, addressed and booted. Then it locks it."
        )
        red.call("POST", "networks", "red-net", "subnets", body={"cidr": "10.77.0.0/24", "gateway": None})
        networks = [{"network": "red-net", "addresses": [racks.address("n1")]}]
        body = {"name": "web", "node": "n1", "networks": networks}
        tell.command(f"curl -u red .../v1/instances --json '{json.dumps(body)}'")
        (created,) = red.call("POST", "instances", body=body)["instances"]
        finished(red, created["operation"])
        web = red.get("instances", "web")
        addresses = ", ".join(item["ip"] for item in web["addresses"])
        tell.say(f"web is {web['status']} on {web['node']['name']}, at {addresses}")
        tell.expect(
            "the instance is active at its address", (web["status"], addresses) == ("active", racks.address("n1"))
        )
        tell.command("""curl -u red -X PUT .../v1/instances/web/lock --json '{"target": true, "reason": "in use"}'""")
        red.call("PUT", "instances", "web", "lock", body={"target": True, "reason": "in use"})
        told = [
            self._refused("red", 409, "DELETE", "instances", "web"),
            self._refused("red", 409, "DELETE", "nodes", "n1", "nics", "eth0", "attachments", "red-net"),
            self._refused("red", 409, "DELETE", "nodes", "n1", "project"),
        ]
        tell.say("\n  ".join(["red tries to change what it has locked:", *told]))
        red.call("PUT", "instances", "web", "lock", body={"target": False})
        finished(red, red.call("DELETE", "instances", "web"))
        tell.say(f"Unlocked, it can be deleted. The port of n1:  {self._rack.show('n1')}")


def stage(home: House, teller: Teller) -> tuple[Service, Rack]:
    """Start the service and the rack; the pretend one where a real one cannot be.

    :raises Failed: the service does not start
    """
    why = racks.missing()
    service = Service(home)
    rack: Rack | None = None
    if why is None:
        try:
            rack = OpenVSwitchRack(home)
        except Failed as error:
            why = str(error)
    if rack is None:
        rack = PretendRack(service.state_dir)
        teller.say(
            teller.paint(f"No real switch: {why}.", "bold")
            + "\nThe same story follows on a pretend switch, without frames. A real one needs root on Debian."
        )
    service.wait()
    return service, rack


def main() -> int:
    """Tell it. Returns the exit code: 0 only if everything was as it should be."""
    teller = Teller()
    started = time.monotonic()
    try:
        with house() as home:
            try:
                service, rack = stage(home, teller)
                teller.say(f"mogan_hil at {service.url}, and a rack: {rack.title}.")
                story = Story(home, service, rack, teller)
                for chapter in (story.register, story.claim, story.trunk, story.drift, story.release, story.lock):
                    chapter()
            except (Failed, rest.ApiError) as error:
                teller.expect(str(error), False)
                print(home.log("mogan-hil.log")[-3000:], file=sys.stderr)
    except KeyboardInterrupt:
        print("\nInterrupted; everything is cleaned up.", file=sys.stderr)
        return 130
    if teller.end():
        return 1
    took = time.monotonic() - started
    teller.title(f"All {teller.held} expectations held, in {took:.0f} s; nothing is left behind.")
    teller.say("Next: `make run` starts a service that stays; README.rst goes on from there. `make docs` has the rest.")
    return 0
