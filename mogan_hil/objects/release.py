# SPDX-License-Identifier: Apache-2.0
"""Where nodes go that are given back: they are free, or go to a project that sees to them first; a URL may be told."""

from __future__ import annotations

import zlib

from oslo_config import cfg
from oslo_log import log
from sqlalchemy import orm

from mogan_hil.common import exception, states
from mogan_hil.objects.node import Node
from mogan_hil.objects.operation import Operation
from mogan_hil.objects.project import Project

LOG = log.getLogger(__name__)

#: The verb of what tells the URL, and the sort of its lanes.
VERB, SORT = "node_notice", "notices"

#: Lanes on which the URL is told. A server that does not answer holds up as many of a conductor's workers.
LANES = 2

#: Ids of projects are no longer than their column.
MAX_PROJECT = 64


class Releases:
    """Takes nodes from projects, as the group [maintenance] says. Every node that is given back comes through here."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._settings = conf.maintenance
        self._local = conf.auth.strategy == "local"

    def give_back(
        self, session: orm.Session, node: Node, project_id: str, request_id: str = "", user_id: str = ""
    ) -> set[str]:
        """Take a node from a project, if this one has it.

        What is told of it is work of the journal, in the same transaction: it can neither fail nor delay the release.

        :param request_id: whose request it was, for the journal
        :returns: the lanes that have work when this is committed
        """
        pool, missing = self._pool(session)
        if pool == project_id:  # it was seen to
            node.release(session, project_id)
            return set()
        if not node.release(session, project_id, pool):
            return set()
        if missing:
            LOG.error("Node %(node)s is kept from others: %(reason)s", {"node": node.name, "reason": missing})
            node.update(session, maintenance=True, maintenance_reason=missing)
        return {self._notice(session, node, project_id, request_id, user_id)} if self._settings.url else set()

    def _pool(self, session: orm.Session) -> tuple[str | None, str]:
        """The project that nodes go to, None where they are free, and what is wrong with it."""
        name = self._settings.project
        if not name:
            return None, ""
        if not self._local and len(name) <= MAX_PROJECT:
            Project.ensure(session, name)
        found = Project.find(session, Project.identified(name), lock="share")
        if not found:
            return None, "The project for maintenance is not there; see [maintenance] project."
        return found[0].uuid, ""

    @staticmethod
    def _notice(session: orm.Session, node: Node, project_id: str, request_id: str, user_id: str) -> str:
        lane = f"{SORT}:{zlib.crc32(node.uuid.encode()) % LANES}"
        Operation.create(
            session,
            exception.Busy(kind="node", name=node.name),
            verb=VERB,
            lane=lane,
            state=states.Operation.PENDING,
            pending_key=None,
            request_id=request_id,
            user_id=user_id,
            project_id=None,  # it is the site's, and none of the tenant's business
            node=None,  # nor does it keep the node from anything
            payload={"node": node.name, "uuid": node.uuid, "project": project_id},
            overrides_lock=True,
        )
        return lane
