# SPDX-License-Identifier: Apache-2.0
"""Takes over what a HIL has: `mogan-hil-manage import-hil`."""
