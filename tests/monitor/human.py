"""Human monitors, -qtest and -drive of e2k-system -M none, as scripts use
them: a transcript on stdio, commands of e2k-io on a live disk, limits."""
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from qmp import Qmp, QmpError, Skip, run_tests

BASE = ["-M", "none", "-accel", "qtest", "-nodefaults", "-display", "none",
        "-vga", "none", "-serial", "none"]


def run(program, args, text):
    done = subprocess.run([program, *BASE, *args], input=text, timeout=30,
                          capture_output=True, text=True)
    return done.stdout.replace("\r", ""), done.stderr, done.returncode


def image(directory):
    path = os.path.join(directory, "disk")
    with open(path, "wb") as f:
        f.truncate(1 << 20)
    return path


def qcow2(path, *more):
    size = [] if "-b" in more else ["1M"]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *more, path,
                    *size], check=True)


def content(path):
    with open(path, "rb") as f:
        return f.read()


class Machine:
    """A running e2k-system with a QMP socket."""

    def __init__(self, program, directory, *args):
        path = os.path.join(directory, "qmp")
        self.p = subprocess.Popen([program, *BASE, "-qmp",
                                   f"unix:{path},server=on,wait=off", *args],
                                  stdout=subprocess.DEVNULL)
        self.qmp = Qmp(path)

    def __call__(self, command, **args):
        """What it returns, or the text of its error."""
        try:
            return self.qmp.command(command, args)
        except QmpError as e:
            return e.desc

    def hmp(self, line):
        return self("human-monitor-command", **{"command-line": line})

    def close(self):
        self("quit")
        self.p.wait(30)
        assert self.p.returncode == 0


def test_transcript(program):
    out, err, code = run(program, ["-monitor", "stdio"],
                         "info status\nnonsense\n\nquit\n")
    assert code == 0 and not err, (err, code)
    lines = out.split("\n")
    assert lines[0].endswith("monitor - type 'help' for more information")
    assert lines[1] == "(qemu) info status"
    assert lines[2].startswith("VM status: "), lines
    assert lines[3] == "(qemu) nonsense"
    assert "unknown command: 'nonsense'" in lines[4]
    assert lines[5:] == ["(qemu) ", "(qemu) quit", ""], lines


def test_io_on_live_disk(program):
    with tempfile.TemporaryDirectory() as d:
        drive = f"file={image(d)},format=raw,if=none,id=d0,cache=writeback," \
                "aio=threads"
        out, err, code = run(program, ["-monitor", "stdio", "-drive", drive],
                             'qemu-io d0 "write -P 7 4k 4k"\n'
                             'qemu-io d0 "read -P 7 4k 4k"\n'
                             'qemu-io nosuch "read 0 1"\nquit\n')
        assert code == 0, err
        assert "wrote 4096/4096 bytes at offset 4096" in out, out
        assert "read 4096/4096 bytes at offset 4096" in out, out
        assert "Cannot find device='nosuch' nor node-name='nosuch'" in out
        with open(os.path.join(d, "disk"), "rb") as f:
            data = f.read()
        assert data[4096:8192] == b"\7" * 4096 and not any(data[:4096])


def test_images_without_words(program):
    """A name alone is a disk; a backing file without a driver is probed."""
    if not shutil.which("qemu-img"):
        raise Skip("qemu-img is not installed")
    with tempfile.TemporaryDirectory() as d:
        base = os.path.join(d, "a,b")
        top, other = os.path.join(d, "top"), os.path.join(d, "other")
        qcow2(base, "-o", "compat=1.1")
        qcow2(other)
        qcow2(top, "-b", other, "-F", "qcow2")
        out, err, code = run(program, ["-M", "virt", base, "-monitor",
                                       "stdio"], "info block\nquit\n")
        assert code == 0 and f"{base} (qcow2)" in out, (out, err)
        # Another backing file than the one recorded.
        m = Machine(program, d, "-drive", f"file={top},if=none,id=a,"
                    f"backing.file.filename={base.replace(',', ',,')}")
        try:
            nodes = {n["file"]: n for n in m("query-named-block-nodes")
                     if n["drv"] != "file"}
            assert nodes[base]["drv"] == "qcow2", nodes
            assert nodes[top]["image"]["backing-image"]["filename"] == base
        finally:
            m.close()


def test_input_is_the_monitors(program):
    """With -nographic the console took lines away from a monitor on stdio."""
    for words in (["-monitor", "stdio"],
                  ["-chardev", "stdio,id=m", "-mon", "chardev=m"]):
        for _ in range(10):
            done = subprocess.run(
                [program, "-accel", "qtest", "-nographic", *words],
                input="info status\nquit\n", timeout=20, text=True,
                capture_output=True)
            assert done.returncode == 0 and "VM status" in done.stdout, done


def test_made_up_names(program):
    """Drives without an id have one by their interface and number."""
    for machine, words, names in [
            ("virt", ["if=none", "if=virtio", "if=none", "format=null-co"],
             ["none0", "virtio0", "none1", "virtio1"]),
            ("e8c", ["if=none", "format=null-co", "format=null-co",
                     "if=ide,driver=null-co"],
             ["none0", "ide0-hd0", "ide0-hd1", "ide1-hd0"])]:
        args = ["-M", machine, "-monitor", "stdio", "-S"]
        for w in words:
            args += ["-drive", w if "null" in w else w + ",driver=null-co"]
        out, err, code = run(program, args, "info block\nquit\n")
        found = [line.split(" ")[0] for line in out.split("\n")
                 if " (#block" in line]
        assert code == 0 and found == names, (out, err)


def test_drive_modes(program):
    with tempfile.TemporaryDirectory() as d:
        path = image(d)
        for words, text in [("cache=fast", "invalid cache option"),
                            ("aio=uring", "invalid aio option"),
                            ("discard=x", "invalid discard option")]:
            _, err, code = run(program, ["-drive", f"file={path},{words}"], "")
            assert code == 1 and text in err, err
        out, err, code = run(program, ["-monitor", "stdio", "-drive",
                                       "if=none,id=empty"],
                             'qemu-io empty "read 0 1"\nquit\n')
        assert code == 0 and "No medium found" in out, (out, err)


def test_throttled_drives(program):
    """throttling.*, its old spellings, block_set_io_throttle, query-block."""
    zero = dict.fromkeys(("bps", "bps_rd", "bps_wr", "iops", "iops_rd",
                          "iops_wr"), 0)
    with tempfile.TemporaryDirectory() as d:
        file = f"file={image(d)},format=raw,if=none"
        for words, text in [
                ("iops=1,throttling.iops-total=2", "'throttling.iops-total' "
                 "and its alias 'iops' can't be used at the same time"),
                ("bps_rd_max=-3", "bps/iops/max values must be within [0, "
                 "1000000000000000]"),
                ("bps=1,bps_rd=1", "bps/iops/max total values and read/write "
                 "values cannot be used at the same time"),
                ("throttling.bps=1", "Parameter 'throttling.bps' is "
                                     "unexpected")]:
            _, err, code = run(program, ["-drive", f"{file},{words}"], "")
            assert code == 1 and text in err, err
        q = Machine(program, d, "-drive",
                    f"{file},id=a,throttling.bps-read=262144,"
                    "throttling.group=g", "-drive",
                    "driver=null-co,if=none,id=b,iops=1000,iops_max=2000,"
                    "iops_max_length=3,iops_size=4096", "-drive",
                    "driver=null-co,if=none,id=c")
        try:
            a, b, c = (i["inserted"] for i in q("query-block"))
            assert (a["group"], a["bps_rd"], a["bps"]) == ("g", 262144, 0), a
            assert (b["group"], b["iops"], b["iops_max"],
                    b["iops_max_length"], b["iops_size"]) == (
                        "b", 1000, 2000, 3, 4096), b
            assert "group" not in c and c["bps"] == 0, c
            # The second read waits about a second for the first.
            for _ in range(2):
                start = time.monotonic()
                q.hmp('qemu-io a "read 0 256k"')
            assert time.monotonic() - start > 0.7
            assert q("block_set_io_throttle", device="c", group="g",
                     **{**zero, "bps_rd": 1000000000}) == {}
            start = time.monotonic()  # a's limits are those of its group
            for _ in range(4):
                q.hmp('qemu-io a "read 0 1M"')
            assert time.monotonic() - start < 3
            assert q("block_set_io_throttle", device="a", **zero) == {}
            a, b, c = (i["inserted"] for i in q("query-block"))
            assert "group" not in a and a["bps_rd"] == 0, a
            assert (c["group"], c["bps_rd"]) == ("g", 1000000000), c
            for args, text in [
                    ({}, "Need exactly one of 'device' and 'id'"),
                    ({"device": "x"}, "Device 'x' not found"),
                    ({"device": "a", "bps_max": 5}, "bps_max/iops_max "
                     "require corresponding bps/iops values")]:
                assert q("block_set_io_throttle", **{**zero, **args}) == text
        finally:
            q.close()


def test_block_commands(program):
    """Disks, jobs, exports and snapshots by human commands."""
    if not shutil.which("qemu-img"):
        raise Skip("qemu-img is not installed")
    with tempfile.TemporaryDirectory() as d:
        base = image(d)
        top = os.path.join(d, "top")
        qcow2(top, "-b", base, "-F", "raw")
        m = Machine(program, d, "-drive", f"file={top},if=none,id=a",
                    "-drive", "if=none,id=none", "-drive",
                    "driver=null-co,if=none,id=o")

        def says(line, text):
            out = m.hmp(line)
            assert out == text.replace("\n", "\r\n"), (line, out)

        try:
            m.hmp('qemu-io a "write -P 3 0 64k"')
            says("commit", "Error: usage: commit DEVICE|all\n")
            says("commit x", "Error: Device 'x' not found\n")
            says("commit none", "Error: Device 'none' has no medium\n")
            says("commit o", "Error: 'commit' error for 'o': Operation not "
                 "supported\n")
            says("commit a", "")
            assert content(base)[:65537] == b"\3" * 65536 + b"\0"
            m.hmp('qemu-io a "write -P 4 64k 64k"')
            says("commit all", "")
            assert content(base)[65536:131072] == b"\4" * 65536
            says("block_resize a 2M", "")
            says("info block-jobs", "No active jobs\n")
            copy = os.path.join(d, "copy")
            says(f"drive_backup -f a {copy} raw", "")
            m.qmp.event("BLOCK_JOB_COMPLETED", device="a")
            assert content(copy)[:131072] == content(base)[:131072]
            says(f"drive_mirror -n a {copy} raw", "")
            m.qmp.event("BLOCK_JOB_READY", device="a")
            out = m.hmp("info block-jobs")
            assert out.startswith("Type mirror, device a: Completed "), out
            says("block_job_set_speed a 1M", "")
            says("block_job_pause a", "")
            says("block_job_resume a", "")
            says("block_job_cancel -f a", "")
            m.qmp.event("BLOCK_JOB_CANCELLED", device="a")
            says("block_job_complete a", "Error: Block job 'a' not found\n")
            says(f"snapshot_blkdev a {d}/over", "")
            says("block_stream a", "")
            m.qmp.event("BLOCK_JOB_COMPLETED", device="a")
            # A job's filter above the disk is no way around the job.
            m("drive-backup", device="a", target=d + "/b", sync="full",
              **{"auto-finalize": False, "job-id": "k"})
            m.qmp.event("BLOCK_JOB_PENDING", id="k")
            assert "is busy: block device is in use by block job: backup" in \
                m.hmp("block_resize a 3M")
            m("job-finalize", id="k")
            m.qmp.event("BLOCK_JOB_COMPLETED", device="k")
            says("snapshot_blkdev_internal a s", "")
            says("snapshot_delete_blkdev_internal a s", "")
            says("block_set_io_throttle a 0 0 0 0 0 0", "")
            says("block_set_io_throttle a 0 0",
                 "Error: usage: block_set_io_throttle DEVICE BPS BPS_RD "
                 "BPS_WR IOPS IOPS_RD IOPS_WR\n")
            says(f"nbd_server_start unix:{d}/nbd", "")
            says("nbd_server_add a", "")
            client = socket.socket(socket.AF_UNIX)
            client.connect(f"{d}/nbd")
            client.sendall(struct.pack(">IQII", 1, 0x49484156454F5054, 1, 1) +
                           b"a")
            got = b""
            while len(got) < 18 + 134:  # in transmission
                got += client.recv(4096)
            says("nbd_server_remove a", "Error: export 'a' still in use\n"
                 "Use mode='hard' to force client disconnect\n")
            says("nbd_server_remove -f a", "")
            assert client.recv(1) == b""
            client.close()
            out = m.hmp("info block")
            assert (f"a (#block" in out and f": {d}/over (qcow2)\r\n    "
                    "Cache mode:       writeback\r\n" in out and
                    "none: [not inserted]\r\n" in out), out
            # Media: the export of the drive goes with its medium.
            says("nbd_server_add a", "")
            says("eject a", "")
            m.qmp.event("BLOCK_EXPORT_DELETED", id="a")
            says("nbd_server_stop", "")
            assert "a: [not inserted]\r\n" in m.hmp("info block")
            says(f"change a {base} raw read-only", "")
            out = m.hmp("info block")
            assert f"{base} (raw, read-only)\r\n" in out, out
            assert m("eject", device="none") == {}
            assert m("blockdev-add", driver="null-co",
                     **{"node-name": "nn"}) == {}
            for command, args, text in [
                    ("eject", {}, "Need exactly one of 'device' and 'id'"),
                    ("eject", {"device": "q"}, "Device 'q' not found"),
                    ("blockdev-open-tray", {"device": "none"}, {}),
                    ("blockdev-close-tray", {"device": "none"}, {}),
                    ("blockdev-change-medium",
                     {"device": "a", "filename": d + "/nothing"},
                     f"Could not open '{d}/nothing': No such file or "
                     "directory")]:
                assert m(command, **args) == text, (command, m(command,
                                                               **args))
            assert f"{base} (raw, read-only)" in m.hmp("info block")
        finally:
            m.close()
        m = Machine(program, d, "-M", "virt", "-drive",
                    f"file={base},format=raw,if=virtio,id=v")
        try:
            says("eject v", "Error: Device 'v' is not removable\n")
        finally:
            m.close()


def test_temporary_drives(program):
    """-snapshot, and snapshot=on of one drive: the image stays as it is."""
    with tempfile.TemporaryDirectory() as d:
        path = image(d)
        with open(path, "rb") as f:
            before = f.read()
        drive = f"file={path},format=raw,if=none,id=d"
        write = ('qemu-io d "write -P 0x77 0 4k"\n'
                 'qemu-io d "read -P 0x77 0 4k"\nquit\n')
        for args in (["-drive", drive + ",snapshot=on"],
                     ["-snapshot", "-drive", drive]):
            out, err, code = run(program, ["-monitor", "stdio", *args], write)
            assert code == 0 and "read 4096/4096" in out, (out, err)
            assert "verification failed" not in out, out
            with open(path, "rb") as f:
                assert f.read() == before, args
        out, err, code = run(program, ["-monitor", "stdio", "-snapshot",
                                       "-drive", drive + ",snapshot=off"],
                             write)
        with open(path, "rb") as f:
            assert code == 0 and f.read() != before, (out, err)
        _, err, code = run(program, ["-drive", drive + ",nosuch=1"], "")
        assert code == 1 and err.startswith(
            f"{os.path.basename(program)}: -drive {drive},nosuch=1: "), err


def test_quit_while_a_state_comes(program):
    """The thread that takes it in outlives nothing that it uses."""
    for incoming in ["exec:true", "exec:sleep 0.02"] * 4:
        out, err, code = run(program, ["-monitor", "stdio", "-incoming",
                                       incoming], "quit\n")
        assert code in (0, 1), (code, out, err)


def test_events_after_end_of_input(program):
    out, _, code = run(program, ["-qmp", "stdio"],
                       '{"execute": "qmp_capabilities"}{"execute": "quit"}')
    says = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and "QMP" in says[0], says
    assert says[1] == says[3] == {"return": {}}, says
    assert says[2]["event"] == "SHUTDOWN", says


def test_pretty(program):
    out, _, code = run(program, ["-qmp-pretty", "stdio"],
                       '{"execute": "qmp_capabilities"}{"execute": "quit"}')
    assert code == 0 and '{\n    "return": {\n    }\n}' in out, out
    # Braces in strings, after escapes too, are left alone.
    out, _, code = run(program, ["-qmp-pretty", "stdio"],
                       '{"execute": "qmp_capabilities"}'
                       '{"execute": "q{}\\\\", "id": ["[]\\"{}", [], {}]}'
                       '{"execute": "quit"}')
    assert ('"id": [\n        "[]\\"{}",\n        [\n        ],\n'
            '        {\n        }\n    ]' in out and
            "The command q{}\\\\ has not been found" in out), out


def test_qtest(program):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "q")
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen()
        server.settimeout(30)
        p = subprocess.Popen([program, *BASE, "-monitor", "stdio", "-qtest",
                              f"unix:path={path}"], stdin=subprocess.PIPE,
                             stdout=subprocess.DEVNULL)
        peer, _ = server.accept()
        peer.settimeout(30)
        f = peer.makefile("rw")
        f.write("clock_step 100\nreadl 0\n")
        f.flush()
        assert f.readline() == "OK 100\n"
        assert f.readline().startswith("FAIL ")
        p.communicate(b"quit\n", timeout=30)
        assert p.returncode == 0


run_tests(dict(globals()), sys.argv[1])
