# SPDX-License-Identifier: Apache-2.0
"""Every error that a caller may see: one class a meaning, its HTTP status and its stable code on the class.

The status, the code and the title are part of the API. The detail is for people and may change. The error body is the
one of the OpenStack API working group: https://specs.openstack.org/openstack/api-sig/guidelines/errors.html
"""

from __future__ import annotations

#: A detail may name what the request named, which may be long.
MAX_DETAIL = 2000


class MoganHilError(Exception):
    """The base of all. Raised as itself it is a bug: a 500 whose detail stays in the log."""

    status = 500
    code = "internal"
    title = "Internal error"
    template = "An unexpected error happened."

    def __init__(self, detail: str | None = None, **fields: object) -> None:
        self.detail = (detail if detail is not None else self.template.format(**fields))[:MAX_DETAIL]
        super().__init__(self.detail)


class BadRequest(MoganHilError):
    status = 400
    code = "request.invalid"
    title = "Bad request"
    template = "The request is not valid: {reason}"


class BadField(BadRequest):
    code = "request.field_invalid"
    title = "A field is not valid"
    template = "{field}: {reason}"


class BadQuery(BadRequest):
    code = "request.query_invalid"
    title = "A query parameter is not valid"
    template = "{field}: {reason}"


class MarkerNotFound(BadRequest):
    code = "request.marker_not_found"
    title = "No such marker"
    template = "The marker is not one of the things listed."


class Unauthorized(MoganHilError):
    status = 401
    code = "auth.required"
    title = "Authentication required"
    template = "Name and password, or a token, are missing or wrong."


class Forbidden(MoganHilError):
    status = 403
    code = "policy.forbidden"
    title = "Not allowed"
    template = "The policy does not allow you to do this ({rule})."


class NotFound(MoganHilError):
    status = 404
    code = "not_found"
    title = "Not found"
    template = "There is no {kind} {name!r}."


class RouteNotFound(NotFound):
    code = "route.not_found"
    template = "There is nothing at this path."


class MethodNotAllowed(MoganHilError):
    status = 405
    code = "route.method_not_allowed"
    title = "Method not allowed"
    template = "This path does not take {method}; it takes {allowed}."

    def __init__(self, detail: str | None = None, *, method: str = "", allowed: tuple[str, ...] = ()) -> None:
        self.allowed = allowed
        super().__init__(detail, method=method, allowed=", ".join(allowed))


class NotAcceptable(MoganHilError):
    status = 406
    code = "request.version_unsupported"
    title = "Version not supported"
    template = "Version {version} is not supported; 1.{lowest} to 1.{highest} are."


class Conflict(MoganHilError):
    status = 409
    code = "conflict"
    title = "Conflict"
    template = "{reason}"


class Duplicate(Conflict):
    code = "conflict.duplicate"
    title = "It exists already"
    template = "There is a {kind} with this {field} already."


class Busy(Conflict):
    code = "operation.pending"
    title = "An operation is pending"
    template = "Another operation on {kind} {name!r} is not finished yet."


class InUse(Conflict):
    code = "conflict.in_use"
    title = "Still in use"
    template = "{kind} {name!r} still has {what}."


class NodeClaimed(Conflict):
    code = "node.claimed"
    title = "The node is claimed"
    template = "Node {name!r} belongs to a project already."


class NodeFree(Conflict):
    code = "node.free"
    title = "The node is free"
    template = "Node {name!r} belongs to no project."


class NodeUnavailable(Conflict):
    code = "node.maintenance"
    title = "The node is in maintenance"
    template = "Node {name!r} is in maintenance."


class NoObm(Conflict):
    code = "obm.unavailable"
    title = "The node cannot be managed out of band"
    template = "Node {name!r} has {what}."


class ObmDisabled(Conflict):
    code = "obm.disabled"
    title = "Out-of-band management is disabled"
    template = "Out-of-band management of node {name!r} is disabled; enable it first."


class ConsoleNotActive(Conflict):
    code = "console.not_active"
    title = "The console is not open"
    template = "The console of node {name!r} is {status}; start it, or wait until it is active."


class InstanceLocked(Conflict):
    code = "instance.locked"
    title = "The instance is locked"
    template = "Instance {name!r} is locked by its {holder}; unlock it first."


class InstanceState(Conflict):
    code = "instance.state"
    title = "Not in this state"
    template = "Instance {name!r} is {status}; it cannot {event} now."


class HeadnodeFrozen(Conflict):
    code = "headnode.frozen"
    title = "The headnode was started"
    template = "Headnode {name!r} was started: its NICs and their networks stay as they are."


class HeadnodeUnclean(Conflict):
    code = "headnode.unclean"
    title = "Something may be left of the headnode's machine"
    template = "What a failed start has made of headnode {name!r} may still be there: start it again, or delete it."


class HeadnodeNew(Conflict):
    code = "headnode.new"
    title = "The headnode was never started"
    template = "Headnode {name!r} was never started: there is nothing to stop."


class NotPooled(Conflict):
    code = "network.not_pooled"
    title = "The network is none for headnodes"
    template = "Headnodes cannot be on network {name!r}: {reason}."


class ImageDisabled(Conflict):
    code = "image.disabled"
    title = "The image is disabled"
    template = "Image {name!r} is disabled."


class FlavorDisabled(Conflict):
    code = "flavor.disabled"
    title = "The flavor is disabled"
    template = "Flavor {name!r} is disabled."


class QuotaExceeded(Forbidden):
    code = "quota.exceeded"
    title = "The quota is used up"
    template = "The quota of {resource} is {limit}; {used} are in use, and {asked} more were asked for."


class SwitchTwice(Conflict):
    code = "switch.registered"
    title = "The switch is registered"
    template = "The options are those of a switch that is registered already: two would fight over its ports."


class NodeElsewhere(Conflict):
    code = "node.elsewhere"
    title = "The node is elsewhere"
    template = "Node {name!r} is not {where}."


class TwoPlaces(Conflict):
    code = "aggregate.two_places"
    title = "A node cannot be in two places"
    template = "Node {name!r} would be in more than one {what}: {places}."


class NodeQuarantined(Conflict):
    code = "node.quarantined"
    title = "The node is quarantined"
    template = (
        "Node {name!r} is free and cannot be given away: one of its ports is not proven parked, or its controller has "
        "not come back from a call."
    )


class Unsettled(Conflict):
    code = "device.unsettled"
    title = "A call is still under way"
    template = "The controller of node {name!r} has not come back from a call, which may still switch it; try later."


class NotEnoughNodes(Conflict):
    code = "claim.not_enough_nodes"
    title = "Not enough free nodes"
    template = "{wanted} free nodes were asked for and {found} match; nothing was claimed."


class ProjectMismatch(Conflict):
    code = "network.no_access"
    title = "The project may not use the network"
    template = "The project of node {node!r} has no access to network {network!r}."


class NotCabled(Conflict):
    code = "nic.not_cabled"
    title = "The NIC has no cable"
    template = "NIC {name!r} is not cabled to a switch port."


class WrongPhysicalNetwork(Conflict):
    code = "network.other_physical_network"
    title = "The network is on another physical network"
    template = "Network {network!r} is on physical network {wanted!r}; the switch of NIC {nic!r} is on {actual!r}."


class ChannelTaken(Conflict):
    code = "attachment.channel_taken"
    title = "The channel is taken"
    template = "NIC {nic!r} already has a network on channel {channel!r}, or has this network on another channel."


class SegmentTaken(Conflict):
    code = "network.segment_taken"
    title = "The segment is taken"
    template = "Segment {segment} of physical network {physical_network!r} belongs to another network."


class PoolEmpty(Conflict):
    code = "network.pool_empty"
    title = "No segment is free"
    template = "All segments of physical network {physical_network!r} are in use."


class SubnetOverlap(Conflict):
    code = "subnet.overlap"
    title = "The subnet overlaps another"
    template = "Subnet {cidr} overlaps {other} of the same network."


class AddressTaken(Conflict):
    code = "address.taken"
    title = "The address is taken"
    template = "Address {ip} belongs to another NIC on this network."


class NoAddress(Conflict):
    code = "address.none_free"
    title = "No address is free"
    template = "All addresses to be given of {subnets} are in use."


class NameAmbiguous(Conflict):
    code = "name.ambiguous"
    title = "The name is not unique"
    template = "More than one {kind} is called {name!r}; use the uuid."


class TooLarge(MoganHilError):
    status = 413
    code = "request.too_large"
    title = "The request is too large"
    template = "A body may have {limit} bytes."


class UnsupportedMediaType(MoganHilError):
    status = 415
    code = "request.media_type"
    title = "Not JSON"
    template = "Bodies are application/json in UTF-8."


class LockedOut(MoganHilError):
    """:param seconds: after which it may be tried again"""

    status = 429
    code = "auth.locked"
    title = "Too many failed logins"
    template = "Too many failed logins; try again in {seconds} seconds."

    def __init__(self, detail: str | None = None, *, seconds: int = 1) -> None:
        self.seconds = seconds
        super().__init__(detail, seconds=seconds)


class DeviceUnavailable(MoganHilError):
    status = 503
    code = "device.unavailable"
    title = "The device could not be asked"
    template = "{reason}"


class IdentityUnavailable(MoganHilError):
    status = 503
    code = "identity.unavailable"
    title = "Keystone could not be asked"
    template = "Keystone could not be asked who you are or what you named; try again."


class SecretsUnavailable(MoganHilError):
    status = 503
    code = "secrets.no_key"
    title = "Secrets cannot be sealed"
    template = "This process has no key to seal secrets with; its operators find the reason in the log."


class DatabaseBusy(MoganHilError):
    status = 503
    code = "database.busy"
    title = "The database is busy"
    template = "The database did not answer in time; try again."
