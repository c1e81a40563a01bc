"""Jobs over QMP: backups in push and pull mode, mirror, stream, commit, and
how jobs are talked to.  Guests' writes come through a writable export."""
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from qmp import Daemon, QmpError, Skip, run_tests

MIB = 1 << 20
SIZE = 4 * MIB


def need_peers():
    if not (shutil.which("qemu-io") and shutil.which("nbdinfo")):
        raise Skip("qemu-io and nbdinfo are not installed")


def io(d, export, *commands):
    args = [shutil.which("qemu-io"), "-f", "raw"]
    for c in commands:
        args += ["-c", c]
    r = subprocess.run([*args, d.uri(export)], timeout=60, text=True,
                       capture_output=True)
    assert r.returncode == 0, r
    assert "failed" not in r.stdout, r.stdout


def disk(d, name="n", size=SIZE, pattern=0x11):
    """A raw disk filled with a pattern, with a writable export 'guest'."""
    path = d.file(name + ".img", size, pattern)
    d.cmd("blockdev-add", driver="raw", node_name=name,
          file={"driver": "file", "filename": path})
    return path


def guest(d, node="n"):
    d.nbd_start()
    d.cmd("block-export-add", type="nbd", id="guest", name="guest",
          node_name=node, writable=True)


def content(path):
    with open(path, "rb") as f:
        return f.read()


def finished(d, job, error=None):
    e = d.qmp.event("BLOCK_JOB_COMPLETED", device=job)["data"]
    assert e.get("error") == error, e
    d.qmp.event("JOB_STATUS_CHANGE", id=job, status="null")
    return e


def test_full_backup(program):
    with Daemon(program) as d:
        disk(d)
        target = d.raw("t", SIZE)
        d.cmd("blockdev-backup", job_id="j", device="n", target="t",
              sync="full")
        e = finished(d, "j")
        assert e["len"] == e["offset"] == SIZE, e
        seen = [m["data"]["status"] for m in d.qmp.events
                if m["event"] == "JOB_STATUS_CHANGE"]
        assert seen == ["created", "running", "waiting", "pending",
                        "concluded"], seen
        assert d.cmd("query-block-jobs") == d.cmd("query-jobs") == []
        assert content(target) == content(d.file("n.img"))
        d.cmd("blockdev-del", node_name="t")
        d.cmd("blockdev-del", node_name="n")


def test_backup_is_a_point_in_time(program):
    """The guest writes all over the disk while a slow backup runs."""
    need_peers()
    with Daemon(program) as d:
        path = disk(d)
        before = content(path)
        target = d.raw("t", SIZE)
        guest(d)
        d.cmd("blockdev-backup", job_id="j", device="n", target="t",
              sync="full", speed=256 * 1024)
        io(d, "guest", "write -P 0x22 0 1M", "write -P 0x33 3M 512",
           "write -z 2M 100k", "discard 2200k 64k", "flush")
        d.cmd("block-job-set-speed", device="j", speed=0)
        finished(d, "j")
        assert content(target) == before
        assert content(path)[:4] == b"\x22" * 4


def test_incremental(program):
    need_peers()
    with Daemon(program) as d:
        path = disk(d)
        guest(d)
        d.cmd("block-dirty-bitmap-add", node="n", name="b")
        full = d.raw("t0", SIZE)
        d.cmd("transaction", actions=[
            {"type": "block-dirty-bitmap-clear",
             "data": {"node": "n", "name": "b"}},
            {"type": "blockdev-backup",
             "data": {"job-id": "j0", "device": "n", "target": "t0",
                      "sync": "full"}}])
        finished(d, "j0")
        io(d, "guest", "write -P 0x22 1M 70000", "write -P 0x23 3M 1")
        d.cmd("blockdev-del", node_name="t0")
        # The increment goes onto the full copy.
        d.cmd("blockdev-add", driver="raw", node_name="t1",
              file={"driver": "file", "filename": full})
        d.cmd("blockdev-backup", job_id="j1", device="n", target="t1",
              sync="incremental", bitmap="b")
        e = finished(d, "j1")
        assert e["len"] == 3 * 65536, e
        assert content(full) == content(path)
        assert d.bitmaps("n")["b"]["count"] == 0
        assert not d.bitmaps("n")["b"]["busy"]


def test_bitmap_after_cancel(program):
    need_peers()
    with Daemon(program) as d:
        disk(d)
        guest(d)
        d.raw("t", SIZE)
        d.cmd("block-dirty-bitmap-add", node="n", name="b")
        io(d, "guest", "write 0 1M")
        d.cmd("blockdev-backup", job_id="j", device="n", target="t",
              sync="incremental", bitmap="b", speed=65536)
        assert d.bitmaps("n")["b"]["busy"]
        assert d.bitmaps("n")["b"]["recording"]
        io(d, "guest", "write 3M 1")
        d.cmd("block-job-cancel", device="j")
        d.qmp.event("BLOCK_JOB_CANCELLED", device="j")
        d.qmp.event("JOB_STATUS_CHANGE", id="j", status="null")
        assert d.bitmaps("n")["b"]["count"] == MIB + 65536
        assert not d.bitmaps("n")["b"]["busy"]
        # mode "never" leaves it as it is, even after success
        d.cmd("blockdev-backup", job_id="j", device="n", target="t",
              sync="bitmap", bitmap="b", bitmap_mode="never")
        finished(d, "j")
        assert d.bitmaps("n")["b"]["count"] == MIB + 65536
        d.cmd("blockdev-backup", job_id="j", device="n", target="t",
              sync="bitmap", bitmap="b", bitmap_mode="always")
        finished(d, "j")
        assert d.bitmaps("n")["b"]["count"] == 0


def test_backup_refusals(program):
    with Daemon(program) as d:
        disk(d)
        d.raw("t", SIZE)
        d.raw("small", SIZE // 2)
        d.cmd("block-dirty-bitmap-add", node="n", name="b")
        base = dict(job_id="j", device="n", target="t")

        def refused(text, **more):
            d.fails(text, "blockdev-backup", **{**base, **more})

        refused("Source and target cannot be the same", target="n",
                sync="full")
        refused("Source and target image have different sizes",
                target="small", sync="full")
        refused("Compression is not supported for this drive t",
                sync="full", compress=True)
        refused("must provide a valid bitmap name for 'incremental' sync "
                "mode", sync="incremental")
        refused("must provide a valid bitmap name for 'bitmap' sync mode",
                sync="bitmap")
        refused("Bitmap sync mode must be given when providing a bitmap",
                sync="bitmap", bitmap="b")
        refused("Bitmap sync mode must be 'on-success' when using sync mode "
                "'incremental'", sync="incremental", bitmap="b",
                bitmap_mode="never")
        refused("Cannot specify bitmap sync mode without a bitmap",
                sync="full", bitmap_mode="always")
        refused("sync mode 'none' does not produce meaningful bitmap outputs",
                sync="none", bitmap="b", bitmap_mode="always")
        refused("Bitmap sync mode 'never' has no meaningful effect when "
                "combined with sync mode 'full'", sync="full", bitmap="b",
                bitmap_mode="never")
        refused("Bitmap 'x' could not be found", sync="incremental",
                bitmap="x")
        refused("Parameter 'speed' expects a non-negative value",
                sync="full", speed=-1)
        refused("Invalid job ID '1'", sync="full", job_id="1")
        d.fails("Invalid job ID ''",
                "blockdev-backup", device="n", target="t", sync="full")
        refused("Parameter 'sync' does not accept value 'half'", sync="half")
        assert d.cmd("query-jobs") == []
        b = d.bitmaps("n")["b"]
        assert b["recording"] and not b["busy"], b
        graph = d.cmd("x-debug-query-block-graph")
        assert len(graph["nodes"]) == 6, graph  # no filter is left


def test_side_by_side(program):
    """x-perf and buf-size: many requests at a time copy the same bytes."""
    with Daemon(program) as d:
        size = 24 * MIB
        path = d.file("src.img", size)
        with open(path, "r+b") as f:
            for i in range(0, size, 64 * 1024):
                if i // (64 * 1024) % 5:
                    f.seek(i)
                    f.write(i.to_bytes(8, "little") * 4096)
        d.cmd("blockdev-add", driver="raw", node_name="src",
              file={"driver": "file", "filename": path})
        for n, perf in enumerate([{"max-workers": 1}, {"max-workers": 16},
                                  {"max-workers": 3, "max-chunk": 65536},
                                  {"max-chunk": 4 * MIB}]):
            target = d.raw(f"b{n}", size)
            d.cmd("blockdev-backup", job_id="b", device="src",
                  target=f"b{n}", sync="full", x_perf=perf)
            assert finished(d, "b")["offset"] == size
            d.cmd("blockdev-del", node_name=f"b{n}")
            assert content(target) == content(path), perf
        for n, buf in enumerate([1, MIB, 7 * MIB, 1 << 40]):
            target = d.raw(f"m{n}", size)
            d.cmd("blockdev-mirror", job_id="m", device="src",
                  target=f"m{n}", sync="full", buf_size=buf)
            d.qmp.event("BLOCK_JOB_READY", device="m")
            d.cmd("block-job-cancel", device="m")
            assert finished(d, "m")["len"] == size
            d.cmd("blockdev-del", node_name=f"m{n}")
            assert content(target) == content(path), buf
        d.raw("t", size)
        d.fails("max-workers must be between 1 and 2147483647",
                "blockdev-backup", job_id="b", device="src", target="t",
                sync="full", x_perf={"max-workers": 0})
        d.fails("max-chunk must be zero (which means no limit) or at least "
                "the cluster size", "blockdev-backup", job_id="b",
                device="src", target="t", sync="full",
                x_perf={"max-chunk": 512})


def test_node_counters(program):
    """query-blockstats with query-nodes: what each node was asked."""
    with Daemon(program) as d:
        disk(d)
        d.raw("t", SIZE)
        d.cmd("blockdev-backup", job_id="b", device="n", target="t",
              sync="full", x_perf={"max-workers": 4})
        finished(d, "b")
        stats = {i["node-name"]: i["stats"]
                 for i in d.cmd("query-blockstats", query_nodes=True)}
        assert stats["n"]["rd_bytes"] == SIZE, stats["n"]
        assert stats["n"]["wr_operations"] == 0, stats["n"]
        t = stats["t"]
        assert t["wr_bytes"] == t["wr_highest_offset"] == SIZE, t
        assert t["wr_operations"] >= 4 and t["flush_operations"] >= 1, t
        assert t["rd_bytes"] == 0, t


def test_order_of_members(program):
    """Members come in the ecosystem's order: scripts compare text."""
    with Daemon(program) as d:
        disk(d)
        d.raw("t", SIZE)
        d.cmd("blockdev-backup", job_id="b", device="n", target="t",
              sync="full")
        e = d.qmp.event("JOB_STATUS_CHANGE", id="b", status="created")
        assert list(e) == ["timestamp", "event", "data"], e
        assert list(e["data"]) == ["status", "id"], e
        e = d.qmp.event("BLOCK_JOB_COMPLETED", device="b")["data"]
        assert list(e) == ["device", "len", "offset", "speed", "type"], e


def test_chains_in_use(program):
    """Two jobs never work on one image of a chain, filters included."""
    with Daemon(program) as d:
        for i in range(6):
            path = d.file(f"n{i}.img", 0)
            d.cmd("blockdev-create", job_id="c", options={
                "driver": "qcow2", "size": SIZE,
                "file": {"driver": "file", "filename": path}})
            d.qmp.event("JOB_STATUS_CHANGE", id="c", status="concluded")
            d.cmd("job-dismiss", id="c")
            d.cmd("blockdev-add", driver="qcow2", node_name=f"n{i}",
                  file={"driver": "file", "filename": path},
                  backing=f"n{i - 1}" if i else None)
        d.cmd("block-stream", device="n3", base_node="n0", job_id="s",
              filter_node_name="f", speed=1, auto_finalize=False)

        def refused(text, command, **args):
            d.fails(text, command, job_id="x", **args)
        busy = "Node '%s' is busy: block device is in use by block job: stream"
        refused(busy % "f", "block-stream", device="n4", base_node="n1")
        refused(busy % "n2", "block-stream", device="n2")
        refused(busy % "f", "block-commit", device="n5", base_node="n3")
        refused(busy % "n2", "block-commit", device="n5", base_node="n1",
                top_node="n2")
        refused("Node 'n5' is not a backing image of 'n4'", "block-stream",
                device="n4", base_node="n5")
        refused("Cannot find device='' nor node-name='none'", "block-stream",
                device="n4", base_node="none")
        refused("'n4' is not in this backing file chain", "block-commit",
                device="n5", top_node="n0", base_node="n4")
        refused("Top image file none not found", "block-commit",
                device="n5", top="none")
        refused("'top-node' and 'top' are mutually exclusive", "block-commit",
                device="n5", top_node="n3", top="x")
        d.cmd("block-job-cancel", device="s")
        d.qmp.event("JOB_STATUS_CHANGE", id="s", status="null")
        d.cmd("block-stream", device="n2", job_id="s2")
        finished(d, "s2")


def test_pull_mode(program):
    """Fleecing: an overlay keeps the old data, its export has the bitmap."""
    need_peers()
    qemu_img = shutil.which("qemu-img")
    if not qemu_img:
        raise Skip("qemu-img is not installed")
    with Daemon(program) as d:
        path = disk(d)
        guest(d)
        d.cmd("block-dirty-bitmap-add", node="n", name="b")
        io(d, "guest", "write -P 0x44 1M 64k")
        frozen = content(path)
        overlay = d.file("tmp.qcow2")
        subprocess.run([qemu_img, "create", "-q", "-f", "qcow2", overlay,
                        str(SIZE)], check=True)
        d.cmd("blockdev-add", driver="qcow2", node_name="tmp", backing="n",
              file={"driver": "file", "filename": overlay})
        # While the bitmap is enabled on the writable disk: refused.
        d.fails("Enabled bitmap 'b' incompatible with readonly export",
                "block-export-add", type="nbd", id="x", node_name="tmp",
                bitmaps=["b"])
        d.cmd("transaction", actions=[
            {"type": "block-dirty-bitmap-disable",
             "data": {"node": "n", "name": "b"}},
            {"type": "block-dirty-bitmap-add",
             "data": {"node": "n", "name": "b2"}},
            {"type": "blockdev-backup",
             "data": {"job-id": "fleece", "device": "n", "target": "tmp",
                      "sync": "none"}}])
        d.cmd("block-export-add", type="nbd", id="x", node_name="tmp",
              bitmaps=["b"])
        io(d, "guest", "write -P 0x55 0 2M", "write -z 3M 512")
        out = subprocess.run(
            ["nbdinfo", "--json", "--map=qemu:dirty-bitmap:b", d.uri("tmp")],
            check=True, capture_output=True)
        import json
        dirty = [(e["offset"], e["length"]) for e in json.loads(out.stdout)
                 if e["type"]]
        assert dirty == [(MIB, 65536)], dirty
        copy = d.file("copy.img")
        subprocess.run(["nbdcopy", d.uri("tmp"), copy], check=True)
        assert content(copy) == frozen
        d.cmd("block-export-del", id="x")
        d.qmp.event("BLOCK_EXPORT_DELETED", id="x")
        d.cmd("block-job-cancel", device="fleece")
        d.qmp.event("BLOCK_JOB_CANCELLED", device="fleece")
        d.qmp.event("JOB_STATUS_CHANGE", id="fleece", status="null")
        d.cmd("blockdev-del", node_name="tmp")
        d.cmd("block-dirty-bitmap-remove", node="n", name="b")
        assert d.bitmaps("n")["b2"]["count"] == 2 * MIB + 65536


def test_snapshot_access(program):
    """The same without an overlay that reads through to the disk."""
    need_peers()
    with Daemon(program) as d:
        path = disk(d)
        frozen = content(path)
        d.raw("old", SIZE)
        d.cmd("blockdev-add", driver="copy-before-write", node_name="cbw",
              file="n", target="old")
        d.cmd("blockdev-add", driver="snapshot-access", node_name="snap",
              file="cbw")
        guest(d, "cbw")
        d.cmd("block-export-add", type="nbd", id="s", node_name="snap")
        io(d, "guest", "write -P 0x77 100k 1M", "write -z 3M 1M")
        copy = d.file("copy.img")
        subprocess.run(["nbdcopy", d.uri("snap"), copy], check=True)
        assert content(copy) == frozen
        assert content(path) != frozen


def test_grouped_transaction(program):
    with Daemon(program) as d:
        for i in "ab":
            disk(d, i)
            d.cmd("block-dirty-bitmap-add", node=i, name="m")
        d.raw("ta", SIZE)
        d.cmd("blockdev-add", driver="null-co", node_name="tb", size=SIZE,
              latency_ns=400000000)
        actions = [{"type": "blockdev-backup",
                    "data": {"job-id": "j" + i, "device": i,
                             "target": "t" + i, "sync": "full"}}
                   for i in "ab"]
        d.cmd("transaction", actions=actions,
              properties={"completion-mode": "grouped"})
        # The fast one waits for the slow one, and goes down with it.
        d.qmp.event("JOB_STATUS_CHANGE", id="ja", status="waiting")
        d.cmd("block-job-cancel", device="jb")
        d.qmp.event("BLOCK_JOB_CANCELLED", device="ja")
        d.qmp.event("BLOCK_JOB_CANCELLED", device="jb")
        while d.cmd("query-jobs"):
            time.sleep(0.01)
        d.fails("Transaction aborted using Abort action", "transaction",
                actions=actions + [{"type": "abort", "data": {}}])
        assert d.cmd("query-jobs") == []


def test_talking_to_jobs(program):
    with Daemon(program) as d:
        disk(d)
        d.raw("t", SIZE)
        try:
            d.cmd("block-job-pause", device="j")
            raise AssertionError("paused nothing")
        except QmpError as e:
            assert e.cls == "DeviceNotActive", e
            assert e.desc == "Block job 'j' not found", e
        d.fails("Job not found", "job-pause", id="j")
        d.cmd("blockdev-backup", job_id="j", device="n", target="t",
              sync="full", speed=65536, auto_finalize=False,
              auto_dismiss=False)
        disk(d, "n2")
        d.raw("t2", SIZE)
        d.fails("Job ID 'j' already in use", "blockdev-backup", job_id="j",
                device="n2", target="t2", sync="full")
        d.fails("Node 'n' is busy: block device is in use by block job: "
                "backup", "blockdev-backup", job_id="k", device="n",
                target="t", sync="full")
        assert d.cmd("query-block-jobs")[0]["busy"]
        d.cmd("job-pause", id="j")
        d.fails("Job is already paused", "job-pause", id="j")
        d.qmp.event("JOB_STATUS_CHANGE", id="j", status="paused")
        job = d.cmd("query-block-jobs")[0]
        assert job["paused"] and job["status"] == "paused", job
        assert not job["busy"], job
        d.fails("Job 'j' in state 'paused' cannot accept command verb "
                "'complete'", "job-complete", id="j")
        d.fails("Job 'j' in state 'paused' cannot accept command verb "
                "'finalize'", "block-job-finalize", id="j")
        d.fails("Parameter 'speed' expects a non-negative value",
                "block-job-set-speed", device="j", speed=-5)
        d.cmd("block-job-set-speed", device="j", speed=0)
        d.cmd("block-job-resume", device="j")
        d.fails("Can't resume a job that was not paused",
                "block-job-resume", device="j")
        d.qmp.event("BLOCK_JOB_PENDING", id="j")
        assert d.cmd("query-jobs")[0]["status"] == "pending"
        d.cmd("job-finalize", id="j")
        d.qmp.event("BLOCK_JOB_COMPLETED", device="j")
        assert d.cmd("query-jobs")[0]["status"] == "concluded"
        d.fails("Job 'j' in state 'concluded' cannot accept command verb "
                "'cancel'", "job-cancel", id="j")
        d.cmd("job-dismiss", id="j")
        assert d.cmd("query-jobs") == []


def mirror(program, mode):
    need_peers()
    with Daemon(program) as d:
        path = disk(d)
        target = d.raw("t", SIZE)
        guest(d)
        d.cmd("blockdev-mirror", job_id="j", device="n", target="t",
              sync="full", copy_mode=mode)
        io(d, "guest", "write -P 0x21 100k 300k")
        d.qmp.event("BLOCK_JOB_READY", device="j")
        io(d, "guest", "write -P 0x22 1M 300k", "write -z 2M 1M",
           "write -P 0x23 12345 678")
        d.cmd("block-job-complete", device="j")
        finished(d, "j")
        assert content(target) == content(path)
        # The guest is on the target now.
        io(d, "guest", "write -P 0x24 3M 64k")
        assert content(target)[3 * MIB] == 0x24
        assert content(path)[3 * MIB] == 0x11
        d.cmd("blockdev-del", node_name="n")
        assert d.error("blockdev-del", node_name="t") == "Node t is in use"


def test_mirror_background(program):
    mirror(program, "background")


def test_mirror_write_blocking(program):
    mirror(program, "write-blocking")


def test_mirror_cancel_when_ready(program):
    """A soft cancel leaves a consistent copy and the guest where it is."""
    need_peers()
    with Daemon(program) as d:
        path = disk(d)
        target = d.raw("t", SIZE)
        guest(d)
        d.cmd("blockdev-mirror", job_id="j", device="n", target="t",
              sync="full")
        d.qmp.event("BLOCK_JOB_READY", device="j")
        io(d, "guest", "write -P 0x66 1M 1M")
        d.cmd("block-job-cancel", device="j")
        finished(d, "j")
        assert content(target) == content(path)
        io(d, "guest", "write -P 0x67 0 512")
        assert content(path)[0] == 0x67
        assert content(target)[0] == 0x11
        d.fails("Sync mode 'incremental' not supported", "blockdev-mirror",
                job_id="j", device="n", target="t", sync="incremental")


def test_job_error_stops_and_resumes(program):
    """A target that is too full: the job waits for a person."""
    with Daemon(program) as d:
        disk(d)
        d.raw("t", SIZE)
        d.cmd("blockdev-add", driver="blkdebug", node_name="bad", image="t",
              **{"inject-error": [{"event": "none", "iotype": "write",
                                   "errno": 28, "once": True}]})
        d.cmd("blockdev-backup", job_id="j", device="n", target="bad",
              sync="full", on_target_error="enospc")
        e = d.qmp.event("BLOCK_JOB_ERROR")["data"]
        assert e == {"device": "j", "operation": "write",
                     "action": "stop"}, e
        d.qmp.event("JOB_STATUS_CHANGE", id="j", status="paused")
        job = d.cmd("query-block-jobs")[0]
        assert job["io-status"] == "nospace", job
        d.cmd("block-job-resume", device="j")
        finished(d, "j")
        assert content(d.file("t.img")) == content(d.file("n.img"))


def chain(d, *names):
    """qcow2 overlays on a raw base, made by qemu-img; returns their paths."""
    qemu_img = shutil.which("qemu-img")
    if not qemu_img:
        raise Skip("qemu-img is not installed")
    base = d.file("base.img", SIZE, 0x11)
    paths = [base]
    fmt = "raw"
    for i, name in enumerate(names):
        path = d.file(name + ".qcow2")
        subprocess.run([qemu_img, "create", "-q", "-f", "qcow2", "-b",
                        paths[-1], "-F", fmt, path], check=True)
        subprocess.run([shutil.which("qemu-io"), "-f", "qcow2", "-c",
                        f"write -P {0x30 + i} {i}M 600k", path], check=True,
                       stdout=subprocess.DEVNULL)
        paths.append(path)
        fmt = "qcow2"
    node = {"driver": "raw", "node-name": "base",
            "file": {"driver": "file", "filename": base}}
    for name, path in zip(names, paths[1:]):
        node = {"driver": "qcow2", "node-name": name, "backing": node,
                "file": {"driver": "file", "filename": path}}
    d.cmd("blockdev-add", **node)
    return paths


def whole(path):
    """What a program of the peers reads through the image's own chain."""
    out = path + ".flat"
    subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", path, out],
                   check=True)
    return content(out)


def backing(d, name):
    for n in d.cmd("query-named-block-nodes"):
        if n["node-name"] == name:
            image = n["image"].get("backing-image")
            return image and image["filename"]


def test_stream(program):
    need_peers()
    with Daemon(program) as d:
        paths = chain(d, "mid", "top")
        expect = bytearray(whole(paths[2]))
        guest(d, "top")
        d.cmd("block-stream", job_id="j", device="top", base_node="base",
              speed=512 * 1024)
        io(d, "guest", "write -P 0x99 300k 100k")
        expect[300 * 1024:400 * 1024] = b"\x99" * (100 * 1024)
        d.cmd("block-job-set-speed", device="j", speed=0)
        finished(d, "j")
        assert backing(d, "top") == paths[0]
        d.cmd("block-stream", job_id="j", device="top")
        finished(d, "j")
        assert backing(d, "top") is None
        d.quit()
        assert whole(paths[2]) == expect
        info = subprocess.run(["qemu-img", "info", paths[2]], check=True,
                              capture_output=True, text=True).stdout
        assert "backing file" not in info, info
        subprocess.run(["qemu-img", "check", "-q", paths[2]], check=True)


def test_commit_middle(program):
    need_peers()
    with Daemon(program) as d:
        paths = chain(d, "low", "mid", "top")
        expect = whole(paths[3])
        d.cmd("block-commit", job_id="j", device="top", top_node="mid",
              base_node="low")
        finished(d, "j")
        assert backing(d, "top") == paths[1]
        d.quit()
        assert whole(paths[3]) == expect
        subprocess.run(["qemu-img", "check", "-q", paths[1]], check=True)


def links(d):
    return {n["node-name"]: n for n in d.cmd("query-named-block-nodes")}


def test_commit_filter(program):
    """The job's node is in the chain, and the chain stays as it is."""
    need_peers()
    with Daemon(program) as d:
        paths = chain(d, "low", "mid", "top")
        expect = whole(paths[3])
        d.fails("Invalid node-name: '1x'", "block-commit", job_id="j",
                device="top", top_node="mid", base_node="low",
                filter_node_name="1x")
        d.cmd("block-commit", job_id="j", device="top", top_node="mid",
              base_node="low", filter_node_name="f", auto_finalize=False)
        d.qmp.event("BLOCK_JOB_PENDING", id="j")
        assert links(d)["f"]["drv"] == "commit_top"
        frozen = "Cannot change frozen 'backing' link from 'mid' to 'low'"
        assert d.error("blockdev-reopen", options=[
            {"driver": "qcow2", "node-name": "mid", "read-only": True,
             "file": {"driver": "file", "filename": paths[2]},
             "backing": None}]) == frozen
        d.cmd("block-job-finalize", id="j")
        finished(d, "j")
        assert "f" not in links(d)
        assert backing(d, "top") == paths[1]
        d.quit()
        assert whole(paths[3]) == expect


def test_commit_ignores_no_data(program):
    """What a commit could not read stays where it is."""
    need_peers()
    with Daemon(program) as d:
        base = d.file("base.qcow2")
        mid = d.file("mid.qcow2")
        top = d.file("top.qcow2")
        for image, extra in ((base, ["4M"]),
                             (mid, ["-b", base, "-F", "qcow2"]),
                             (top, ["-b", mid, "-F", "qcow2"])):
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image,
                            *extra], check=True)
        subprocess.run(["qemu-io", "-c", "write -q -P 7 1M 1M", mid],
                       check=True)
        d.cmd("blockdev-add", driver="qcow2", node_name="top",
              file={"driver": "file", "filename": top},
              backing={"driver": "qcow2", "node-name": "mid",
                       "file": {"driver": "blkdebug", "inject-error": [
                           {"event": "read_aio", "errno": 5,
                            "sector": 640}], # the first data cluster
                           "image": {"driver": "file", "filename": mid}},
                       "backing": {"driver": "qcow2", "node-name": "base",
                                   "file": {"driver": "file",
                                            "filename": base}}})
        d.cmd("block-commit", job_id="j", device="top", top_node="mid",
              base_node="base", on_error="ignore")
        d.qmp.event("BLOCK_JOB_ERROR", device="j", action="ignore")
        end = d.qmp.event("BLOCK_JOB_COMPLETED", device="j")
        assert end["data"]["error"] == "Input/output error", end
        assert backing(d, "top") == mid
        d.quit()
        assert whole(top)[1 * MIB:2 * MIB] == b"\7" * MIB


def test_requests_at_a_time(program):
    """x-perf of stream and commit: where a failing job has got to, and how
    much was written beyond the failure, follow from it."""
    need_peers()
    blocks = 65536
    for kind, perf, reached, moved in (
            ("commit", {"max-workers": 1, "max-chunk": blocks}, 3, 3),
            ("commit", {"max-workers": 6, "max-chunk": blocks}, 3, 5),
            ("commit", {"max-workers": 2, "max-chunk": 2 * blocks}, 2, 2),
            ("stream", {"max-workers": 1, "max-chunk": blocks}, 3, 3),
            ("stream", {"max-workers": 6, "max-chunk": blocks}, 3, 5),
            ("stream", {"max-workers": 2, "max-chunk": 2 * blocks}, 2, 2)):
        with Daemon(program) as d:
            paths = chain(d, "mid", "top")
            d.cmd("blockdev-del", node_name="top")
            for path, fmt in ((paths[0], "raw"), (paths[1], "qcow2")):
                subprocess.run(["qemu-io", "-f", fmt, "-c", "write -P 7 0 4M",
                                path], check=True, stdout=subprocess.DEVNULL)
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b",
                            paths[0], "-F", "raw", d.file("new.qcow2")],
                           check=True)
            fault = {"event": "none", "errno": 5, "sector": 3 * 128,
                     "iotype": "write" if kind == "commit" else "read"}
            base = {"driver": "raw", "node-name": "base", "file": {
                "driver": "blkdebug", "inject-error": [fault],
                "image": {"driver": "file", "node-name": "file",
                          "filename": paths[0]}}}
            mid = {"driver": "qcow2", "node-name": "mid", "backing": base,
                   "file": {"driver": "file",
                            "filename": paths[1] if kind == "commit"
                            else d.file("new.qcow2")}}
            if kind == "commit":
                d.cmd("blockdev-add", driver="qcow2", node_name="top",
                      file={"driver": "file", "filename": paths[2]},
                      backing=mid)
                d.cmd("block-commit", job_id="j", device="top",
                      top_node="mid", base_node="base", on_error="stop",
                      x_perf=perf)
            else:
                d.cmd("blockdev-add", **mid)
                d.cmd("block-stream", job_id="j", device="mid",
                      on_error="stop", x_perf=perf)
            d.qmp.event("BLOCK_JOB_ERROR", device="j", action="stop")
            job = d.cmd("query-jobs")[0]
            assert job["current-progress"] == reached * blocks, (kind, perf, job)
            stats = {n["node-name"]: n["stats"] for n in d.cmd(
                "query-blockstats", query_nodes=True)}["file"]
            done = stats["wr_bytes" if kind == "commit" else "rd_bytes"]
            assert done == moved * blocks, (kind, perf, stats)
            d.cmd("job-cancel", id="j")
            d.qmp.event("JOB_STATUS_CHANGE", id="j", status="null")
    with Daemon(program) as d:
        chain(d, "mid", "top")
        for command, args in (("block-stream", {"device": "top"}),
                              ("block-commit", {"device": "top",
                                                "top_node": "mid"})):
            d.fails("max-workers must be between 1 and 2147483647", command,
                    x_perf={"max-workers": 0}, **args)
            d.fails("max-chunk must be zero (which means no limit) or at "
                    "least the cluster size", command,
                    x_perf={"max-chunk": 4096}, **args)
        d.fails("'x-perf' specified, but 'top' is the active layer",
                "block-commit", device="top", x_perf={"max-workers": 2})


def test_names_of_a_chain(program):
    """Images by their recorded, relative and other names; below a filter;
    and no resize while the job runs."""
    need_peers()
    for top, base in (("mid.qcow2", "base.img"), ("./mid.qcow2", "./base.img"),
                      ("%s/mid.qcow2", "%s/base.img")):
        with Daemon(program) as d:
            paths = chain(d, "mid", "top")
            d.cmd("blockdev-del", node_name="top")
            for image, below, fmt in ((paths[1], "base.img", "raw"),
                                      (paths[2], "mid.qcow2", "qcow2")):
                subprocess.run(["qemu-img", "rebase", "-u", "-b", below, "-F",
                                fmt, image], check=True)
            expect = whole(paths[2])
            d.cmd("blockdev-add", driver="copy-on-read", node_name="cor",
                  file={"driver": "qcow2", "node-name": "top",
                        "file": {"driver": "file", "filename": paths[2]}})
            top, base = (n % d.dir if "%s" in n else n for n in (top, base))
            d.fails("Can't find 'top.qcow2' in the backing chain",
                    "block-commit", device="cor", top=top, base="top.qcow2")
            d.fails("Top image file no.qcow2 not found", "block-commit",
                    device="cor", top="no.qcow2")
            d.cmd("block-commit", job_id="j", device="cor", top=top,
                  base=base, speed=65536)
            for node in ("cor", "top"):
                assert d.error("block_resize", node_name=node,
                               size=8 * MIB) == (
                    f"Node '{node}' is busy: block device is in use by block "
                    "job: commit")
            d.cmd("block-job-set-speed", device="j", speed=0)
            finished(d, "j")
            assert backing(d, "top") == paths[0]
            low = next(n for n, i in links(d).items()
                       if i["file"] == paths[0] and i["drv"] == "raw")
            d.cmd("block-commit", job_id="k", device="cor", top_node="top",
                  base_node=low)
            d.qmp.event("BLOCK_JOB_READY", device="k")
            d.cmd("block-job-complete", device="k")
            finished(d, "k")
            d.quit()
            assert content(paths[0]) == expect


def test_recorded_name_of_another_image(program):
    """top records mid but stands on other: mid is not in its chain."""
    need_peers()
    with Daemon(program) as d:
        paths = chain(d, "mid", "other", "top")
        d.cmd("blockdev-del", node_name="top")
        subprocess.run(["qemu-img", "rebase", "-u", "-b", "mid.qcow2", "-F",
                        "qcow2", paths[3]], check=True)
        subprocess.run(["qemu-img", "rebase", "-u", "-b", "base.img", "-F",
                        "raw", paths[2]], check=True)
        node = {"driver": "qcow2", "node-name": "top",
                "file": {"driver": "file", "filename": paths[3]},
                "backing": {"driver": "qcow2", "node-name": "other",
                            "file": {"driver": "file",
                                     "filename": paths[2]},
                            "backing": {"driver": "raw",
                                        "node-name": "base",
                                        "file": {"driver": "file",
                                                 "filename": paths[0]}}}}
        d.cmd("blockdev-add", **node)
        for name in ("mid.qcow2", paths[1]):
            d.fails(f"Can't find '{name}' in the backing chain",
                    "block-commit", device="top", base=name)
            d.fails(f"Can't find '{name}' in the backing chain",
                    "block-stream", device="top", base=name)
        d.cmd("block-stream", device="top", base="other.qcow2", job_id="j")
        finished(d, "j")


def test_short_image_in_a_chain(program):
    """What lies below the end of a short image reads as zeroes, and does so
    after the short image is gone from the chain."""
    need_peers()
    for job in ("active", "middle", "stream"):
        with Daemon(program) as d:
            paths = chain(d, "low", "mid", "top")
            d.cmd("blockdev-del", node_name="top")
            for path, size in ((paths[2], MIB), (paths[3], SIZE)):
                backing, fmt = ((paths[1], "qcow2") if path == paths[2]
                                else (paths[2], "qcow2"))
                subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2",
                                "-b", backing, "-F", fmt, path, str(size)],
                               check=True)
            expect = content(paths[0])[:MIB]
            expect = (b"\x30" * (600 << 10) + expect[600 << 10:] +
                      bytes(SIZE - MIB))
            assert whole(paths[3]) == expect
            node = {"driver": "raw", "node-name": "base",
                    "file": {"driver": "file", "filename": paths[0]}}
            for name, path in zip(("low", "mid", "top"), paths[1:]):
                node = {"driver": "qcow2", "node-name": name, "backing": node,
                        "file": {"driver": "file", "filename": path}}
            if job == "middle":  # an overlay, so that top is not active
                subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2",
                                "-b", paths[3], "-F", "qcow2",
                                d.file("over.qcow2")], check=True)
                node = {"driver": "qcow2", "node-name": "over",
                        "backing": node, "file": {
                            "driver": "file",
                            "filename": d.file("over.qcow2")}}
            d.cmd("blockdev-add", **node)
            if job == "stream":
                d.cmd("block-stream", device="top", base_node="low",
                      job_id="j")
            elif job == "active":
                d.cmd("block-commit", device="top", base_node="low",
                      job_id="j")
                d.qmp.event("BLOCK_JOB_READY", device="j")
                d.cmd("block-job-complete", device="j")
            else:
                d.cmd("block-commit", device="over", top_node="top",
                      base_node="low", job_id="j")
            finished(d, "j")
            d.quit()
            got = whole({"stream": paths[3], "active": paths[1],
                         "middle": d.file("over.qcow2")}[job])
            assert got == expect, job


def test_commit_active(program):
    need_peers()
    with Daemon(program) as d:
        paths = chain(d, "mid", "top")
        guest(d, "top")
        d.cmd("block-commit", job_id="j", device="top")
        d.qmp.event("BLOCK_JOB_READY", device="j")
        io(d, "guest", "write -P 0x98 2M 64k")
        expect = whole(paths[2])
        d.cmd("block-job-complete", device="j")
        finished(d, "j")
        io(d, "guest", "write -P 0x97 3M 64k")
        d.quit()
        got = content(paths[0])
        assert got[:3 * MIB] == expect[:3 * MIB]
        assert got[3 * MIB] == 0x97


def test_external_snapshot(program):
    need_peers()
    with Daemon(program) as d:
        path = disk(d)
        guest(d)
        over = d.file("over.qcow2")
        d.cmd("blockdev-snapshot-sync", node_name="n", snapshot_file=over,
              snapshot_node_name="over")
        io(d, "guest", "write -P 0x21 0 64k", "read -P 0x11 1M 64k")
        assert content(path)[0] == 0x11
        d.fails("Node 'n' is busy: node is used as backing hd of 'over'",
                "blockdev-del", node_name="n")
        d.fails("New overlay node-name already in use",
                "blockdev-snapshot-sync", node_name="n",
                snapshot_file=over + "2", snapshot_node_name="over")
        d.quit()
        assert whole(over)[0] == 0x21


def test_create(program):
    with Daemon(program) as d:
        path = d.file("new.img")
        d.cmd("blockdev-create", job_id="c",
              options={"driver": "file", "filename": path, "size": 12345})
        d.qmp.event("JOB_STATUS_CHANGE", id="c", status="concluded")
        assert os.stat(path).st_size == 12345
        d.cmd("job-dismiss", id="c")
        d.cmd("blockdev-create", job_id="c",
              options={"driver": "file", "filename": "/nonexistent/x",
                       "size": 1})
        d.qmp.event("JOB_STATUS_CHANGE", id="c", status="concluded")
        job = d.cmd("query-jobs")[0]
        assert "No such file" in job["error"], job
        d.cmd("job-dismiss", id="c")
        d.fails("Driver does not support blockdev-create",
                "blockdev-create", job_id="c",
                options={"driver": "null-co"})


def test_quit_with_jobs(program):
    with Daemon(program) as d:
        disk(d)
        d.raw("t", SIZE)
        d.cmd("blockdev-backup", job_id="j", device="n", target="t",
              sync="none")
        d.raw("t2", SIZE)
        disk(d, "m")
        d.cmd("blockdev-mirror", job_id="k", device="m", target="t2",
              sync="full", speed=4096)


run_tests(dict(globals()), sys.argv[1])
