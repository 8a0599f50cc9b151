# SPDX-License-Identifier: Apache-2.0
"""What is to be done so that this service has what a HIL has: one step for each thing that is missing.

What is there already under its name is left as it is, so that a second run has nothing to do. What cannot be taken over
is an obstacle, and with one nothing is done at all. Obstacles are found in two ways: what a value may be is checked
here, as the API checks it; the rest by doing it, in a transaction that is undone in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from oslo_utils import uuidutils

from mogan_hil.common import channels, exception, states
from mogan_hil.db import models
from mogan_hil.imports.drivers import Translate
from mogan_hil.imports.present import Present
from mogan_hil.imports.site import Headnode, Network, Nic, Node, Site, Switch, User
from mogan_hil.objects import node as node_objects
from mogan_hil.verbs import attachments, headnodes, hnics, networks, nics, nodes, ports, projects, switches, users
from mogan_hil.verbs.base import Call, writes

ADMIN = "admin"

#: A thing: its kind and its names.
Key = tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One change.

    :param text: what it makes, for people
    :param makes: what is not there without it
    :param needs: what must be there before
    """

    text: str
    act: Callable[[Call], object]
    makes: Key
    needs: tuple[Key, ...] = ()


class Plan:
    """The steps and the obstacles.

    :param translate: knows the drivers
    :param local: whether projects and users are this service's own
    """

    def __init__(self, site: Site, present: Present, translate: Translate, *, local: bool) -> None:
        self._site = site
        self._present = present
        self._translate = translate
        self._refused: set[Key] = set()
        self.obstacles: list[str] = []
        self.notes = [f"{one} is not taken over" for one in site.left]
        self.steps = [
            *(self._projects() if local else ()),
            *(self._users() if local else ()),
            *(step for switch in site.switches for step in self._switch(switch)),
            *(step for network in site.networks for step in self._network(network)),
            *(step for node in site.nodes for step in self._node(node)),
            *(step for headnode in site.headnodes for step in self._headnode(headnode)),
        ]
        if not local and site.users:
            self.notes.append(f"{len(site.users)} users are not taken over: they are Keystone's here")
        wired = {nic.port[0] for node in site.nodes for nic in node.nics if nic.port and nic.networks}
        if any(step.makes[0] == "attachment" for step in self.steps):
            self.steps += [
                Step(f"heal switch {name}", _do(switches.heal, name), ("heal", name), (("switch", name),))
                for name in sorted(wired)
            ]

    def carry_out(self, call: Call) -> None:
        """Do it. What fails is an obstacle; what needs it is passed over, as it could only fail for that.

        :param call: whose database is one transaction, which the caller undoes if there are obstacles then
        """
        made: set[Key] = set()
        for step in self.steps:
            if not made.issuperset(self._refused.intersection(step.needs)):
                self._refused.add(step.makes)
                continue
            try:
                step.act(call)
                made.add(step.makes)
            except exception.MoganHilError as error:
                self.obstacles.append(f"{step.text}: {error.detail}")
                self._refused.add(step.makes)

    def _try(self, what: str, makes: Key, ask: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return ask(*arguments)
        except (ValueError, exception.MoganHilError) as error:
            self.obstacles.append(f"{what}: {error}")
            self._refused.add(makes)
            return None

    def _named(self, what: str, makes: Key) -> bool:
        return self._try(what, makes, self._translate.name, makes[-1]) is not None

    def _projects(self) -> Iterator[Step]:
        for name in self._site.projects:
            key = ("project", name)
            if name not in self._present.projects and self._named(f"project {name!r}", key):
                yield Step(f"create project {name}", _do(projects.create, name), key)

    def _users(self) -> Iterator[Step]:
        for user in self._site.users:
            key = ("user", user.name)
            if user.name not in self._present.users and self._named(f"user {user.name!r}", key):
                needs = [("project", name) for name in user.projects]
                yield Step(f"create user {user.name}", _do(_make_user, user), key, tuple(needs))
                self.notes.append(
                    f"user {user.name} has no password yet: mogan-hil-manage user set-password {user.name}"
                )

    def _switch(self, switch: Switch) -> Iterator[Step]:
        key = ("switch", switch.name)
        if switch.name not in self._present.switches and self._named(f"switch {switch.name!r}", key):
            found = self._try(f"switch {switch.name}", key, self._translate.switch, switch)
            if found is not None:
                act = _do(switches.create, switch.name, found[0], found[1], None, "")
                yield Step(f"create switch {switch.name} ({found[0]})", act, key)
        for port in switch.ports:
            what, makes = f"port {port!r} of switch {switch.name}", ("port", switch.name, port)
            if (switch.name, port) in self._present.ports:
                continue
            if self._try(what, makes, self._translate.port, port) is not None:
                act = _do(ports.create, switch.name, port)
                yield Step(f"create port {port} of switch {switch.name}", act, makes, (key,))

    def _network(self, network: Network) -> Iterator[Step]:
        key, here = ("network", network.name), self._present.networks.get(network.name)
        if here is not None:
            # Attachments go by the name: nodes of one project must not come upon the network of another.
            if here != [(network.owner, network.segment)]:
                self.obstacles.append(f"network {network.name}: there is another of this name here")
                self._refused.add(key)
            return
        if not self._named(f"network {network.name!r}", key):
            return
        involved = [project for project in (network.owner, *network.access) if project is not None]
        for project in involved:
            if project not in self._site.projects:
                self.obstacles.append(f"network {network.name}: there is no project {project}")
                self._refused.add(("project", project))
        owner = network.owner or "the site"
        public = not network.access and network.owner is None
        others = sorted(project for project in network.access if project != network.owner)
        if public:
            self.notes.append(
                f"network {network.name} is public: every project may use it. HIL also made a network so when the last "
                "project was taken off its list: if that was not meant, grant it to a project there first"
            )
        used = ", public" if public else f", for {', '.join(others)}" if others else ""
        yield Step(
            f"create network {network.name} of {owner} on segment {network.segment}{used}",
            _do(
                networks.create,
                network.name,
                project=network.owner,
                site=network.owner is None,
                access=others,
                public=public,
                segment_id=network.segment,
            ),
            key,
            tuple(("project", project) for project in involved),
        )

    def _node(self, node: Node) -> Iterator[Step]:
        key = ("node", node.name)
        if node.name not in self._present.nodes and self._named(f"node {node.name!r}", key):
            yield from self._new_node(node, key)
        yield from self._claimed(node, key)  # before its cables: their ports were not seen yet
        for nic in node.nics:
            yield from self._nic(node, nic, key)
        yield from self._attached(node)

    def _new_node(self, node: Node, key: Key) -> Iterator[Step]:
        for label, value in node.metadata.items():
            self._try(f"label {label!r} of node {node.name}", key, self._translate.label, label, value)
        obm = self._try(f"node {node.name}", key, self._translate.obm, node)
        if obm is None and not (node.obm or node.obmd):
            self.notes.append(f"node {node.name} has no controller yet: its description is not told")
        if key not in self._refused:
            yield Step(f"create node {node.name}", _do(nodes.create, node.name, obm, node.metadata), key)

    def _nic(self, node: Node, nic: Nic, key: Key) -> Iterator[Step]:
        makes, what = ("nic", node.name, nic.name), f"NIC {nic.name} of node {node.name}"
        if (node.name, nic.name) not in self._present.nics and self._named(f"NIC {nic.name!r} of {node.name}", makes):
            mac = self._try(what, makes, self._translate.mac, node.name, nic)
            if mac is not None:
                yield Step(f"create {what}", _do(nics.create, node.name, nic.name, mac), makes, (key,))
        if nic.port is None:
            return
        there, cable = self._present.cabled.get(nic.port), ("cable", *nic.port)
        if there is not None and there != (node.name, nic.name):
            self.obstacles.append(f"port {'/'.join(nic.port)}: NIC {there[1]} of node {there[0]} is there")
            self._refused.add(cable)
        elif there is None:
            act = _do(ports.cable, *nic.port, node.name, nic.name)
            yield Step(f"cable {what} to {'/'.join(nic.port)}", act, cable, (makes, ("port", *nic.port)))

    def _claimed(self, node: Node, key: Key) -> Iterator[Step]:
        owner, claim = self._present.owners.get(node.name), ("claim", node.name)
        if owner is not None and owner != node.project:
            self.obstacles.append(f"node {node.name}: it belongs to project {owner} here")
            return
        if node.project is not None and owner is None:
            act = _do(nodes.claim, node.name, node.project)
            text = f"claim node {node.name} for {node.project}"
            yield Step(text, act, claim, (key, ("project", node.project)))

    def _attached(self, node: Node) -> Iterator[Step]:
        if self._present.owners.get(node.name) not in (None, node.project):
            return
        for nic in node.nics:
            # Some switches want the native network first.
            for channel, network in sorted(nic.networks, key=lambda one: one[0] != channels.NATIVE):
                here = self._present.attached.get((node.name, nic.name, channel))
                what = f"NIC {nic.name} of node {node.name}"
                if here not in (None, network):
                    self.obstacles.append(f"{what}: it has network {here} as {channel} here")
                elif here is None:
                    act = _do(_attach, node.name, nic.name, network, channel)
                    cable = [("cable", *nic.port)] if nic.port is not None else []
                    wanted: list[Key] = [("claim", node.name), ("nic", node.name, nic.name), ("network", network)]
                    needs = (*wanted, *cable)
                    makes = ("attachment", node.name, nic.name, channel)
                    yield Step(f"attach network {network} to {what} as {channel}", act, makes, needs)

    def _headnode(self, headnode: Headnode) -> Iterator[Step]:
        what, key = f"headnode {headnode.name}", ("headnode", headnode.project, headnode.name)
        if (headnode.project, headnode.name) in self._present.headnodes:
            return
        image = self._translate.image(headnode.image)
        if image is None:
            self.notes.append(f"{what} is not taken over: there is no image {headnode.image} for headnodes here")
            return
        for hnic in headnode.hnics:
            self._named(f"NIC {hnic.name!r} of {what}", (*key, hnic.name))
        if not self._named(f"headnode {headnode.name!r}", key):
            return
        self.notes.append(
            f"{what} is taken over as a definition: its machine and its disk stay where they are, and it gets new "
            "ones, with other MAC addresses, when it is first started here"
        )
        wanted = [hnic.network for hnic in headnode.hnics if hnic.network is not None]
        needs = (("project", headnode.project), *(("network", network) for network in wanted))
        text = f"create {what} of {headnode.project} from image {image} with {len(headnode.hnics)} NICs"
        yield Step(text, _do(_make_headnode, headnode, image), key, needs)


def _do(verb: Callable[..., object], *arguments: Any, **named: Any) -> Callable[[Call], object]:
    return lambda call: verb(call, *arguments, **named)


def _make_user(call: Call, user: User) -> None:
    """With a password that nobody knows: HIL's are hashed in another way."""
    users.create(call, user.name, uuidutils.generate_uuid())
    if user.admin:
        users.assign(call, user.name, ADMIN, "admin")
    for project in user.projects:
        if not (user.admin and project == ADMIN):
            users.assign(call, user.name, project, "member")


def _make_headnode(call: Call, headnode: Headnode, image: str) -> None:
    uuid = headnodes.create(call, headnode.name, image, project=headnode.project).headnode.uuid
    for hnic in headnode.hnics:
        hnics.create(call, uuid, hnic.name)
        if hnic.network is not None:
            hnics.connect(call, uuid, hnic.name, hnic.network)


@writes
def _attach(call: Call, node: str, nic: str, network: str, channel: str) -> None:
    """Write down what HIL had done. Whether the port is so, healing its switch finds out."""
    with call.writer() as session:
        machine = node_objects.Node.get(session, node, lock="update")
        card = node_objects.Nic.get(session, nic, models.Nic.node_id == machine.id)
        attachments.write(session, call, machine, card, network, channel, states.Attachment.ACTIVE)
