"""execve of scripts: whose arguments the interpreter gets, and which first
lines are none.  The rules are the kernel's; where the file is no e2k matter the
host's kernel is asked, too.

usage: scripts.py E2K-USER LAUNCH-GUEST ENGINE
"""
import errno
import os
import shutil
import subprocess
import sys
import tempfile

LINE = 256  # bytes of a first line that are looked at


class World:
    def __init__(self, user, guest, engine, root):
        self.root = root
        self.show = self.path("show")
        shutil.copy(guest, self.show)
        os.chmod(self.show, 0o755)
        self.run_user = [user, "-accel", engine, "-0", "launch", self.show]

    def path(self, name):
        return os.path.join(self.root, name)

    def script(self, text, name="script", mode=0o755):
        path = self.path(name)
        with open(path, "wb") as f:
            f.write(text.encode())
        os.chmod(path, mode)
        return path

    def launch(self, *words):
        """Status, and the arguments that were printed."""
        run = subprocess.run([*self.run_user, *words], capture_output=True,
                             text=True, timeout=60, check=False)
        return run.returncode, run.stdout.splitlines()


def cases(w):
    """Name, the words to launch, status, the arguments seen."""
    show = w.show
    yield "a program", [show, "a", "b"], 0, [show, "a", "b"]
    for name, line, argument in (
            ("a script", f"#!{show}\n", []),
            ("blanks around the name", f"#! \t{show} \t \n", []),
            ("an argument", f"#!{show} one\n", ["one"]),
            ("all words are one argument", f"#!{show}\tone  two \n",
             ["one  two"]),
            ("no newline", f"#!{show}", []),
            ("an argument and no newline", f"#!{show} one ", ["one"]),
            ("an argument that is cut off",
             f"#!{show} ".ljust(LINE + 10, "x"),
             ["x" * (LINE - len(f"#!{show} "))])):
        path = w.script(line)
        yield name, [path, "a", "b"], 0, [show, *argument, path, "a", "b"]
    path = w.script(f"#!{show} one\n")
    yield "no arguments", [path], 0, [show, "one", path]
    for name, text, wanted in (
            ("no name", "#!\n", errno.ENOEXEC),
            ("blanks for a name", "#!  \t\nx", errno.ENOEXEC),
            ("a name that is cut off", "#!/".ljust(LINE + 1, "x"),
             errno.ENOEXEC),
            ("a carriage return", f"#!{show}\r\n", errno.ENOENT),
            ("a missing interpreter", "#!/nonexistent\n", errno.ENOENT),
            ("neither program nor script", "text\n", errno.ENOEXEC),
            ("an empty file", "", errno.ENOEXEC)):
        path = w.script(text)
        yield name, [path], wanted, []
    path = w.script(f"#!{show}\n", mode=0o644)
    yield "not executable", [path], errno.EACCES, []
    inner = show
    for depth in range(1, 7):
        path = w.script(f"#!{inner} {depth}\n", f"script{depth}")
        seen = []
        for level in range(1, depth + 1):
            seen += [str(level), w.path(f"script{level}")]
        yield (f"{depth} scripts in a row", [path], *(
            (0, [show, *seen]) if depth <= 5 else (errno.ELOOP, [])))
        inner = path
    path = w.script("#!/bin/sh\necho $0 $*; exit 7\n")
    yield "a script of the host", [path, "a"], 7, [path + " a"]


def asked_of_host(words):
    """The same execve by the host: the error, or None when it runs."""
    try:
        subprocess.run([*words], check=False, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60)
    except OSError as error:
        return error.errno
    return None


def main():
    user, guest, engine = sys.argv[1:]
    failed = number = 0
    with tempfile.TemporaryDirectory() as root:
        world = World(os.path.abspath(user), guest, engine, root)
        for name, words, status, seen in cases(world):
            number += 1
            found = world.launch(*words)
            good = found == (status, seen)
            if status in (errno.ENOENT, errno.ENOEXEC, errno.EACCES):
                good &= asked_of_host(words) == status
            print(f"{'ok' if good else 'not ok'} {number} - {name}")
            if not good:
                failed += 1
                print(f"# {found}, wanted {(status, seen)}, "
                      f"host {asked_of_host(words)}")
    print(f"1..{number}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
