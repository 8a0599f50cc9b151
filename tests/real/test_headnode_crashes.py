# SPDX-License-Identifier: Apache-2.0
"""kill -9 of conductors that make, switch and unmake headnodes on a real libvirt and a real Open vSwitch.

However far they came, the next conductor ends it, and the host has what the rows say: no machine, disk or port more.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import fixtures
import testtools
from testtools.content import text_content

from tests import libvirtd, openvswitch, service
from tests.functional.racks import broken, until

MISSING = openvswitch.missing() or libvirtd.missing()
if libvirtd.libvirt is not None:
    import libvirt

    from tests.real import stepped

#: Seconds: a machine's start takes one, or several where many are started at once.
PATIENCE = 180.0
ON, OFF = {"target": "on"}, {"target": "off"}

#: How long a conductor lives that is killed at any moment, in seconds: about as long as it takes to make and to start.
LIVES = 0.8


def _install(place: Path) -> None:
    """What `pip install` of a package with the driver would do."""
    info = place / "stepped-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stepped\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mogan_hil.headnode]\nstepped = tests.real.stepped:SteppedHeadnode\n")


def _fill(image: Path, place: Path) -> None:
    """Give an image a system that rests. The boot program of a network card would take a whole processor."""
    sector = place / "sector"
    sector.write_bytes(libvirtd.BOOT_SECTOR.ljust(510, b"\0") + b"\x55\xaa" + bytes(2**20 - 512))
    openvswitch.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(sector), str(image))


class TestCrashes(testtools.TestCase):
    """A project's headnodes, each with one NIC on its network, and a driver that can be stopped after each step.

    The tests share the host and the service, and leave no headnode behind.
    """

    site: ClassVar[service.Processes]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if MISSING:
            raise cls.skipException(MISSING)
        place = cls._use(fixtures.TempDir())
        _install(Path(place.path))
        root = Path(__file__).parents[2]
        paths = filter(None, [place.path, str(root), os.environ.get("PYTHONPATH")])
        cls._use(fixtures.EnvironmentVariable("PYTHONPATH", os.pathsep.join(paths)))
        cls.switch = cls._use(openvswitch.OpenVSwitch())
        cls.daemon = cls._use(libvirtd.Libvirtd(cls.switch))
        image = cls.daemon.add_pool("disks")
        _fill(image, Path(place.path))
        cls.disks = image.parent
        settings = {
            **service.REAL_DEVICES,
            ("headnode", "driver"): "stepped",
            ("headnode", "driver_options"): f"uri:{cls.daemon.uri},pool:disks",
            ("headnode", "images"): f"base:{image}:64:1",
            ("headnode", "bridges"): f"default:{cls.switch.bridge}",
            ("conductor", "driver_timeout"): PATIENCE,
            ("conductor", "sweep_interval"): 0.1,
            ("conductor", "power_sync_interval"): 0,
        }
        cls.site = cls._use(service.Processes(apis=1, conductors=1, settings=settings))
        cls.site.admin.add_project("red")
        cls.red = cls.site.admin.as_user("red-member")
        cls.vlan = cls.red.post("networks", {"name": "red-net"})["segment_id"]
        cls.uuids: dict[str, str] = {}

    @classmethod
    def _use(cls, fixture: Any) -> Any:
        fixture.setUp()
        cls.addClassCleanup(fixture.cleanUp)
        return fixture

    def setUp(self) -> None:
        super().setUp()
        self.addOnException(self._tell)

    def _tell(self, _info: Any) -> None:
        lines = [path.read_text() for path in self.site.state_dir.glob("mogan-hil-conductor*.log")]
        self.addDetail("conductors", text_content("".join(lines)[-9000:]))

    def create(self, *names: str) -> None:
        for name in names:
            self.uuids[name] = self.red.post("headnodes", {"name": name, "image": "base"})["uuid"]
            self.red.post(f"headnodes/{name}/hnics", {"name": "eth0"})
            self.red.put(f"headnodes/{name}/hnics/eth0/network", {"network": "red-net"})

    def start(self, name: str) -> Any:
        return self.red.put(f"headnodes/{name}/power", ON, 202)

    def stop(self, name: str) -> Any:
        return self.red.put(f"headnodes/{name}/power", OFF, 202)

    def delete(self, name: str) -> Any:
        return self.red.delete(f"headnodes/{name}", 202)

    def rows(self) -> Mapping[str, Any]:
        """The headnodes, by name."""
        return {row["name"]: row for row in self.red.get("headnodes")["headnodes"]}

    def kill(self, conductor: Any) -> None:
        self.site.kill_conductor(conductor)
        self.site.conductors.remove(conductor)

    def crash(self, **what: tuple[Callable[[str], Any], str]) -> list[Any]:
        """Begin something with each headnode, and kill the conductor when the driver of each is at its step."""
        begun = [begin(name) for name, (begin, step) in what.items() if self.stop_after(name, step)]
        self.kill_when_stopped(what)
        for operation in begun:
            self.assertEqual("running", self.red.get(f"operations/{operation['uuid']}")["state"])
        return begun

    def stop_after(self, name: str, step: str) -> bool:
        stepped.stop_after(self.site.state_dir, self.uuids[name], step)
        return True

    def kill_when_stopped(self, names: Collection[str]) -> None:
        uuids = [self.uuids[name] for name in names]
        until(lambda: all(stepped.stopped(self.site.state_dir, uuid) for uuid in uuids), PATIENCE)
        for conductor in list(self.site.conductors):
            self.kill(conductor)
        for uuid in uuids:
            stepped.go_on(self.site.state_dir, uuid)

    def conduct(self) -> None:
        """Start another conductor."""
        self.site.conductors.append(self.site.start_conductor())

    def resume(self, begun: Sequence[Any], **statuses: str) -> None:
        """Let another conductor end what was begun. What there is then is what the rows say.

        :param statuses: what they say of each headnode that is left
        """
        self.conduct()
        for operation in begun:
            ended = self.red.wait(operation, timeout=PATIENCE)
            self.assertGreater(ended["attempts"], 1)
            self.assertTrue(ended["verified"])
        self.check()
        self.assertEqual(statuses, {name: row["status"] for name, row in self.rows().items()})

    def check(self) -> None:
        """The host has what the rows say, and the rows say that nothing is under way."""
        self.assertEqual([], broken(self.site.database))
        rows = self.rows().values()
        self.assertLessEqual({row["status"] for row in rows}, {"new", "active", "stopped"})
        runs = {row["uuid"]: row["status"] == "active" for row in rows if row["frozen"]}
        on = [row for row in rows if row["status"] == "active"]
        ports = {"hn" + nic["mac"].replace(":", ""): self.vlan for row in on for nic in row["hnics"]}
        wanted = (runs, {f"headnode-{uuid}.qcow2" for uuid in runs}, ports, set(ports))
        self.assertEqual(wanted, self.host())

    def host(self) -> tuple[Any, ...]:
        """What the host has: whether its machines run, their disks, their ports with their tags, and their devices."""
        with contextlib.closing(libvirt.open(self.daemon.uri)) as connection:
            runs = {domain.UUIDString(): bool(domain.isActive()) for domain in connection.listAllDomains()}
        disks = {path.name for path in self.disks.iterdir()} - {"base.qcow2"}
        ports = [name for name in self.switch.vsctl("list-ports", self.switch.bridge).split() if name.startswith("hn")]
        shown = openvswitch.run("ip", "-n", self.switch.namespace, "-br", "link")
        devices = {line.split()[0] for line in shown.splitlines() if line.startswith("hn")}
        return runs, disks, {name: self.switch.get_port(name)["tag"] for name in ports}, devices

    def test_each_step(self) -> None:
        """One for each call by which libvirt changes something, all stopped there when the conductor dies."""
        start, stop, delete = self.start, self.stop, self.delete
        self.create(*"abcdef")
        steps = {"a": "createXML", "b": "defineXML", "c": "setAutostart", "d": "create", "e": "read", "f": "read"}
        begun = self.crash(**{name: (start, step) for name, step in steps.items()})
        # The next one dies too, over what the first has left: a first start begins by taking that away.
        again = {
            "a": "delete",
            "b": "undefineFlags",
            "c": "delete",
            "d": "destroy",
            "e": "undefineFlags",
            "f": "delete",
        }
        for name, step in again.items():
            self.stop_after(name, step)
        self.conduct()
        self.kill_when_stopped(again)
        self.resume(begun, **dict.fromkeys("abcdef", "active"))
        begun = self.crash(a=(stop, "isActive"), b=(stop, "destroy"), c=(stop, "read"), d=(delete, "destroy"))
        self.resume(begun, a="stopped", b="stopped", c="stopped", e="active", f="active")
        self.create("d")  # the name is free
        # The last one dies with libvirt and its machines, as in a power cut of everything.
        begun = self.crash(
            a=(start, "setAutostart"),
            b=(start, "create"),
            c=(delete, "delete"),
            d=(start, "createXML"),
            e=(stop, "destroy"),
            f=(stop, "isActive"),
        )
        self.daemon.crash()
        self.daemon.start()
        self.resume(begun, a="active", b="active", d="active", e="stopped", f="stopped")
        self.remove_all()

    def test_any_moment(self) -> None:
        """They die also while libvirt is still doing what they asked for; another one takes over at once."""
        seed = random.randrange(2**32)
        self.addDetail("seed", text_content(str(seed)))
        self.chance = random.Random(seed)
        names = [f"head{number}" for number in range(4)]
        for _ in range(3):
            self.conduct()
            self.create(*(name for name in names if name not in self.rows()))
            begun = [self.begin(name, row["status"]) for name, row in self.rows().items()]
            time.sleep(self.chance.uniform(0, LIVES))
            self.kill(self.chance.choice(self.site.conductors))
            for operation in begun:
                self.red.wait(operation, timeout=PATIENCE)
            self.check()
        self.remove_all()

    def remove_all(self) -> None:
        for operation in [self.delete(name) for name in self.rows()]:
            self.red.wait(operation, timeout=PATIENCE)
        self.assertEqual(({}, set(), {}, set()), self.host())

    def begin(self, name: str, status: str) -> Any:
        """Something that can be done with a headnode of this status."""
        choices = {"new": [self.start], "active": [self.stop, self.delete], "stopped": [self.start, self.delete]}
        return self.chance.choice(choices[status])(name)
