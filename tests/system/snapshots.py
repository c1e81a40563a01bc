"""savevm, loadvm, -loadvm and migration of a machine that works on its disk.

usage: snapshots.py E2K-SYSTEM E2K-IMG E2K-NBD ENGINE DISK-ELF GUEST-ELF...

The disk exerciser checks every block against its memory, so a state of the
machine that does not match its disk makes it fail.  The other guests check
themselves; they are put back to a random moment of their run, and their
console must end as if nothing had been.
"""
import os
import random
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "lib"))
from disk_guest import Failed, Guest, check_image  # noqa: E402
from qmp import QmpError  # noqa: E402

SYSTEM, IMG, NBD, ENGINE, ELF = sys.argv[1:6]
OTHERS = sys.argv[6:]
DISK_BYTES = 8 << 20


def say(text):
    print(text, flush=True)


def check(what, good, details=""):
    if not good:
        raise Failed(f"{what} {details}")
    say("ok " + what)


def refused(what, guest, line, wanted):
    try:
        guest.human(line)
    except QmpError as error:
        check(what, wanted in error.desc, error.desc)
        return
    raise Failed(f"{what}: not refused")


def options(disk, smp=1):
    return ["-accel", ENGINE, "-smp", str(smp), "-drive", disk]


def converted(image, where):
    raw = os.path.join(where, "raw")
    subprocess.run([IMG, "convert", "-O", "raw", image, raw], check=True)
    with open(raw, "rb") as file:
        return file.read()


def internal(where):
    image = os.path.join(where, "disk.qcow2")
    disk = f"file={image},format=qcow2,id=d0"
    subprocess.run([IMG, "create", "-q", "-f", "qcow2", image,
                    str(DISK_BYTES)], check=True)
    with Guest(SYSTEM, ELF, where, *options(disk, 2), name="first") as g:
        g.running()
        g.human("savevm one")
        check("savevm of a running guest", "one" in g.human("info snapshots"))
        g.goes_on()
        g.human("savevm two")
        g.goes_on()
        g.human("loadvm one")
        g.goes_on()
        check("loadvm of a running guest", True)
        g.human("savevm two")
        g.human("delvm one")
        check("delvm", "one" not in g.human("info snapshots") and
              "two" in g.human("info snapshots"))
        refused("unknown snapshot", g, "loadvm nothing", "no snapshot")
        g.human("stop")
        g.human("savevm three")
        check("stays paused",
              g.command("query-status")["status"] == "paused")
        g.human("cont")
        g.goes_on()
        g.human("loadvm two")
        g.finish()
        g.quit()
    check_image(converted(image, where))
    check("the disk is whole", True)
    subprocess.run([IMG, "check", "-q", image], check=True)
    with Guest(SYSTEM, ELF, where, *options(disk, 2), "-loadvm", "three",
               name="second") as g:
        g.goes_on()
        g.finish()
        g.quit()
    check("-loadvm in a new process", True)
    done = subprocess.run(
        [SYSTEM, "-smp", "4", "-m", "32", "-drive", disk, "-loadvm", "three"],
        capture_output=True, text=True, timeout=60, check=False)
    check("another number of CPUs is refused", done.returncode == 1 and
          "number of CPUs" in done.stderr, done.stderr)


def job(g, command, name, **args):
    """Runs a snapshot job; its error, or None."""
    g.command(command, job_id=name, **args)
    deadline = time.monotonic() + 60
    while True:
        now, = [j for j in g.command("query-jobs") if j["id"] == name]
        if now["status"] == "concluded":
            g.command("job-dismiss", id=name)
            return now.get("error")
        if time.monotonic() > deadline:
            raise Failed(f"job {name}: {now}")
        time.sleep(0.01)


def jobs(where):
    """The same by QMP's jobs, which name the disks."""
    image = os.path.join(where, "jobs.qcow2")
    subprocess.run([IMG, "create", "-q", "-f", "qcow2", image,
                    str(DISK_BYTES)], check=True)
    with Guest(SYSTEM, ELF, where, "-accel", ENGINE, "-blockdev",
               "driver=qcow2,node-name=disk0,file.driver=file,"
               f"file.filename={image}", "-device",
               "virtio-blk-device,drive=disk0", name="jobs") as g:
        g.running()
        place = {"tag": "here", "vmstate": "disk0", "devices": ["disk0"]}
        check("snapshot-save", job(g, "snapshot-save", "s1", **place) is None)
        g.goes_on()
        error = job(g, "snapshot-save", "s2", **place)
        check("a name that is there", "already" in (error or ""), error)
        check("snapshot-load", job(g, "snapshot-load", "l1", **place) is None)
        g.goes_on()
        for what, wrong, wanted in (
                ("no such snapshot", {"tag": "other"}, "no snapshot"),
                ("no such node", {"devices": ["disk9"]}, "no node"),
                ("the state is elsewhere", {"vmstate": "disk9"}, "not among")):
            error = job(g, "snapshot-load", "l2", **dict(place, **wrong))
            check(f"snapshot-load: {what}", wanted in (error or ""), error)
        g.goes_on()
        del place["vmstate"]
        check("snapshot-delete",
              job(g, "snapshot-delete", "d1", **place) is None and
              "here" not in g.human("info snapshots"))
        g.finish()
        g.quit()
    check_image(converted(image, where))


def put_back(where, elf, seed):
    """A guest with interrupts, MMU, stacks on the move; CPUs: its own 4."""
    rnd = random.Random(seed)
    name = os.path.splitext(os.path.basename(elf))[0]
    image = os.path.join(where, name + ".qcow2")
    subprocess.run([IMG, "create", "-q", "-f", "qcow2", image, "1M"],
                   check=True)
    for _ in range(3):
        with Guest(SYSTEM, elf, where,
                   *options(f"file={image},format=qcow2,id=d0",
                            4 if name == "smp" else 1),
                   name=name, started=False) as g:
            g.command("cont")
            time.sleep(rnd.uniform(0, 0.08))
            g.human("savevm here")
            time.sleep(rnd.uniform(0, 0.08))
            g.human("loadvm here")
            if g.command("query-status")["status"] == "paused":
                g.command("cont") # it had ended before savevm
            g.wait_text(f"{name} passed")
            g.qmp.event("SHUTDOWN")
            g.quit()
    check(f"{name}: put back to a moment of its run", True)


def refusals(where):
    raw = os.path.join(where, "refuse.raw")
    with open(raw, "wb") as file:
        file.truncate(DISK_BYTES)
    with Guest(SYSTEM, ELF, where, *options(f"file={raw},format=raw"),
               name="refuse") as g:
        g.running()
        refused("raw disks have no snapshots", g, "savevm x", "no snapshots")
        refused("address of no kind", g, "migrate what:ever",
                "unknown migration address")
        refused("nobody listens", g, f"migrate unix:{where}/nobody",
                "cannot connect")
        refused("a command that fails", g, "migrate 'exec:exit 3'", "")
        g.goes_on()
        check("it goes on after a failed migration", True)
        g.finish()
        g.quit()


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def migrated(where, outgoing, incoming, before):
    """One migration over a disk that both see through one server."""
    image = os.path.join(where, "shared.raw")
    sock = os.path.join(where, "shared.sock")
    with open(image, "wb") as file:
        file.truncate(DISK_BYTES)
    server = subprocess.Popen([NBD, "-f", "raw", "-t", "-e", "0", "-k", sock,
                               image])
    try:
        while not os.path.exists(sock):
            time.sleep(0.01)
        disk = f"file=nbd:unix:{sock},format=raw,id=d0"
        with Guest(SYSTEM, ELF, where, *options(disk), name="source") as a:
            a.running()
            a.goes_on()
            if before:
                target(where, disk, incoming, a, outgoing)
            else:
                send(a, outgoing)
                target(where, disk, incoming, a, None)
            check_image(open(image, "rb").read())
    finally:
        server.terminate()
        server.wait()
    check(f"migration through {outgoing.split(':')[0]}", True)


def migrated_by_socket(where):
    """fd: an open socket, which both ends inherit."""
    image = os.path.join(where, "shared.raw")
    sock = os.path.join(where, "shared.sock")
    with open(image, "wb") as file:
        file.truncate(DISK_BYTES)
    server = subprocess.Popen([NBD, "-f", "raw", "-t", "-e", "0", "-k", sock,
                               image])
    ours, theirs = socket.socketpair()
    try:
        while not os.path.exists(sock):
            time.sleep(0.01)
        disk = f"file=nbd:unix:{sock},format=raw,id=d0"
        with Guest(SYSTEM, ELF, where, *options(disk), name="source",
                   pass_fds=(ours.fileno(),)) as a:
            a.running()
            a.goes_on()
            with Guest(SYSTEM, ELF, where, *options(disk), "-incoming",
                       f"fd:{theirs.fileno()}", name="target",
                       pass_fds=(theirs.fileno(),)) as b:
                theirs.close()
                send(a, f"fd:{ours.fileno()}")
                ours.close()
                a.quit()
                b.goes_on()
                b.finish()
                b.quit()
            check_image(open(image, "rb").read())
    finally:
        server.terminate()
        server.wait()
    check("migration through fd", True)


def send(a, address):
    a.command("migrate", uri=address)
    deadline = time.monotonic() + 60
    while a.command("query-migrate").get("status") == "active":
        if time.monotonic() > deadline:
            raise Failed("the migration does not end")
        time.sleep(0.01)
    status = a.command("query-migrate")
    if status["status"] != "completed":
        raise Failed(str(status))


def target(where, disk, incoming, a, address):
    with Guest(SYSTEM, ELF, where, *options(disk), "-incoming", incoming,
               name="target") as b:
        if address:
            deadline = time.monotonic() + 60
            while True: # its listener may not be there yet
                try:
                    send(a, address)
                    break
                except QmpError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
        if a.command("query-status")["status"] != "postmigrate":
            raise Failed("the source is not stopped")
        a.quit()
        b.goes_on()
        b.finish()
        b.quit()


def refused_versions(where, state):
    """States of older and newer builds: format, CPU, devices, fields."""
    with open(state, "rb") as file:
        good = file.read()
    # The section of a CPU, its version, the number of its fields, the first.
    cpu = good.index(b"\x02ip") - 2 - 4
    version = int.from_bytes(good[cpu:cpu + 4], "little")
    if good[cpu - 1] != 2 or version > 99:
        raise Failed("the CPU's section was not found")
    uart = good.index(b"ns16550a") + len(b"ns16550a")

    def patched(at, was, now, what, wanted):
        if good[at:at + len(was)] != was:
            raise Failed(f"{what}: {good[at:at + len(was)]} there")
        with open(state + ".other", "wb") as file:
            file.write(good[:at] + now + good[at + len(was):])
        refused_state(where, state + ".other", what, wanted)

    patched(8, b"\1\0\0\0", b"\2\0\0\0", "has a newer format",
            "format version 2, this machine 1")
    for other, what in ((version - 1, "has a CPU of before"),
                        (version + 1, "has a CPU of later")):
        patched(cpu, version.to_bytes(4, "little"),
                other.to_bytes(4, "little"), what,
                f"cpu0: version {other} in the snapshot, {version} here")
    patched(cpu + 4, good[cpu + 4:cpu + 6],
            (good[cpu + 4] + 1).to_bytes(2, "little"),
            "has a field more", "fields in the snapshot")
    patched(cpu + 6, b"\x02ip", b"\x02iq", "has an unknown field",
            "cpu0: unknown field 'iq'")
    patched(uart, b"\1\0\0\0", b"\2\0\0\0", "has a newer device",
            "version 2 in the snapshot, 1 here")


def refused_state(where, state, what, wanted=""):
    done = subprocess.run(
        [SYSTEM, "-m", "32", "-drive", f"file={where}/refuse.raw,format=raw",
         "-incoming", f"file:{state}"], capture_output=True, text=True,
        timeout=60, check=False)
    check(f"a state that {what} is refused", done.returncode == 1 and
          len(done.stderr.splitlines()) == 1 and wanted in done.stderr,
          done.stderr)


def main():
    with tempfile.TemporaryDirectory() as where:
        internal(where)
        jobs(where)
        refusals(where)
        seed = random.randrange(1 << 32)
        say(f"seed {seed}")
        for elf in OTHERS:
            put_back(where, elf, seed)
        state = os.path.join(where, "state")
        port = free_port()
        migrated(where, f"unix:{where}/m.sock", f"unix:{where}/m.sock", True)
        migrated(where, f"tcp:127.0.0.1:{port}", f"tcp:127.0.0.1:{port}",
                 True)
        migrated_by_socket(where)
        migrated(where, f"file:{state}", f"file:{state}", False)
        migrated(where, f"exec:cat > {state}", f"exec:cat {state}", False)
        refused_versions(where, state)
        cut = state + ".cut"
        with open(state, "rb") as file, open(cut, "wb") as short:
            short.write(file.read(os.path.getsize(state) // 3))
        refused_state(where, cut, "is incomplete")
        with open(state, "r+b") as file: # damage in the middle
            file.seek(os.path.getsize(state) // 2)
            byte = file.read(1)
            file.seek(-1, 1)
            file.write(bytes([byte[0] ^ 1]))
        refused_state(where, state, "is damaged")
    say("snapshots passed")


if __name__ == "__main__":
    main()
