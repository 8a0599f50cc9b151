# SPDX-License-Identifier: Apache-2.0
"""Who may do what, as a table to be read by a person."""

from __future__ import annotations

import ast
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import testtools
from oslo_config import cfg

from mogan_hil import policies
from mogan_hil.common import exception
from mogan_hil.context import RequestContext
from mogan_hil.policy import Policy

OWN, OTHER = "own", "other"

#: A letter a caller. The target is a thing of the project `own`.
CALLERS = {
    "A": RequestContext(roles=["admin", "member", "reader"], project_id=OTHER),
    "M": RequestContext(roles=["member", "reader"], project_id=OWN),
    "R": RequestContext(roles=["reader"], project_id=OWN),
    "m": RequestContext(roles=["member", "reader"], project_id=OTHER),
    "r": RequestContext(roles=["reader"], project_id=OTHER),
    "S": RequestContext(roles=["reader"], system_scope="all"),
    "s": RequestContext(roles=["service"], project_id=OTHER),
    "n": RequestContext(roles=[], project_id=OWN),
}

#: Administrators; members and readers of the project that owns the thing (M, R) or of another (m, r); a reader with a
#: token for the system (S); another service (s); somebody without a role (n).
TABLE = {
    "A": """
        aggregate: create update delete add_node remove_node
        flavor: create update delete grant revoke
        image: create_public
        instance: adopt release
        network: create_special update_public
        nic: create delete
        node: create update delete set_metadata delete_metadata
        port: create delete cable uncable revert
        project: create delete
        quota: set reset
        switch: create update delete heal
        user: create update delete assign unassign
    """,
    "AS": """
        aggregate: list get list_nodes count_zones
        driver: list
        flavor: list_all
        keypair: get_others
        nic: get_cabling
        node: get_obm
        operation: get_detail
        port: list get
        project: list
        switch: list get drift
        user: list get
    """,
    "AM": """
        address: take_unpooled
        attachment: create delete
        headnode: create delete set_power
        hnic: create delete connect disconnect
        image: create update delete
        console: start stop type
        instance: create update delete get_config power rebuild lock unlock attach_interface detach_interface
        network: create update delete grant revoke renounce
        node: claim release
        obm: set_power set_boot_device enable
        subnet: create update delete
        server_group: create delete
    """,
    "AMm": """
        keypair: create delete
    """,
    "AMRS": """
        attachment: list
        console: get stream
        headnode: get
        hnic: list
        instance: get list_interfaces
        network: get_access get_isolation
        nic: list get
        node: get get_metadata
        obm: get_power get_boot_device
        operation: get
        project: get list_nodes list_networks list_headnodes
        quota: get
        server_group: get
    """,
    "AMRmrS": """
        aggregate: list_zones
        address: list
        flavor: list get
        headnode: list list_images
        image: list get
        instance: list
        keypair: list get
        network: list get list_attachments
        nic: get_free
        node: list get_free get_free_metadata
        operation: list
        subnet: list get
        quota: get_defaults
        server_group: list
    """,
}


def expected() -> dict[str, str]:
    """Rule to callers."""
    found = {}
    for callers, text in TABLE.items():
        for line in filter(None, map(str.strip, text.splitlines())):
            noun, _, verbs = line.partition(": ")
            found |= {f"{noun}:{verb}": callers for verb in verbs.split()}
    return found


class TestPolicy(testtools.TestCase):
    """See the module."""

    def setUp(self) -> None:
        super().setUp()
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[])
        self.policy = Policy(conf)

    def test_every_rule_is_in_the_table(self) -> None:
        self.assertEqual(set(expected()), {rule.name for rule in policies.list_rules() if ":" in rule.name})

    def test_the_table(self) -> None:
        target = {"project_id": OWN, "access_project_id": OWN, "locked_by": "nobody"}
        for rule, callers in expected().items():
            allowed = "".join(name for name, caller in CALLERS.items() if self.policy.allows(caller, rule, target))
            self.assertEqual(callers, allowed, rule)

    def test_what_nobody_owns_is_nobodys(self) -> None:
        """A caller without a project does not own what has no project."""
        lost = RequestContext(roles=["member"], project_id=None)
        for rule, callers in expected().items():
            if "m" not in callers:
                self.assertFalse(
                    self.policy.allows(
                        lost, rule, {"project_id": None, "access_project_id": None, "locked_by": "nobody"}
                    ),
                    rule,
                )

    def test_the_lock(self) -> None:
        """Each holder, and who may change what is locked, and who may lift the lock."""
        for holder, writable, unlock in (("nobody", "AMR", "AM"), ("owner", "A", "AM"), ("admin", "A", "A")):
            target = {"project_id": OWN, "locked_by": holder}
            for rule, callers in (("instance_writable", writable), ("instance:unlock", unlock)):
                own = {name: caller for name, caller in CALLERS.items() if name in "AMR"}
                allowed = "".join(name for name, caller in own.items() if self.policy.allows(caller, rule, target))
                self.assertEqual(callers, allowed, (rule, holder))

    def test_roles_in_any_case(self) -> None:
        self.assertTrue(self.policy.allows(RequestContext(roles=["Admin"]), "switch:create", {"project_id": None}))

    def test_an_answer_is_remembered_for_its_caller(self) -> None:
        """A user and a project may have the same id: which of them it is counts."""
        target = {"project_id": "x"}
        for context, allowed in (
            (RequestContext(roles=["member"], user_id="x"), False),
            (RequestContext(roles=["member"], project_id="x"), True),
            (RequestContext(roles=["member"], user_id="x"), False),
        ):
            self.assertIs(allowed, self.policy.allows(context, "network:update", target))

    def test_a_refusal_names_its_rule(self) -> None:
        error = self.assertRaises(
            exception.Forbidden, self.policy.check, CALLERS["M"], "switch:create", {"project_id": None}
        )
        self.assertIn("switch:create", error.detail)

    def test_it_is_parsed_by_one_at_a_time(self) -> None:
        """oslo.policy parses the checks of a rule at each question: see :mod:`mogan_hil.common.parsing`."""
        parses: list[object] = []
        most = 0
        real = ast.literal_eval

        def parse(text: str) -> Any:
            nonlocal most
            parses.append(text)
            most = max(most, len(parses))
            time.sleep(0.001)  # another thread's turn
            parses.pop()
            return real(text)

        def ask(number: int) -> bool:
            caller = RequestContext(roles=["member"], project_id=f"p{number}")
            return self.policy.allows(caller, "network:update", {"project_id": f"p{number}"})

        with mock.patch("ast.literal_eval", parse), ThreadPoolExecutor(4) as pool:
            self.assertEqual([True] * 16, list(pool.map(ask, range(16))))
        self.assertLessEqual(most, 1)
