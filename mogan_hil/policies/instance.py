# SPDX-License-Identifier: Apache-2.0
"""Instances, and the lock. That a locked one is not changed is said by `instance_writable`, which every verb asks."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "instance:create"
LIST = "instance:list"
GET = "instance:get"
UPDATE = "instance:update"
DELETE = "instance:delete"
POWER = "instance:power"
REBUILD = "instance:rebuild"
LOCK = "instance:lock"
UNLOCK = "instance:unlock"
GET_CONFIG = "instance:get_config"
LIST_INTERFACES = "instance:list_interfaces"
ATTACH_INTERFACE = "instance:attach_interface"
DETACH_INTERFACE = "instance:detach_interface"
ADOPT = "instance:adopt"
RELEASE = "instance:release"

ONE = "/v1/instances/{instance}"

RULES = [
    base.rule(CREATE, base.PROJECT_MEMBER, "Create instances of a project.", ("POST", "/v1/instances")),
    base.rule(LIST, base.ANYBODY, "List the instances of the own project.", ("GET", "/v1/instances")),
    base.rule(GET, base.PROJECT_READER, "Show an instance.", ("GET", ONE)),
    base.rule(
        GET_CONFIG,
        base.PROJECT_MEMBER,
        "Show what an instance was given, its user data and files included.",
        ("GET", f"{ONE}/config"),
    ),
    base.rule(UPDATE, base.PROJECT_MEMBER, "Rename or describe an instance, and replace its metadata.", ("PATCH", ONE)),
    base.rule(DELETE, base.PROJECT_MEMBER, "Delete an instance and give its node back.", ("DELETE", ONE)),
    base.rule(POWER, base.PROJECT_MEMBER, "Start, stop and reboot an instance.", ("PUT", f"{ONE}/power")),
    base.rule(REBUILD, base.PROJECT_MEMBER, "Boot an instance anew.", ("PUT", f"{ONE}/rebuild")),
    base.rule(
        LOCK,
        base.PROJECT_MEMBER,
        "Lock an instance against changes.",
        ("PUT", f"{ONE}/lock"),
        ("PUT", "/v1/servers/{instance}/states/lock"),
    ),
    base.rule(
        UNLOCK,
        "rule:admin or (rule:project_member and (rule:unlocked or rule:owner_locked))",
        "Unlock an instance: what an administrator has locked, only one can unlock.",
        ("PUT", f"{ONE}/lock"),
        ("PUT", "/v1/servers/{instance}/states/lock"),
    ),
    base.rule(LIST_INTERFACES, base.PROJECT_READER, "List the NICs of an instance.", ("GET", f"{ONE}/interfaces")),
    base.rule(ATTACH_INTERFACE, base.PROJECT_MEMBER, "Attach an instance to a network.", ("POST", f"{ONE}/interfaces")),
    base.rule(
        DETACH_INTERFACE,
        base.PROJECT_MEMBER,
        "Detach an instance from a network.",
        ("DELETE", f"{ONE}/interfaces/{{attachment}}"),
    ),
    base.rule(ADOPT, base.ADMIN, "Make an instance of a node as it is.", ("POST", "/v1/instances/adopt")),
    base.rule(RELEASE, base.ADMIN, "Forget an instance and leave its node as it is.", ("POST", f"{ONE}/release")),
]
