"""Replays the transcripts of a guide, so that it stays true.

    docs-replay.py GUIDE.md BINDIR...

Blocks of a guide that are carried out, in order, in one fresh directory:

```console      "$ COMMAND" lines, each followed by what it prints (standard
                output and error).  Lines of a here-document that ends in END
                begin with ">".  A trailing "&" leaves the command running
                to the end of the guide.
```qmp SOCKET   "-> JSON" is sent, "<- JSON" must come back: replies in this
                order, events before or after them; events that no line asks
                for are skipped.  Connections stay open from block to block.

In expected text, a line "..." stands for any lines and "..." within a line
for anything; in JSON, the string "..." for any value, and the member
"...": "..." for any further members.  BINDIRs go first in PATH.  Commands the
guide's first comment names as <!-- needs: TOOL... --> must be there, else the
test is skipped (exit 77).  Folders of the source tree that it names as
<!-- source: FOLDER... --> are linked into the directory.  Every wait has a
limit: 60 seconds, or those of REPLAY_TIMEOUT.

Whatever the commands have started, daemons too, ends with the replay, also
when it fails or is told to end.
"""
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TIMEOUT = float(os.environ.get("REPLAY_TIMEOUT", 60))


class Mismatch(Exception):
    pass


# ---- Processes -------------------------------------------------------------

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """Daemons become children of this process when their parent ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children():
    """Numbers of those that still run; the others are reaped."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                break
        except ChildProcessError:
            return []
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="latin-1") as f:
                parent = f.read().rsplit(")", 1)[1].split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == os.getpid():
            found.append(int(name))
    return found


def end_children():
    """Ends them and, generation after generation, their orphans."""
    signals = [signal.SIGTERM] * 20 + [signal.SIGKILL] * 100
    for number in signals:
        left = children()
        if not left:
            return
        for pid in left:
            os.kill(pid, number)
        time.sleep(0.1)


# ---- Text -----------------------------------------------------------------

def line_matches(want, got):
    pattern = ".*".join(re.escape(p) for p in want.rstrip().split("..."))
    return re.fullmatch(pattern, got.rstrip()) is not None


def text_matches(want, got):
    """Lists of lines; "..." stands for any number of lines."""
    if not want:
        return not got
    if want[0].strip() == "...":
        return any(text_matches(want[1:], got[i:])
                   for i in range(len(got) + 1))
    return bool(got) and line_matches(want[0], got[0]) and \
        text_matches(want[1:], got[1:])


# ---- JSON -----------------------------------------------------------------

def json_matches(want, got):
    if want == "...":
        return True
    if isinstance(want, dict) and isinstance(got, dict):
        rest = "..." in want
        want = {k: v for k, v in want.items() if k != "..."}
        if not rest and set(want) != set(got):
            return False
        return all(k in got and json_matches(v, got[k])
                   for k, v in want.items())
    if isinstance(want, list) and isinstance(got, list):
        return len(want) == len(got) and \
            all(json_matches(w, g) for w, g in zip(want, got))
    return type(want) is type(got) and want == got


class Connection:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                self.sock.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise Mismatch(f"nobody listens on {path}")
                time.sleep(0.02)
        self.buffer = b""
        self.early = []  # events that came before the line that wants them

    def send(self, text):
        self.sock.sendall(text.encode() + b"\n")

    def receive(self):
        while b"\n" not in self.buffer:
            try:
                data = self.sock.recv(65536)
            except socket.timeout:
                raise Mismatch("no answer in time")
            if not data:
                raise Mismatch("the monitor closed the connection")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        message = json.loads(line)
        message.pop("timestamp", None)
        return message

    def expect(self, want):
        want.pop("timestamp", None)
        for i, event in enumerate(self.early):
            if json_matches(want, event):
                del self.early[i]
                return
        while True:
            got = self.receive()
            if json_matches(want, got):
                return
            if "event" in got:
                self.early.append(got)
            else:
                raise Mismatch(f"expected <- {json.dumps(want)}\n"
                               f"     got <- {json.dumps(got)}")


# ---- The guide ------------------------------------------------------------

def blocks(path):
    """(line number, kind, argument, lines) of every block to carry out."""
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    i = 0
    while i < len(lines):
        m = re.match(r"```(console|qmp)\b\s*(\S*)", lines[i])
        i += 1
        if not m:
            continue
        start = i
        while lines[i] != "```":
            i += 1
        yield start, m.group(1), m.group(2), lines[start:i]


def needs(path):
    with open(path, encoding="utf-8") as f:
        m = re.search(r"<!-- needs: (.*?) -->", f.read())
    return m.group(1).split() if m else []


def link_source(guide, directory):
    """What <!-- source: ... --> names, under the same paths."""
    root = os.path.join(os.path.dirname(os.path.abspath(guide)), "..")
    with open(guide, encoding="utf-8") as f:
        m = re.search(r"<!-- source: (.*?) -->", f.read())
    for path in m.group(1).split() if m else []:
        link = os.path.join(directory, path)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(os.path.normpath(os.path.join(root, path)), link)


class Replay:
    def __init__(self, guide, bindirs):
        self.dir = tempfile.mkdtemp(prefix="e2k-docs-")
        link_source(guide, self.dir)
        self.env = dict(os.environ, LC_ALL="C", HOME=self.dir,
                        PATH=":".join([*map(os.path.abspath, bindirs),
                                       os.environ["PATH"]]))
        self.background = []
        self.connections = {}
        self.commands = 0

    def shell(self, command, want):
        self.commands += 1
        if command.endswith("&"):
            self.background.append(subprocess.Popen(
                ["bash", "-c", "exec " + command[:-1]], cwd=self.dir,
                env=self.env, stdin=subprocess.DEVNULL,
                start_new_session=True))
            time.sleep(0.05)
            return
        run = subprocess.run(["bash", "-c", command], cwd=self.dir,
                             env=self.env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True,
                             errors="replace", timeout=TIMEOUT)
        got = run.stdout.split("\n")
        while got and not got[-1].strip():
            got.pop()
        while want and not want[-1].strip():
            want.pop()
        if not text_matches(want, got):
            raise Mismatch(f"$ {command}\nexpected:\n" + "\n".join(want) +
                           "\ngot:\n" + "\n".join(got))

    def console(self, lines):
        i = 0
        while i < len(lines):
            if not lines[i].startswith("$ "):
                raise Mismatch(f"not a command: {lines[i]!r}")
            command = lines[i][2:]
            i += 1
            while command.endswith("\\"):
                command = command[:-1] + lines[i].lstrip("> ")
                i += 1
            if "<<'END'" in command:
                while i < len(lines) and lines[i].startswith(">"):
                    text = lines[i][1:]
                    command += "\n" + (text[1:] if text[:1] == " " else text)
                    i += 1
            want = []
            while i < len(lines) and not lines[i].startswith("$ "):
                want.append(lines[i])
                i += 1
            self.shell(command, want)

    def qmp(self, path, lines):
        conn = self.connections.get(path)
        if conn is None:
            conn = Connection(os.path.join(self.dir, path))
            self.connections[path] = conn
        # A message may go on over indented lines.
        for text in "\n".join(lines).replace("\n   ", " ").split("\n"):
            if text.startswith("-> "):
                self.commands += 1
                conn.send(text[3:])
            elif text.startswith("<- "):
                conn.expect(json.loads(text[3:]))
            elif text.strip():
                raise Mismatch(f"neither -> nor <-: {text!r}")

    def close(self):
        for conn in self.connections.values():
            conn.sock.close()
        for process in self.background:
            try:
                os.killpg(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        end_children()
        shutil.rmtree(self.dir, ignore_errors=True)


def main():
    guide, bindirs = sys.argv[1], sys.argv[2:]
    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    replay = Replay(guide, bindirs)
    for tool in needs(guide):
        if not shutil.which(tool, path=replay.env["PATH"]):
            print(f"skipped: {tool} is not installed")
            replay.close()
            sys.exit(77)
    try:
        for start, kind, argument, lines in blocks(guide):
            try:
                if kind == "console":
                    replay.console(lines)
                else:
                    replay.qmp(argument, lines)
            except (Mismatch, subprocess.TimeoutExpired) as e:
                print(f"{guide}:{start}: {e}")
                sys.exit(1)
    finally:
        replay.close()
    if not replay.commands:
        print(f"{guide}: no transcript")
        sys.exit(1)
    print(f"{guide}: {replay.commands} commands replayed")


if __name__ == "__main__":
    main()
