# SPDX-License-Identifier: Apache-2.0
"""What notifications say of a thing: the fields that are named here, and no others.

Whoever adds a table says here what is told of it, in one line, or in :mod:`mogan_hil.objects.changes` why nothing is.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any, ClassVar

from oslo_versionedobjects import base
from oslo_versionedobjects import fields as ovo_fields

from mogan_hil.db import models
from mogan_hil.objects.base import Registry
from mogan_hil.objects.fields import field_for

#: What is told of an operation's own payload. Whatever else a verb keeps there stays there.
TOLD_OF_WORK = frozenset(
    {
        "boot_device",
        "channel",
        "device",
        "image",
        "headnode",
        "headnode_uuid",
        "instance",
        "instance_uuid",
        "network",
        "network_uuid",
        "nic",
        "node",
        "nodes",
        "persistent",
        "phase",
        "port",
        "port_uuid",
        "round",
        "switch",
        "target",
    }
)


class Payload(base.VersionedObject):
    """What is told of one row of one table.

    Besides the row's own fields: who changed it (`by_user_id`, `by_project_id`, `request_id`; None where the service
    did so itself), the names of the columns that `changed`, and `changes`, with the old and the new value of each of
    those that are told.
    """

    OBJ_SERIAL_NAMESPACE = "mogan_hil_object"
    OBJ_PROJECT_NAMESPACE = "mogan_hil"
    MODEL: ClassVar[type[models.Base]]
    #: Columns that are told as they are.
    PLAIN: ClassVar[tuple[str, ...]]
    #: Columns that refer to another row, which is told by its uuid.
    REFERENCES: ClassVar[tuple[str, ...]]

    @classmethod
    def of(cls, row: Mapping[str, Any], uuids: Mapping[str, str | None], **common: Any) -> dict[str, Any]:
        """The payload as it is sent.

        :param uuids: for each of `REFERENCES`, what it refers to
        :param common: the fields that every payload has
        """
        values = {name: row[name] for name in cls.PLAIN}
        if cls.MODEL is models.Operation:
            values["payload"] = {name: value for name, value in row["payload"].items() if name in TOLD_OF_WORK}
        values |= {reference_field(name): uuids[name] for name in cls.REFERENCES}
        found: dict[str, Any] = cls(**{**common, **values}).obj_to_primitive()
        found.pop("mogan_hil_object.changes", None)  # which fields were set on the object, which are all
        return found


def reference_field(column: str) -> str:
    """The name under which a reference is told: `node_uuid` for `node_id`."""
    return f"{column.removesuffix('_id')}_uuid"


def _refers(column: Any) -> bool:
    return any(key.column.name == "id" for key in column.foreign_keys)


def _payload(model: type[models.Base], told: str, version: str = "1.0") -> type[Payload]:
    """The payload for a table.

    :param told: the names of the columns; a new one needs a new version, which a test of fingerprints enforces
    """
    columns = model.__table__.columns
    names = told.split()
    hints = typing.get_type_hints(model)
    fields = {
        "by_user_id": ovo_fields.StringField(nullable=True),
        "by_project_id": ovo_fields.StringField(nullable=True),
        "request_id": ovo_fields.StringField(nullable=True),
        "changed": ovo_fields.ListOfStringsField(),
        "changes": field_for(dict[str, Any]),
    }
    for name in names:
        if _refers(columns[name]):
            fields[reference_field(name)] = ovo_fields.StringField(nullable=True)
        else:
            fields[name] = field_for(typing.get_args(hints[name])[0])
    made = type(
        f"{model.__name__}Payload",
        (Payload,),
        {
            "VERSION": version,
            "MODEL": model,
            "PLAIN": tuple(name for name in names if not _refers(columns[name])),
            "REFERENCES": tuple(name for name in names if _refers(columns[name])),
            "fields": fields,
        },
    )
    Registry.register(made)
    return made


#: By table. Columns with secrets, with the addresses of devices, or with what a tenant keeps in them are not here.
PAYLOADS: Mapping[type[models.Base], type[Payload]] = {
    made.MODEL: made
    for made in (
        _payload(models.Project, "uuid name created_at"),
        _payload(models.User, "uuid name created_at"),
        _payload(models.RoleAssignment, "user_id project_id role"),
        _payload(models.Keypair, "uuid name user_id type fingerprint created_at"),
        _payload(models.Image, "uuid name description project_id disabled created_at"),
        _payload(models.Switch, "uuid name description driver physical_network created_at"),
        _payload(
            models.Node,
            "uuid name description project_id resource_class traits maintenance maintenance_reason obm_driver"
            " obm_enabled availability_zone failure_domain created_at",
            "1.1",
        ),
        _payload(models.NodeMetadata, "node_id label"),
        _payload(models.Aggregate, "uuid name description created_at"),
        _payload(models.AggregateMetadata, "aggregate_id label value"),
        _payload(models.AggregateNode, "aggregate_id node_id"),
        _payload(models.Nic, "uuid name node_id mac created_at"),
        _payload(models.Port, "uuid name switch_id nic_id status status_reason observed in_sync created_at"),
        _payload(
            models.Network,
            "uuid name description project_id public physical_network segment_id pooled channels created_at",
        ),
        _payload(models.NetworkAccess, "network_id project_id"),
        _payload(models.Subnet, "uuid network_id cidr gateway pools dns_servers dhcp created_at"),
        _payload(models.Attachment, "uuid nic_id network_id channel status created_at"),
        _payload(models.Headnode, "uuid name description project_id image memory cpus status frozen fault created_at"),
        _payload(models.Hnic, "uuid name headnode_id network_id mac created_at"),
        _payload(
            models.Flavor,
            "uuid name description resource_class traits aggregate_metadata public disabled created_at",
            "1.1",
        ),
        _payload(models.FlavorAccess, "flavor_id project_id"),
        _payload(models.Quota, "project_id resource maximum"),
        _payload(models.ServerGroup, "uuid name project_id policy created_at"),
        _payload(
            models.Instance,
            "uuid name description project_id user_id flavor_id node_id server_group_id image_id keypair status"
            " owner_lock admin_lock fault created_at",
            "1.2",
        ),
        _payload(
            models.Operation,
            "uuid verb state parent_id request_id user_id project_id node payload verified error attempts created_at"
            " started_at finished_at",
        ),
    )
}
