"""What a frozen program that has the command line in it needs: its commands, and the ways to keep the license key."""

import importlib.util

from PyInstaller.utils.hooks import collect_entry_point, collect_submodules

hiddenimports = collect_submodules("coditect_license._cli")
datas = []
if importlib.util.find_spec("keyring") is not None:
    # The package keyring finds its backends by an entry point, which says nothing to who reads statements.
    datas, backends = collect_entry_point("keyring.backends")
    hiddenimports += backends
