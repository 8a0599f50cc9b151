# SPDX-License-Identifier: Apache-2.0
"""`openstack hil ...`: one file a noun; what the commands share is in `arguments`, `base`, `cells` and `waiting`."""
