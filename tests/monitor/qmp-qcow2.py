"""Persistent bitmaps, kill -9, drive-* jobs: what needs qcow2 images.  The
images are made by our own blockdev-create and checked by the peers' qemu-img
where it is installed."""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from qmp import Daemon, Skip, run_tests

MIB = 1 << 20
SIZE = 4 * MIB


def create(d, path, size=SIZE, **more):
    for options in ({"driver": "file", "filename": path, "size": 0},
                    {"driver": "qcow2", "size": size,
                     "file": {"driver": "file", "filename": path}, **more}):
        d.cmd("blockdev-create", job_id="c", options=options)
        d.qmp.event("JOB_STATUS_CHANGE", id="c", status="concluded")
        job = d.cmd("query-jobs")[0]
        assert "error" not in job, job
        d.cmd("job-dismiss", id="c")


def add(d, path, name="n", **more):
    d.cmd("blockdev-add", driver="qcow2", node_name=name,
          file={"driver": "file", "filename": path}, **more)


def check(path):
    tool = shutil.which("qemu-img")
    if tool:
        r = subprocess.run([tool, "check", path], capture_output=True,
                           text=True)
        assert r.returncode == 0, r


def write(d, *commands, node="n"):
    """The guest's writes, through an export that goes again afterwards."""
    tool = shutil.which("qemu-io")
    if not tool:
        raise Skip("qemu-io is not installed")
    d.nbd_start()
    d.cmd("block-export-add", type="nbd", id="w", node_name=node, name="w",
          writable=True)
    args = [tool, "-f", "raw"]
    for c in commands:
        args += ["-c", c]
    r = subprocess.run([*args, d.uri("w")], capture_output=True, text=True)
    assert r.returncode == 0, r
    d.cmd("nbd-server-stop")


def test_saved_and_loaded(program):
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "a.qcow2")
        with Daemon(program) as d:
            create(d, path)
            add(d, path)
            for name, args in (("on", {}), ("off", {"disabled": True}),
                               ("fine", {"granularity": 512})):
                d.cmd("block-dirty-bitmap-add", node="n", name=name,
                      persistent=True, **args)
            d.cmd("block-dirty-bitmap-add", node="n", name="ram")
            write(d, "write 1M 64k")
            sums = {n: d.cmd("x-debug-block-dirty-bitmap-sha256", node="n",
                             name=n) for n in ("on", "off", "fine")}
        check(path)
        with Daemon(program) as d:
            add(d, path)
            got = d.bitmaps("n")
            assert set(got) == {"on", "off", "fine"}, got
            assert got["on"]["recording"] and not got["off"]["recording"]
            assert got["on"]["persistent"]
            assert got["on"]["count"] == got["fine"]["count"] == 65536, got
            for name, sha in sums.items():
                assert d.cmd("x-debug-block-dirty-bitmap-sha256", node="n",
                             name=name) == sha
            d.cmd("block-dirty-bitmap-remove", node="n", name="off")
        with Daemon(program) as d:
            add(d, path)
            assert set(d.bitmaps("n")) == {"on", "fine"}
        check(path)


def test_killed(program):
    """After kill -9 the bitmap is inconsistent: it can only be removed."""
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "a.qcow2")
        with Daemon(program) as d:
            create(d, path)
            add(d, path)
            d.cmd("block-dirty-bitmap-add", node="n", name="b",
                  persistent=True)
        d = Daemon(program)
        add(d, path)
        d.process.send_signal(signal.SIGKILL)
        d.process.wait()
        with Daemon(program) as d:
            add(d, path)
            b = d.bitmaps("n")["b"]
            assert b["inconsistent"] and not b["recording"], b
            d.nbd_start()
            text = "Bitmap 'b' is inconsistent and cannot be used"
            d.fails(text, "block-export-add", type="nbd", id="x",
                    node_name="n", bitmaps=["b"])
            for command in ("clear", "enable", "disable"):
                d.fails(text, "block-dirty-bitmap-" + command, node="n",
                        name="b")
            d.fails(text, "block_resize", node_name="n", size=2 * SIZE)
            d.cmd("block-dirty-bitmap-remove", node="n", name="b")
        with Daemon(program) as d:
            add(d, path)
            assert d.bitmaps("n") == {}
        check(path)


def test_read_only_image(program):
    """An enabled bitmap on a read-only node: read-only, and exportable."""
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "a.qcow2")
        with Daemon(program) as d:
            create(d, path)
            add(d, path)
            d.cmd("block-dirty-bitmap-add", node="n", name="b",
                  persistent=True)
            write(d, "write 0 1")
        with Daemon(program) as d:
            add(d, path, read_only=True)
            d.fails("Bitmap 'b' is readonly and cannot be modified",
                    "block-dirty-bitmap-clear", node="n", name="b")
            d.fails("Bitmap 'b' is readonly and cannot be modified",
                    "block-dirty-bitmap-remove", node="n", name="b")
            d.nbd_start()
            d.cmd("block-export-add", type="nbd", id="x", node_name="n",
                  bitmaps=["b"])
        # A backing file's bitmap is found from above.
        with Daemon(program) as d:
            over = d.file("over.qcow2")
            create(d, over)
            add(d, path, "low", read_only=True)
            add(d, over, "top", backing="low")
            d.nbd_start()
            for writable in (False, True):
                d.cmd("block-export-add", type="nbd", id="x",
                      node_name="top", writable=writable, bitmaps=["b"])
                assert d.bitmaps("low")["b"]["busy"]
                d.cmd("block-export-del", id="x")
                d.qmp.event("BLOCK_EXPORT_DELETED", id="x")


def test_transaction_internal_snapshot(program):
    """Made, and taken away again when a later action fails."""
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "a.qcow2")
        with Daemon(program) as d:
            create(d, path)
            add(d, path)

            def names():
                node = [n for n in d.cmd("query-named-block-nodes")
                        if n["node-name"] == "n"][0]
                return [s["name"] for s in node["image"].get("snapshots", [])]

            def snapshot(name):
                return {"type": "blockdev-snapshot-internal-sync",
                        "data": {"device": "n", "name": name}}

            d.cmd("transaction", actions=[snapshot("a")])
            assert names() == ["a"], names()
            d.fails("Transaction aborted using Abort action", "transaction",
                    actions=[snapshot("b"), {"type": "abort", "data": {}}])
            d.fails("Snapshot with name 'a' already exists on device 'n'",
                    "transaction", actions=[snapshot("c"), snapshot("a")])
            assert names() == ["a"], names()
            gone = d.cmd("blockdev-snapshot-delete-internal-sync",
                         device="n", name="a")
            assert gone["name"] == "a" and gone["id"] == "1", gone
            assert names() == [], names()
        check(path)


def test_too_large_to_store(program):
    """One bit for 512 bytes of 1 PiB is more than an image may hold."""
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "a.qcow2")
        with Daemon(program) as d:
            create(d, path, 1 << 50, **{"cluster-size": 2 * MIB})
            add(d, path)
            d.fails("Can't make bitmap 'b' persistent in 'n': Too much space "
                    "will be occupied by the bitmap. Use larger granularity",
                    "block-dirty-bitmap-add", node="n", name="b",
                    persistent=True, granularity=512)
            assert d.bitmaps("n") == {}
            d.cmd("block-dirty-bitmap-add", node="n", name="b",
                  persistent=True, granularity=1 << 31)


def test_below_a_snapshot_nothing_is_written(program):
    """The old image is read-only from then on: its bitmaps are in it, and may
    be exported though they are enabled."""
    with Daemon(program) as d:
        path, over = d.file("a.qcow2"), d.file("o.qcow2")
        create(d, path)
        add(d, path)
        for name in ("b", "c"):
            d.cmd("block-dirty-bitmap-add", node="n", name=name,
                  persistent=True)
        write(d, "write 1M 64k")
        create(d, over)
        add(d, over, "o", backing=None)
        d.cmd("transaction", actions=[{
            "type": "blockdev-snapshot", "data": {"node": "n",
                                                  "overlay": "o"}}])
        old = {n["node-name"]: n for n in d.cmd(
            "query-named-block-nodes")}["n"]
        assert old["ro"], old
        assert [(b["name"], b["flags"]) for b in old["image"][
            "format-specific"]["data"]["bitmaps"]] == [
                ("b", ["auto"]), ("c", ["auto"])], old
        d.fails("Bitmap 'b' is readonly and cannot be modified",
                "block-dirty-bitmap-remove", node="n", name="b")
        write(d, "write 2M 64k", node="o")
        assert d.bitmaps("n")["b"]["count"] == 65536
        d.nbd_start()
        d.cmd("block-export-add", type="nbd", id="e", node_name="o",
              bitmaps=["b"])
        # A job writes there again, and records it.
        d.cmd("block-export-del", id="e")
        d.cmd("block-commit", device="o", job_id="j")
        d.qmp.event("BLOCK_JOB_READY", device="j")
        d.cmd("block-job-complete", device="j")
        d.qmp.event("JOB_STATUS_CHANGE", id="j", status="null")
        assert d.bitmaps("n")["b"]["count"] == 131072
        d.quit()
        check(path)


def test_overlay_with_backing(program):
    with tempfile.TemporaryDirectory() as tmp:
        with Daemon(program) as d:
            paths = [os.path.join(tmp, c + ".qcow2") for c in "abc"]
            for path in paths:
                create(d, path)
            add(d, paths[0], "low", read_only=True)
            add(d, paths[1], "over", backing="low")
            add(d, paths[2], "n")
            d.fails("The overlay already has a backing image",
                    "blockdev-snapshot", node="n", overlay="over")
            d.nbd_start()
            d.cmd("block-export-add", type="nbd", id="x", node_name="over")
            for overlay in ("over", "low"):
                d.fails("The overlay is already in use", "blockdev-snapshot",
                        node="n", overlay=overlay)


def test_transaction_keeps_stored(program):
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "a.qcow2")
        with Daemon(program) as d:
            create(d, path)
            add(d, path)
            d.cmd("block-dirty-bitmap-add", node="n", name="b",
                  persistent=True)
            d.fails("Transaction aborted using Abort action", "transaction",
                    actions=[{"type": "block-dirty-bitmap-remove",
                              "data": {"node": "n", "name": "b"}},
                             {"type": "abort", "data": {}}])
            assert d.bitmaps("n")["b"]["persistent"]
        with Daemon(program) as d:
            add(d, path)
            assert set(d.bitmaps("n")) == {"b"}
            d.cmd("block-dirty-bitmap-add", node="n", name="c",
                  persistent=True)
            d.cmd("block_resize", node_name="n", size=2 * SIZE)
        with Daemon(program) as d:
            add(d, path)
            assert set(d.bitmaps("n")) == {"b", "c"}
        check(path)


def forge_directory(path, count, name):
    """A v3 image whose directory has `count` bitmaps that were in use."""
    entries = b"".join(
        struct.pack(">QIIBBHI", 0x50000, 1, 1, 1, 16, len(n), 0) + n +
        bytes(-(24 + len(n)) % 8)
        for n in (name % i for i in range(count)))
    with open(path, "r+b") as f:
        head = bytearray(f.read(4096))
        # header extensions start behind the header: bitmaps, then the end
        at = struct.unpack_from(">I", head, 100)[0]
        struct.pack_into(">II IIQQ QQ", head, at, 0x23852875, 24, count, 0,
                         len(entries), 0x60000, 0, 0)
        struct.pack_into(">Q", head, 88, 1)  # autoclear: bitmaps are valid
        f.seek(0)
        f.write(head)
        f.seek(0x50000)
        f.write(bytes(0x10000) + entries)


def test_limits_of_the_directory(program):
    """65535 bitmaps fill an image, and so do 64034 with longest names."""
    with Daemon(program) as d:
        for count, name, refusal in (
                (65534, b"%d", None),
                (65535, b"%d", "Maximum number of persistent bitmaps is "
                               "already reached"),
                (64033, b"%01023d", None),
                (64034, b"%01023d", "Not enough space in the bitmap "
                                    "directory")):
            path = d.file("full.qcow2")
            create(d, path)
            forge_directory(path, count, name)
            add(d, path)
            args = {"node": "n", "name": "x" * 1023, "persistent": True}
            if refusal:
                d.fails("Can't make bitmap '" + "x" * 1023 +
                        "' persistent in 'n': " + refusal,
                        "block-dirty-bitmap-add", **args)
            else:
                d.cmd("block-dirty-bitmap-add", **args)
                d.cmd("block-dirty-bitmap-remove", node="n", name="x" * 1023)
            d.cmd("blockdev-del", node_name="n")
            os.unlink(path)


def cpu_of(process):
    with open(f"/proc/{process.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_storing_many_bitmaps_is_linear(program):
    """Four times as many bitmaps cost about four times the CPU time: 4 when
    this was written, 16 and more when each looked at all others."""
    def cost(d, count):
        path = d.file(f"{count}.qcow2")
        create(d, path)
        add(d, path)
        for at in range(0, count, 1000):
            d.cmd("transaction", actions=[
                {"type": "block-dirty-bitmap-add",
                 "data": {"node": "n", "name": f"bitmap{at + i}",
                          "persistent": True}} for i in range(1000)])
        d.cmd("blockdev-del", node_name="n")
        ticks = []
        for _ in range(2):
            add(d, path)
            before = cpu_of(d.process)
            d.cmd("blockdev-del", node_name="n")
            ticks.append(cpu_of(d.process) - before)
        check(path)
        os.unlink(path)
        return min(ticks)

    with Daemon(program) as d:
        few, many = cost(d, 2000), cost(d, 8000)
        assert many < 9 * max(few, 3), (few, many)


def test_persistent_refusals(program):
    with Daemon(program) as d:
        path = d.file("v2.qcow2")
        create(d, path, version="v2")
        add(d, path)
        d.fails("Can't make bitmap 'b' persistent in 'n': Cannot store dirty "
                "bitmaps in qcow2 v2 files", "block-dirty-bitmap-add",
                node="n", name="b", persistent=True)


def test_drive_backup(program):
    with Daemon(program) as d:
        path = d.file("n.img", SIZE, 0x11)
        d.cmd("blockdev-add", driver="raw", node_name="n",
              file={"driver": "file", "filename": path})
        for fmt in ("raw", "qcow2"):
            target = d.file("t." + fmt)
            d.cmd("drive-backup", job_id="j", device="n", target=target,
                  format=fmt, sync="full")
            d.qmp.event("BLOCK_JOB_COMPLETED", device="j")
            d.qmp.event("JOB_STATUS_CHANGE", id="j", status="null")
            if shutil.which("qemu-img"):
                subprocess.run(["qemu-img", "compare", "-q", "-f", "raw",
                                "-F", fmt, path, target], check=True)
        d.fails("Invalid block format 'zip'", "drive-backup", job_id="j",
                device="n", target=d.file("z"), format="zip", sync="full")
        assert [n["node-name"] for n in
                d.cmd("query-named-block-nodes")][-1] == "n"


def test_drive_mirror(program):
    with Daemon(program) as d:
        path = d.file("n.img", SIZE, 0x22)
        d.cmd("blockdev-add", driver="raw", node_name="n",
              file={"driver": "file", "filename": path})
        target = d.file("t.qcow2")
        d.cmd("drive-mirror", job_id="j", device="n", target=target,
              format="qcow2", node_name="t", sync="full")
        d.qmp.event("BLOCK_JOB_READY", device="j")
        d.cmd("block-job-cancel", device="j")
        d.qmp.event("BLOCK_JOB_COMPLETED", device="j")
        d.qmp.event("JOB_STATUS_CHANGE", id="j", status="null")
        d.quit()
        if shutil.which("qemu-img"):
            subprocess.run(["qemu-img", "compare", "-q", path, target],
                           check=True)


def test_compressed_backup(program):
    with Daemon(program) as d:
        path = d.file("n.img", SIZE, 0x33)
        d.cmd("blockdev-add", driver="raw", node_name="n",
              file={"driver": "file", "filename": path})
        target = d.file("t.qcow2")
        create(d, target)
        add(d, target, "t")
        d.cmd("blockdev-backup", job_id="j", device="n", target="t",
              sync="full", compress=True)
        d.qmp.event("BLOCK_JOB_COMPLETED", device="j")
        d.qmp.event("JOB_STATUS_CHANGE", id="j", status="null")
        d.quit()
        assert os.stat(target).st_blocks * 512 < SIZE // 4
        if shutil.which("qemu-img"):
            subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F",
                            "qcow2", path, target], check=True)


def flags_on_disk(path):
    """Of the bitmaps, as another program sees them."""
    if not shutil.which("qemu-img"):
        raise Skip("qemu-img is not installed")
    r = subprocess.run(["qemu-img", "info", "-U", "--output=json", path],
                       capture_output=True, text=True, check=True)
    data = json.loads(r.stdout)["format-specific"]["data"]
    return {b["name"]: set(b["flags"]) for b in data.get("bitmaps", [])}


def reopen(d, path, read_only):
    d.cmd("blockdev-reopen", options=[{
        "driver": "qcow2", "node-name": "n", "read-only": read_only,
        "file": {"driver": "file", "filename": path}}])


def test_reopen(program):
    """Read-only: bitmaps are stored and stay; writable again: in use."""
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "a.qcow2")
        with Daemon(program) as d:
            create(d, path)
            add(d, path)
            d.cmd("block-dirty-bitmap-add", node="n", name="b",
                  persistent=True)
            write(d, "write 1M 64k")
            reopen(d, path, True)
            assert flags_on_disk(path) == {"b": {"auto"}}
            d.fails("Bitmap 'b' is readonly and cannot be modified",
                    "block-dirty-bitmap-clear", node="n", name="b")
            reopen(d, path, False)
            assert flags_on_disk(path) == {"b": {"auto", "in-use"}}
            write(d, "write 3M 64k")
            assert d.bitmaps("n")["b"]["count"] == 131072
            reopen(d, path, True)
            assert flags_on_disk(path) == {"b": {"auto"}}
        check(path)


def test_commit_into_bitmap(program):
    """The base of a commit was read-only: its bitmap records what comes."""
    with tempfile.TemporaryDirectory() as tmp:
        base = os.path.join(tmp, "base.qcow2")
        top = os.path.join(tmp, "top.qcow2")
        with Daemon(program) as d:
            create(d, base)
            add(d, base)
            d.cmd("block-dirty-bitmap-add", node="n", name="b",
                  persistent=True)
            d.cmd("blockdev-del", node_name="n")
            create(d, top)
            add(d, base, "base", read_only=True)
            add(d, top, "n", backing="base")
            write(d, "write 1M 64k")
            d.cmd("block-commit", device="n", job_id="j")
            d.qmp.event("BLOCK_JOB_READY", device="j")
            assert d.bitmaps("base")["b"]["count"] == 65536
            d.cmd("block-job-complete", device="j")
            e = d.qmp.event("BLOCK_JOB_COMPLETED", device="j")["data"]
            assert "error" not in e, e
        check(base)


run_tests(dict(globals()), sys.argv[1])
