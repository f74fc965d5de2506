"""``python -m coditect_license`` is ``coditect-license``."""

import sys

from ._cli import main

sys.exit(main())
