#!/usr/bin/env python3
"""Does a manual page name every command and option that --help names?

usage: check-man.py PAGE PROGRAM

And the other way round: an option that begins an entry of the page must be
in some help text.
"""
import re
import subprocess
import sys

page = open(sys.argv[1], encoding='utf-8').read().replace('\\-', '-')
program = sys.argv[2]


def help_of(*args):
    return subprocess.run([program, *args], text=True,
                          stdout=subprocess.PIPE).stdout


def options(text):
    return set(re.findall(r'(?<![\w-])(--?[a-zA-Z][\w-]*)', text))


texts = [help_of('--help')]
syntax = re.search(r'^Command syntax:\n(.*?)\n\n', texts[0], re.M | re.S)
commands = re.findall(r'^  (\w+) ', syntax.group(1), re.M) if syntax else []
texts += [help_of(c, '--help') for c in commands]
if not commands:
    listed = help_of('-c', 'help')
    commands = re.findall(r'^(\w+) .* -- ', listed, re.M)
    texts.append(listed)

wrong = []
for text in texts:
    for option in sorted(options(text)):
        if not re.search(rf'(?<![\w-]){re.escape(option)}(?![\w-])', page):
            wrong.append(f'{option} is in --help only')
for command in commands:
    if not re.search(rf'^\.(SS|B) {command}\b', page, re.M):
        wrong.append(f'command {command} is not in the page')
everything = set().union(*(options(t) for t in texts))
for entry in re.findall(r'^\.TP\n\.BR? (.*)$', page, re.M):
    for option in options(entry.replace('"', ' ')):
        # Flags of e2k-io's commands come bundled: [-abCqv].
        bundled = len(option) == 2 and any(
            option[1] in m for t in texts
            for m in re.findall(r'\[-(\w+)', t))
        if option not in everything and not bundled:
            wrong.append(f'{option} is in the page only')
assert len(everything) > 10, 'nothing was compared'
print('\n'.join(sorted(set(wrong))) or f'{len(everything)} options agree')
sys.exit(bool(wrong))
