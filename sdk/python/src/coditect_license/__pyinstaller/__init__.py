"""Tells PyInstaller where the hooks of this package are, by the entry point ``pyinstaller40``.

Nobody else imports this folder. A hook says what PyInstaller cannot see: names that are imported when they are first
used, and files.
"""


def get_hook_dirs() -> list[str]:
    """The folder with the hooks. PyInstaller calls this."""
    return [__file__.rpartition("__init__")[0]]
