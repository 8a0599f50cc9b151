# SPDX-License-Identifier: Apache-2.0
"""/v1/keypairs"""

from __future__ import annotations

from typing import Any

from mogan_hil.api.expose import Answer, Listing, Page, created, route
from mogan_hil.api.types import Base, Choice, Name, Ref, Text, attribute
from mogan_hil.common import exception, ssh_keys
from mogan_hil.verbs import keypairs
from mogan_hil.verbs.base import Call

FREE = "an instance has a copy of the key"


class Line(Text):
    """A text of one line, with or without the line break that ends a file."""

    def validate(self, value: Any) -> Any:
        return super().validate(value.rstrip("\r\n") if isinstance(value, str) else value)


class NewKeypair(Base):
    name = attribute(Name(), required=True)
    public_key = attribute(Line(ssh_keys.MAX_LENGTH, 1))
    type = attribute(Choice(*ssh_keys.GENERATED))


def view(keypair: Any) -> dict[str, Any]:
    """A keypair as it is shown."""
    names = ("uuid", "name", "user_id", "type", "fingerprint", "public_key", "created_at")
    return {name: getattr(keypair, name) for name in names}


@route("POST", "/v1/keypairs", body=NewKeypair, exempt=FREE)
def create(call: Call, body: dict[str, Any]) -> Answer:
    """Keep a public key, or make a pair: only this answer has its private key."""
    if "public_key" in body and "type" in body:
        raise exception.BadField(field="type", reason="it is for a new pair, and public_key was given")
    found, private = keypairs.create(call, body["name"], body.get("public_key"), body.get("type", "ed25519"))
    shown = view(found) if private is None else {**view(found), "private_key": private}
    return created(shown, "keypairs", found.uuid)


@route("GET", "/v1/keypairs", query={"user_id": Ref()}, listing=Listing("keypairs", keypairs.SORT_KEYS))
def list_(call: Call, page: Page, **filters: Any) -> list[dict[str, Any]]:
    """List one's own keypairs; with `user_id` those of another user, for an administrator."""
    return [view(found) for found in keypairs.list_(call, page, **filters)]


@route("GET", "/v1/keypairs/{keypair}", query={"user_id": Ref()})
def get(call: Call, keypair: str, **filters: Any) -> dict[str, Any]:
    """Show a keypair; with `user_id` another user's, for an administrator."""
    return view(keypairs.get(call, keypair, **filters))


@route("DELETE", "/v1/keypairs/{keypair}", exempt=FREE)
def delete(call: Call, keypair: str) -> None:
    """Delete a keypair; instances keep what they were given."""
    keypairs.delete(call, keypair)
