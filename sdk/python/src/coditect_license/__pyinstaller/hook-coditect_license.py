"""What a frozen program needs of this package besides what its code imports by statements."""

import importlib.util

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

PARTS_OF_THEIR_OWN = ("coditect_license._cli", "coditect_license.testing", "coditect_license.__pyinstaller")


def is_wanted(module: str) -> bool:
    """Whether every program needs it. The command line and the server for tests have hooks of their own."""
    return not module.startswith(PARTS_OF_THEIR_OWN)


# Public names are looked up when they are first used, so no statement imports their modules.
hiddenimports = collect_submodules("coditect_license", filter=is_wanted)
# What is imported by its name, where the machine that builds the program has it.
hiddenimports += [
    name
    for name in ("truststore", "anyio._backends._asyncio")
    if importlib.util.find_spec(name.partition(".")[0]) is not None
]
# The root keys that the package was built with.
datas = collect_data_files("coditect_license", includes=["roots.json"])
