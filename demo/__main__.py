# SPDX-License-Identifier: Apache-2.0
"""python -m demo"""

import sys

try:
    from demo.story import main

    sys.exit(main())
except KeyboardInterrupt:  # before the story knows what to do about it; nothing was begun
    sys.exit(130)
