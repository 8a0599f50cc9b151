# SPDX-License-Identifier: Apache-2.0
"""Sphinx, for the documents."""

import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore", message="\\s*Eventlet is deprecated")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "doc/ext"))

project = "mogan_hil"
copyright = "the mogan_hil developers"
extensions = [
    "cliff.sphinxext",
    "sphinx.ext.autodoc",
    "mogan_hil_docs",
    "openstackdocstheme",
    "oslo_config.sphinxconfiggen",
    "oslo_config.sphinxext",
    "oslo_policy.sphinxext",
    "oslo_policy.sphinxpolicygen",
]
config_generator_config_file = str(ROOT / "etc/mogan_hil/config-generator.conf")
sample_config_basename = "_static/mogan_hil"
policy_generator_config_file = str(ROOT / "etc/mogan_hil/policy-generator.conf")
sample_policy_basename = "_static/mogan_hil"

autoprogram_cliff_application = "openstack"

html_theme = "openstackdocs"
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_repo_name = ""
html_static_path = ["_static"]
pygments_style = "native"
