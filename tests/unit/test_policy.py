# SPDX-License-Identifier: Apache-2.0
"""Who may do what, as a table to be read by a person."""

from __future__ import annotations

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
        flavor: create update delete grant revoke
        instance: adopt release
        network: create_special update_public
        nic: create delete
        node: create update delete set_metadata delete_metadata
        port: create delete cable uncable revert
        project: create delete
        switch: create update delete heal
        user: create update delete assign unassign
    """,
    "AS": """
        driver: list
        flavor: list_all
        nic: get_cabling
        node: get_obm
        operation: get_detail
        port: list get
        project: list
        switch: list get drift
        user: list get
    """,
    "AM": """
        attachment: create delete
        instance: create update delete power rebuild lock unlock attach_interface detach_interface
        network: create update delete grant revoke renounce
        node: claim release
        obm: set_power set_boot_device enable
    """,
    "AMRS": """
        attachment: list
        instance: get list_interfaces
        network: get_access get_isolation
        nic: list get
        node: get get_metadata
        obm: get_power get_boot_device
        operation: get
        project: get list_nodes list_networks
    """,
    "AMRmrS": """
        flavor: list get
        instance: list
        network: list get list_attachments
        node: list get_free
        operation: list
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
