#!/usr/bin/env python3
"""Fails when a program's options and its manual page disagree.

check-options.py PROGRAM PAGE: each long option that PROGRAM --help names must be
in PAGE, and each long option in the page's OPTIONS must be known.
"""
import re
import subprocess
import sys


def main():
    program, page = sys.argv[1:3]
    text = subprocess.run([program, "--help"], capture_output=True, text=True,
                          check=True).stdout
    offered = set(re.findall(r"--([A-Za-z][\w-]*)", text)) - {"help"}
    with open(page, encoding="utf-8") as f:
        man = f.read().replace("\\-", "-")
    options = re.search(r"^\.SH OPTIONS\n(.*?)^\.SH ", man, re.S | re.M)
    named = set(re.findall(r"(?<![\w-])--([A-Za-z][\w-]*)",
                           options.group(1)))
    failed = False
    for name in sorted(offered - named):
        print(f"{page}: --{name} is missing")
        failed = True
    for name in sorted(named - offered):
        print(f"{page}: --{name} is no option of {program}")
        failed = True
    if not offered:
        print(f"{program} --help names no options")
        failed = True
    sys.exit(failed)


main()
