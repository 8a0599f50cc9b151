# SPDX-License-Identifier: Apache-2.0
"""Images: a catalogue of what instances boot. The files are elsewhere; their sums are here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from mogan_hil.common import exception, images
from mogan_hil.db import models
from mogan_hil.objects.base import Lock
from mogan_hil.objects.image import Image, images_of
from mogan_hil.policies import image as rules
from mogan_hil.verbs import quotas
from mogan_hil.verbs.base import Call, of_project, resolve_project, writes
from mogan_hil.verbs.listing import Page, paged

SORT_KEYS = ("name", "created_at")


def find_image(
    session: orm.Session, ident: str, project_id: str | None, *where: sa.ColumnElement[bool], lock: Lock = None
) -> Image:
    """An image by uuid or name. Of several with one name the project's own is meant, else the public one.

    :raises exception.NotFound: there is none
    :raises exception.NameAmbiguous: there are several, and all of them are other projects'
    """
    found = Image.find(session, Image.identified(ident), *where, lock=lock)
    for owner in (project_id, None):
        if len(found) > 1:
            found = [image for image in found if image.project_id == owner] or found
    if not found:
        raise exception.NotFound(kind="image", name=ident)
    if len(found) > 1:
        raise exception.NameAmbiguous(kind="image", name=ident)
    return found[0]


def usable_image(session: orm.Session, ident: str, project_id: str) -> Image:
    """An image for an instance of a project. It is not deleted before the transaction ends.

    :raises exception.NotFound: there is none that the project may use
    :raises exception.ImageDisabled: it is disabled
    """
    found = find_image(session, ident, project_id, images_of(project_id), lock="share")
    if found.disabled:
        raise exception.ImageDisabled(name=found.name)
    return found


def _visible(session: orm.Session, call: Call, ident: str, lock: Lock = None) -> Image:
    where = [] if call.sees_all else [images_of(call.project_id)]
    return find_image(session, ident, call.project_id, *where, lock=lock)


def _check(values: Mapping[str, Any]) -> None:
    for name in ("kernel", "initrd", "disk"):
        source = values.get(name)
        if source is not None:
            try:
                images.check_url(source["url"])
            except ValueError as error:
                raise exception.BadField(field=f"{name}.url", reason=str(error)) from None
    try:
        images.check_arguments(values.get("arguments", ""))
    except ValueError as error:
        raise exception.BadField(field="arguments", reason=str(error)) from None


@writes
def create(
    call: Call,
    name: str,
    kernel: Mapping[str, str],
    initrd: Mapping[str, str],
    *,
    project: str | None = None,
    public: bool = False,
    **values: Any,
) -> Image:
    """Create an image.

    :param kernel: its `url` and `sha256`, the sum in lower-case hexadecimal; so are the initrd and the disk
    :param project: the owner; the caller's own project if None
    :param public: every project may use it, and it belongs to none
    :param values: description, disk, arguments, disabled
    :raises exception.BadField: an address or the arguments cannot be; or a public one is to have an owner
    :raises exception.NotFound: there is no such project
    :raises exception.QuotaExceeded: the project may not have one more
    :raises exception.Duplicate: the owner has an image of this name
    """
    values |= {"name": name, "kernel": dict(kernel), "initrd": dict(initrd)}
    _check(values)
    if public and project is not None:
        raise exception.BadField(field="project_id", reason="a public image belongs to no project")
    if public:
        call.check(rules.CREATE_PUBLIC)
    elif project is not None and project not in (call.project_id, call.context.project_name):
        call.check(rules.CREATE, project)
    with call.writer() as session:
        owner = None if public else resolve_project(session, call, project)
        if owner is not None:
            call.check(rules.CREATE, owner)
        quotas.room(session, call, owner, 1, 1, "images")
        return Image.create(session, project_id=owner, owner=owner or "", **values)


def list_(
    call: Call, page: Page, *, name: str | None = None, project: str | None = None, public: bool | None = None
) -> Sequence[models.Image]:
    """A page of the images that the caller's project may use, or of all for an administrator.

    :param project: only those of this project
    :param public: only those that belong to nobody, or only those that do not
    """
    call.check(rules.LIST)
    rows = models.Image
    query = sa.select(rows)
    if not call.sees_all:
        query = query.where(images_of(call.project_id))
    if name is not None:
        query = query.where(rows.name == name)
    if project is not None:
        query = query.where(of_project(call, rows.project_id, project))
    if public is not None:
        query = query.where(rows.project_id.is_(None) if public else rows.project_id.is_not(None))
    with call.reader() as session:
        return [row[0] for row in paged(session, query, rows, page)]


def get(call: Call, ident: str) -> Image:
    """One image.

    :raises exception.NotFound: there is none that the caller's project may use
    """
    call.check(rules.GET)
    with call.reader() as session:
        return _visible(session, call, ident)


@writes
def update(call: Call, ident: str, changes: Mapping[str, Any]) -> Image:
    """Change an image. Instances get what it is now when they are built or rebuilt, and not before.

    :param changes: any of name, description, kernel, initrd, disk, arguments, disabled
    :raises exception.BadField: an address or the arguments cannot be
    :raises exception.NotFound: there is none that the caller's project may use
    :raises exception.Duplicate: the owner has another image of this name
    """
    _check(changes)
    with call.writer() as session:
        found = _visible(session, call, ident, lock="update")
        call.check(rules.UPDATE, found.project_id)
        if changes:
            found.update(session, **changes)
        return found


@writes
def delete(call: Call, ident: str) -> None:
    """Delete an image.

    :raises exception.NotFound: there is none that the caller's project may use
    :raises exception.InUse: an instance has it, or is being rebuilt from it
    """
    with call.writer() as session:
        found = _visible(session, call, ident, lock="update")
        call.check(rules.DELETE, found.project_id)
        found.delete(session, exception.InUse(kind="Image", name=found.name, what="instances"))
