# SPDX-License-Identifier: Apache-2.0
"""/v1/images"""

from __future__ import annotations

from typing import Any

from mogan_hil.api.expose import Answer, Listing, Page, created, route
from mogan_hil.api.types import NAME, Base, Flag, Name, Ref, Text, attribute
from mogan_hil.common.images import MAX_ARGUMENTS, MAX_URL, SHA256
from mogan_hil.verbs import images
from mogan_hil.verbs.base import Call

FREE = "an instance changes when it is rebuilt"


class Source(Base):
    url = attribute(Text(MAX_URL, 1), required=True)
    sha256 = attribute(Text(64, 64, SHA256), required=True)


class ImageChange(Base):
    name = attribute(Name())
    description = attribute(Text())
    kernel = attribute(Source)
    initrd = attribute(Source)
    disk = attribute(Source, nullable=True)
    arguments = attribute(Text(MAX_ARGUMENTS))
    disabled = attribute(Flag())


class NewImage(ImageChange):
    name = attribute(Name(), required=True)
    kernel = attribute(Source, required=True)
    initrd = attribute(Source, required=True)
    project_id = attribute(Text(255, 1, NAME))
    public = attribute(Flag())


def view(image: Any) -> dict[str, Any]:
    """An image as it is shown."""
    return {
        "uuid": image.uuid,
        "name": image.name,
        "description": image.description,
        "project_id": image.project_id,
        "public": image.project_id is None,
        "kernel": image.kernel,
        "initrd": image.initrd,
        "disk": image.disk,
        "arguments": image.arguments,
        "disabled": image.disabled,
        "created_at": image.created_at,
    }


@route("POST", "/v1/images", body=NewImage, exempt=FREE)
def create(call: Call, body: dict[str, Any]) -> Answer:
    """Create an image: of a project, or public."""
    found = images.create(call, project=body.pop("project_id", None), **body)
    return created(view(found), "images", found.uuid)


@route(
    "GET",
    "/v1/images",
    query={"name": Ref(), "project": Ref(), "public": Flag()},
    listing=Listing("images", images.SORT_KEYS),
)
def list_(call: Call, page: Page, **filters: Any) -> list[dict[str, Any]]:
    """List the images that the own project may use."""
    return [view(found) for found in images.list_(call, page, **filters)]


@route("GET", "/v1/images/{image}")
def get(call: Call, image: str) -> dict[str, Any]:
    """Show an image."""
    return view(images.get(call, image))


@route("PATCH", "/v1/images/{image}", body=ImageChange, exempt=FREE)
def update(call: Call, image: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change an image."""
    return view(images.update(call, image, body))


@route("DELETE", "/v1/images/{image}", exempt=FREE)
def delete(call: Call, image: str) -> None:
    """Delete an image that no instance has."""
    images.delete(call, image)
