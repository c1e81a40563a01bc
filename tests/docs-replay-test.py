"""A transcript that is not true fails, and what it has started ends:
docs-replay.py on small guides.

    docs-replay-test.py
"""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TRUE = """# A guide

```console
$ printf 'one\\ntwo 2\\nthree\\n'
one
two ...
three
$ cat <<'END'
> here
> END
here
$ python3 -c 'import socket, os; s = socket.socket(socket.AF_UNIX); \\
>   s.bind("q"); s.listen(); c = s.accept()[0]; c.recv(99); \\
>   c.sendall(b"{\\"event\\": \\"E\\"}\\n{\\"return\\": {\\"a\\": 1}}\\n"); \\
>   c.recv(99)' &
```

```qmp q
-> {"execute": "x"}
<- {"return": {"a": 1}}
<- {"event": "E"}
```
"""
LIES = [("one\ntwo", "won\ntwo"), ("\nthree\n", "\n"), ("here\n$ py", "$ py"),
        ("three\n$", "three\nfour\n$"), ('"a": 1', '"a": 2'),
        ('"a": 1', '"a": true'), ('{"a": 1}', '{"a": 1, "b": 1}'),
        ('{"a": 1}', '{}'), ('"event": "E"', '"event": "F"'),
        ("<- {\"event\"", "-- {\"event\""), ("$ printf", "printf"),
        ("```console", "```text")]

# A daemon that does not care for SIGTERM, and then something wrong.
DAEMON = """# A guide

```console
$ (trap '' TERM; setsid sleep 300 >/dev/null 2>&1 & echo $! >PIDFILE)
$ echo yes
no
```
"""


def replay(text):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "guide.md")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return subprocess.run(
            [sys.executable, os.path.join(HERE, "docs-replay.py"), path, d],
            env=dict(os.environ, REPLAY_TIMEOUT="3"),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True)


ok = replay(TRUE)
failures = ok.returncode != 0
if failures:
    print("the true guide fails:\n" + ok.stdout)
for old, new in LIES:
    assert old in TRUE, old
    got = replay(TRUE.replace(old, new, 1))
    if got.returncode == 0:
        failures += 1
        print(f"not noticed: {old!r} as {new!r}\n{got.stdout}")
with tempfile.NamedTemporaryFile("r") as pidfile:
    got = replay(DAEMON.replace("PIDFILE", pidfile.name))
    pid = pidfile.read().strip()
    if not pid or os.path.exists(f"/proc/{pid}") or got.returncode != 1:
        failures += 1
        print(f"left behind: {pid!r}\n{got.stdout}")
print(f"{len(LIES)} lies, {int(failures)} failures")
sys.exit(bool(failures))
