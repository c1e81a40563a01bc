"""Installs a build with -Dcompat_links=true, and runs each link.

usage: compat-links.py BUILD_DIR NAME=PROGRAM...
"""
import glob
import os
import subprocess
import sys
import tempfile

build, links = sys.argv[1], sys.argv[2:]
failed = 0
with tempfile.TemporaryDirectory() as where:
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild",
                    "--destdir", where], check=True,
                   stdout=subprocess.DEVNULL)
    for link in links:
        name, program = link.split("=")
        found = glob.glob(f"{where}/**/bin/{name}", recursive=True)
        if len(found) != 1 or os.readlink(found[0]) != program:
            print(f"{name}: no link to {program}: {found}")
            failed += 1
            continue
        # It speaks as what it is called (all but the loader of programs).
        done = subprocess.run([found[0], "--frobnicate"], text=True,
                              capture_output=True, timeout=30)
        called = name if program != "e2k-user" else program
        if done.returncode == 0 or f"{called}: un" not in done.stderr:
            print(f"{name}: {done}")
            failed += 1
print(f"{failed} failures")
sys.exit(failed != 0)
