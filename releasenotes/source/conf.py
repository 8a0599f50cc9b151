# SPDX-License-Identifier: Apache-2.0
"""Sphinx, for the release notes."""

project = "mogan_hil release notes"
copyright = "the mogan_hil developers"
extensions = ["openstackdocstheme", "reno.sphinxext"]
html_theme = "openstackdocs"
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_repo_name = ""
