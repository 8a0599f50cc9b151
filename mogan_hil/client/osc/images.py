# SPDX-License-Identifier: Apache-2.0
"""openstack hil image ..."""

from __future__ import annotations

from mogan_hil.client.osc import base
from mogan_hil.client.osc.arguments import Argument, pair, plain, switch, text

ONE = "/v1/images/{image}"


def _source(part: str, what: str, **settings: bool) -> tuple[Argument, Argument]:
    return (
        text(f"{part}.url", f"Address of {what}", flag=f"--{part}-url", **settings),
        text(f"{part}.sha256", "Its SHA-256, in hexadecimal digits", flag=f"--{part}-sha256", **settings),
    )


FIELDS = (
    *_source("disk", "the disk that is written to the node"),
    text("arguments", "The command line of the kernel"),
    text("description", "What people should know of it"),
    *pair("disabled", "--disable", "--enable", "Nothing new can boot it", "It can be used (again)"),
)


class Create(base.Show):
    """Create an image: of a project, or public."""

    route = "POST /v1/images"
    arguments = (
        plain("name", "Name of the image"),
        *_source("kernel", "the kernel", required=True),
        *_source("initrd", "the initial RAM disk", required=True),
        *FIELDS,
        text("project_id", "Name or UUID of the project that gets it (default: one's own)", flag="--project"),
        *pair("public", "--public", "--private", "Every project may use it", "Only its project may (default)"),
    )


class List(base.List):
    """List the images that the own project may use."""

    route = "GET /v1/images"
    arguments = (
        text("name", "Only those of this name"),
        text("project", "Only those of this project (name or UUID)"),
        *pair("public", "--public", "--private", "Only those that all may use", "Only the others"),
    )
    columns = ("uuid", "name", "project_id", "public", "disabled")
    long = ("kernel", "initrd", "disk", "arguments", "description", "created_at")
    sort_keys = ("name", "created_at")


class Show(base.Show):
    """Show an image."""

    route = f"GET {ONE}"


class Set(base.Change):
    """Change an image."""

    route = f"PATCH {ONE}"
    arguments = (
        text("name", "Its new name"),
        *_source("kernel", "the kernel"),
        *_source("initrd", "the initial RAM disk"),
        *FIELDS,
    )


class Unset(base.Change):
    """Empty fields of an image."""

    route = f"PATCH {ONE}"
    arguments = (
        switch("description", "--description", "Empty the description", value=""),
        switch("arguments", "--arguments", "Empty the command line of the kernel", value=""),
        switch("disk", "--disk", "It writes no disk any more", value=None),
    )


class Delete(base.Do):
    """Delete images that no instance has."""

    route = f"DELETE {ONE}"
    many = True
