# SPDX-License-Identifier: Apache-2.0
"""openstack hil user ... (auth local; Keystone has its own)"""

from __future__ import annotations

from mogan_hil.client.osc import base
from mogan_hil.client.osc.arguments import password, text

ONE = "/v1/users/{user}"
PASSWORD = password("Its first line is the password, - for standard input (default: it is asked for)")


class Create(base.Show):
    """Create a user (auth local)."""

    route = f"PUT {ONE}"
    arguments = (PASSWORD,)


class List(base.List):
    """List users (auth local)."""

    route = "GET /v1/users"
    columns = ("uuid", "name", "projects")
    long = ("created_at",)
    sort_keys = ("name", "created_at")


class Show(base.Show):
    """Show a user (auth local)."""

    route = f"GET {ONE}"


class PasswordSet(base.Do):
    """Set the password of a user (auth local)."""

    route = f"PATCH {ONE}"
    arguments = (PASSWORD,)


class Delete(base.Do):
    """Delete users (auth local)."""

    route = f"DELETE {ONE}"
    many = True


class ProjectAdd(base.Show):
    """Give a user a role in a project (auth local)."""

    route = f"PUT {ONE}/projects/{{project}}"
    arguments = (text("role", "admin, member or reader (default: member)"),)


class ProjectRemove(base.Do):
    """Take a user out of projects (auth local)."""

    route = f"DELETE {ONE}/projects/{{project}}"
    many = True
