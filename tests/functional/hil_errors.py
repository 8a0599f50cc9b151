# SPDX-License-Identifier: Apache-2.0
"""What each of HIL's calls refused, as HIL's documents and its code tell: what the tests have to hold.

A: whoever is no administrator. 404: something that is named and is not there. Left out are the errors that each call
with arguments has, and those that were a page and not one of HIL's classes.
"""

from __future__ import annotations

from collections.abc import Mapping

CLASSES: Mapping[str, str] = {
    "A": "AuthorizationError",
    "404": "NotFoundError",
    "argument": "BadArgumentError",
    "duplicate": "DuplicateError",
    "blocked": "BlockedError",
    "mismatch": "ProjectMismatchError",
    "state": "IllegalStateError",
}

_TOLD: Mapping[str, str] = {
    "list_projects": "A",
    "project_create": "A duplicate",
    "project_delete": "A 404 blocked",
    "project_connect_node": "404 blocked",
    "project_detach_node": "404 blocked",
    "list_project_nodes": "404",
    "list_project_networks": "404",
    "list_project_headnodes": "404",
    "node_register": "A duplicate argument",
    "node_delete": "A 404 blocked",
    "node_register_nic": "A 404 duplicate",
    "node_delete_nic": "A 404 blocked",
    "list_nodes": "",
    "list_free_nodes": "",
    "show_node": "404",
    "node_set_metadata": "A 404",
    "node_delete_metadata": "A 404",
    "node_enable_disable_obm": "404",
    "node_power_cycle": "404 blocked",
    "node_power_on": "404 blocked",
    "node_power_off": "404 blocked",
    "node_power_status": "404 blocked",
    "node_set_bootdev": "404 blocked argument",
    "start_console": "404",
    "stop_console": "404",
    "show_console": "404 blocked",
    "node_connect_network": "404 mismatch blocked argument",
    "node_detach_network": "404 mismatch blocked argument",
    "show_networking_action": "404",
    "list_networks": "",
    "list_network_attachments": "404",
    "network_create": "A duplicate argument blocked",
    "network_delete": "A 404 blocked",
    "show_network": "404",
    "network_grant_project_access": "A 404 duplicate",
    "network_revoke_project_access": "404 blocked",
    "list_switches": "A",
    "show_switch": "A 404",
    "switch_register": "A duplicate argument",
    "switch_delete": "A 404 blocked",
    "switch_register_port": "A 404 duplicate argument",
    "switch_delete_port": "A 404 blocked",
    "show_port": "A 404",
    "port_connect_nic": "A 404 duplicate",
    "port_detach_nic": "A 404 blocked",
    "port_revert": "A 404 blocked",
    "headnode_create": "404 duplicate argument",
    "headnode_delete": "404",
    "headnode_start": "404",
    "headnode_stop": "404",
    "headnode_create_hnic": "404 duplicate state",
    "headnode_delete_hnic": "404 state",
    "headnode_connect_network": "404 argument state mismatch",
    "headnode_detach_network": "404 state",
    "show_headnode": "404",
    "list_headnode_images": "",
    "list_active_extensions": "A",
    "list_users": "A",
    "user_create": "A duplicate",
    "user_delete": "A 404",
    "user_set_admin": "A 404 state",
    "user_add_project": "A 404 duplicate",
    "user_remove_project": "A 404",
}

#: What of it is not so here. What was recorded of a console is shown whether its controller is enabled or not.
DIFFERENT: Mapping[str, set[str]] = {"show_console": {"BlockedError"}}


def told() -> dict[str, set[str]]:
    """By call, the classes of errors that are so here, too."""
    found = {call: {CLASSES[word] for word in words.split()} for call, words in _TOLD.items()}
    return {call: kinds - DIFFERENT.get(call, set()) for call, kinds in found.items()}
