# SPDX-License-Identifier: Apache-2.0
"""Images: what instances boot. A public one belongs to nobody, so that only administrators change it."""

from __future__ import annotations

from mogan_hil.policies import base

CREATE = "image:create"
CREATE_PUBLIC = "image:create_public"
LIST = "image:list"
GET = "image:get"
UPDATE = "image:update"
DELETE = "image:delete"

ALL = "/v1/images"
ONE = "/v1/images/{image}"

RULES = [
    base.rule(CREATE, base.PROJECT_MEMBER, "Create an image of a project.", ("POST", ALL)),
    base.rule(CREATE_PUBLIC, base.ADMIN, "Create an image that every project may use.", ("POST", ALL)),
    base.rule(LIST, base.ANYBODY, "List the images that the own project may use.", ("GET", ALL)),
    base.rule(GET, base.ANYBODY, "Show an image that the own project may use.", ("GET", ONE)),
    base.rule(UPDATE, base.PROJECT_MEMBER, "Change an image.", ("PATCH", ONE)),
    base.rule(DELETE, base.PROJECT_MEMBER, "Delete an image that no instance has.", ("DELETE", ONE)),
]
