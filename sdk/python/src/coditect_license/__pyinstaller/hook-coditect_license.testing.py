"""What a frozen program that has the server for tests in it needs: its names are looked up when they are first used."""

from PyInstaller.utils.hooks import collect_submodules

hiddenimports = collect_submodules("coditect_license.testing", filter=lambda module: not module.endswith(".plugin"))
