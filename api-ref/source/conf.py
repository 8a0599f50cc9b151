# SPDX-License-Identifier: Apache-2.0
"""Sphinx, for the API reference."""

import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore", message="\\s*Eventlet is deprecated")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "doc/ext"))

project = "mogan_hil API"
copyright = "the mogan_hil developers"
extensions = ["mogan_hil_docs", "openstackdocstheme"]
html_theme = "openstackdocs"
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_repo_name = ""
