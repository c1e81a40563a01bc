"""Nodes over QMP: add, delete, reopen, resize, snapshots, queries."""
import json
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from qmp import Daemon, Skip, run_tests

MIB = 1 << 20


def nodes(d):
    return {n["node-name"]: n for n in d.cmd("query-named-block-nodes")}


def test_add_and_delete(program):
    with Daemon(program) as d:
        d.raw("n", MIB)
        info = nodes(d)["n"]
        assert info["drv"] == "raw" and not info["ro"], info
        assert info["image"]["virtual-size"] == MIB
        d.fails("Duplicate nodes with node-name='n'", "blockdev-add",
                driver="null-co", node_name="n")
        d.fails("'node-name' must be specified for the root node",
                "blockdev-add", driver="null-co")
        d.fails("Invalid node-name: '.x'", "blockdev-add",
                driver="null-co", node_name=".x")
        d.fails("Parameter 'bogus' is unexpected", "blockdev-add",
                driver="null-co", node_name="z", bogus=1)
        d.fails("Parameter 'driver' does not accept value 'zip'",
                "blockdev-add", driver="zip", node_name="z")
        d.fails("Failed to find node with node-name='x'", "blockdev-del",
                node_name="x")
        child = [n for n in nodes(d) if n.startswith("#block")][0]
        d.fails(f"Node {child} is not owned by the monitor", "blockdev-del",
                node_name=child)
        d.cmd("blockdev-del", node_name="n")
        assert nodes(d) == {}
        d.fails("Could not open '/nonexistent/f': No such file or directory",
                "blockdev-add", driver="file", node_name="f",
                filename="/nonexistent/f")


def test_in_use(program):
    with Daemon(program) as d:
        path = d.file("a.img", MIB)
        d.cmd("blockdev-add", driver="file", node_name="f", filename=path)
        d.cmd("blockdev-add", driver="raw", node_name="r", file="f")
        d.fails("Block device f is in use", "blockdev-del", node_name="f")
        d.nbd_start()
        d.cmd("block-export-add", type="nbd", id="e", node_name="r")
        d.fails("Node r is in use", "blockdev-del", node_name="r")
        d.cmd("block-export-del", id="e")
        d.qmp.event("BLOCK_EXPORT_DELETED", id="e")
        d.cmd("blockdev-del", node_name="r")
        d.cmd("blockdev-del", node_name="f")


def test_reopen(program):
    with Daemon(program) as d:
        path = d.file("a.img", MIB)
        file = {"driver": "file", "filename": path}
        d.cmd("blockdev-add", driver="raw", node_name="n", read_only=True,
              file=file)
        assert nodes(d)["n"]["ro"]
        d.cmd("blockdev-reopen", options=[
            {"driver": "raw", "node-name": "n", "file": file}])
        assert not nodes(d)["n"]["ro"]
        d.fails("Cannot change the option 'driver'", "blockdev-reopen",
                options=[{"driver": "null-co", "node-name": "n"}])
        d.fails("Failed to find node with node-name='q'", "blockdev-reopen",
                options=[{"driver": "raw", "node-name": "q", "file": file}])
        # One of two fails: neither has changed.
        d.cmd("blockdev-add", driver="null-co", node_name="o")
        d.error("blockdev-reopen", options=[
            {"driver": "raw", "node-name": "n", "read-only": True,
             "file": file},
            {"driver": "null-co", "node-name": "o", "bogus": 1}])
        assert not nodes(d)["n"]["ro"]


def test_reopen_says_what_it_cannot_do(program):
    """What a reopen does not change must be given as it was: nothing is
    accepted and forgotten."""
    with Daemon(program) as d:
        path = d.file("a.img", 2 * MIB)
        d.cmd("object-add", qom_type="throttle-group", id="g")
        d.cmd("blockdev-add", driver="raw", node_name="n", size=MIB,
              file={"driver": "file", "filename": path, "node-name": "f",
                    "locking": "off", "read-only": False})
        d.cmd("blockdev-add", driver="throttle", node_name="t", file="f",
              throttle_group="g")
        d.cmd("blockdev-add", driver="null-co", node_name="z", size=MIB)
        d.cmd("blockdev-add", driver="null-co", node_name="y", size=MIB)
        file = {"driver": "file", "filename": path, "locking": "off"}

        def reopen(wanted=None, **more):
            options = [{"driver": "raw", "node-name": "n", "size": MIB,
                        "file": "f", **more}]
            if wanted:
                d.fails(wanted, "blockdev-reopen", options=options)
            else:
                d.cmd("blockdev-reopen", options=options)

        def info(node):
            return next(n for n in d.cmd("query-named-block-nodes")
                        if n["node-name"] == node)

        reopen(size=MIB // 2)
        assert info("n")["image"]["virtual-size"] == MIB // 2
        reopen()
        # The child by an object.
        reopen(file={**file, "detect-zeroes": "on"})
        assert info("f")["detect_zeroes"] == "on", info("f")
        reopen(file={**file, "node-name": "f", "locking": "off"})
        assert info("f")["detect_zeroes"] == "off", info("f")
        reopen("Cannot change the option 'locking'",
               file={**file, "locking": "on"})
        del file["locking"]
        reopen("Option 'locking' cannot be reset to its default value",
               file=file)
        reopen("Cannot change the option 'driver'",
               file={"driver": "null-co"})
        reopen("Cannot change the option 'file.driver'",
               file={**file, "node-name": "q"})
        reopen("Cannot change the option 'force-share'",
               **{"force-share": True})
        # The child by its name: filters come and go.
        reopen("Cannot find device='' nor node-name='q'", file="q")
        reopen("Making 'n' a file child of 'n' would create a cycle",
               file="n")
        reopen("Cannot change the option 'file'", file="z")
        reopen(file="t")
        d.fails("Block device t is in use", "blockdev-del", node_name="t")
        reopen(file="f")
        d.cmd("blockdev-del", node_name="t")
        d.fails("Cannot change the option 'size'", "blockdev-reopen",
                options=[{"driver": "null-co", "node-name": "z",
                          "size": 4 * MIB}])
        d.cmd("blockdev-reopen", options=[
            {"driver": "null-co", "node-name": "z", "size": str(MIB)}])
        # All or nothing.
        d.fails("Cannot change the option 'size'", "blockdev-reopen",
                options=[{"driver": "raw", "node-name": "n", "file": "f",
                          "size": 512},
                         {"driver": "null-co", "node-name": "y", "size": 1}])
        assert info("n")["image"]["virtual-size"] == MIB


def test_reopen_under_export(program):
    """A writable export keeps its node writable."""
    with Daemon(program) as d:
        d.raw("n", MIB)
        d.nbd_start()
        d.cmd("block-export-add", type="nbd", id="e", node_name="n",
              writable=True)
        message = d.error("blockdev-reopen", options=[
            {"driver": "raw", "node-name": "n", "read-only": True,
             "file": {"driver": "file", "filename": d.file("n.img")}}])
        assert "read-only" in message, message
        assert not nodes(d)["n"]["ro"]


def test_resize(program):
    with Daemon(program) as d:
        path = d.raw("n", MIB)
        d.cmd("block-dirty-bitmap-add", node="n", name="b")
        d.cmd("block_resize", node_name="n", size=2 * MIB)
        assert os.stat(path).st_size == 2 * MIB
        d.fails("Parameter 'size' expects a >0 size", "block_resize",
                node_name="n", size=-1)
        d.fails("Cannot find device='' nor node-name='q'", "block_resize",
                node_name="q", size=1)
        d.nbd_start()
        d.cmd("block-export-add", type="nbd", id="e", node_name="n",
              writable=True)
        assert d.error("block_resize", node_name="n", size=MIB)
        assert os.stat(path).st_size == 2 * MIB


def test_query_graph(program):
    with Daemon(program) as d:
        d.raw("n", MIB)
        graph = d.cmd("x-debug-query-block-graph")
        ids = {n["name"]: n["id"] for n in graph["nodes"]}
        edge = [e for e in graph["edges"] if e["parent"] == ids["n"]][0]
        assert edge["name"] == "file", edge
        assert d.cmd("query-block") == []
        stats = d.cmd("query-blockstats", query_nodes=True)
        assert "n" in {s["node-name"] for s in stats}


def test_throttle(program):
    """512 KiB at 400 KiB/s; a tenth of a second's worth goes at once."""
    with Daemon(program) as d:
        d.cmd("object-add", qom_type="throttle-group", id="g",
              limits={"bps-total": 400 << 10})
        d.raw("n", 512 << 10)
        d.raw("t", 512 << 10)
        d.cmd("blockdev-add", driver="throttle", node_name="slow",
              throttle_group="g", file="t")
        start = time.monotonic()
        with open(d.file("n.img"), "wb") as f:
            f.write(b"x" * (512 << 10))
        # Pieces of 64 KiB: one request of it all would pass at once.
        d.cmd("blockdev-add", driver="blkdebug", node_name="pieces",
              image="slow", max_transfer=64 << 10)
        d.cmd("blockdev-backup", job_id="j", device="n", target="pieces",
              sync="full")
        d.qmp.event("BLOCK_JOB_COMPLETED", device="j")
        took = time.monotonic() - start
        assert 0.8 < took < 20, took
        d.fails("object 'g' is in use, can not be deleted", "object-del",
                id="g")
        d.fails("Throttle group 'h' does not exist", "blockdev-add",
                driver="throttle", node_name="z", throttle_group="h",
                file="n")
        d.fails("bps_max/iops_max require corresponding bps/iops values",
                "object-add", qom_type="throttle-group", id="h",
                limits={"bps-total-max": 1})


def test_copy_on_read(program):
    if not shutil.which("qemu-img") or not shutil.which("nbdcopy"):
        raise Skip("qemu-img and nbdcopy are not installed")
    with Daemon(program) as d:
        base = d.file("base.img", MIB, 0x42)
        top = d.file("top.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b",
                        base, "-F", "raw", top], check=True)
        d.cmd("blockdev-add", driver="copy-on-read", node_name="c",
              file={"driver": "qcow2", "node-name": "top",
                    "file": {"driver": "file", "filename": top}})
        d.nbd_start()
        d.cmd("block-export-add", type="nbd", id="e", node_name="c")
        copy = d.file("copy.img")
        subprocess.run(["nbdcopy", d.uri("c"), copy], check=True)
        with open(copy, "rb") as f:
            assert f.read() == b"\x42" * MIB
        d.quit()
        # All of it is in the overlay now.
        out = subprocess.run(["qemu-img", "map", "--output=json", top],
                             check=True, capture_output=True).stdout
        assert {e["depth"] for e in json.loads(out)} == {0}, out


def test_blkdebug(program):
    with Daemon(program) as d:
        d.raw("n", MIB)
        d.cmd("blockdev-add", driver="blkdebug", node_name="bad", image="n",
              **{"inject-error": [{"event": "none", "iotype": "read",
                                   "errno": 5, "sector": 2}]})
        d.raw("t", MIB)
        d.cmd("blockdev-add", driver="null-co", node_name="ok", size=MIB)
        with open(d.file("n.img"), "wb") as f:
            f.write(b"x" * MIB)
        d.cmd("blockdev-backup", job_id="j", device="bad", target="t",
              sync="full")
        e = d.qmp.event("BLOCK_JOB_ERROR")["data"]
        assert e == {"device": "j", "operation": "read",
                     "action": "report"}, e
        e = d.qmp.event("BLOCK_JOB_COMPLETED")["data"]
        assert e["error"] == "Input/output error", e
        d.fails("Cannot meet constraints with align 3", "blockdev-add",
                driver="blkdebug", node_name="x", image="ok", align=3)


def test_objects(program):
    with Daemon(program) as d:
        d.cmd("object-add", qom_type="iothread", id="io0")
        d.raw("n", MIB)
        d.cmd("x-blockdev-set-iothread", node_name="n", iothread="io0")
        d.cmd("x-blockdev-set-iothread", node_name="n", iothread=None)
        d.fails("Cannot find iothread io9", "x-blockdev-set-iothread",
                node_name="n", iothread="io9")
        assert "duplicate" in d.error("object-add", qom_type="iothread",
                                      id="io0")
        d.fails("Parameter 'bogus' is unexpected", "object-add",
                qom_type="iothread", id="io1", bogus=1)
        d.fails("object 'io1' not found", "object-del", id="io1")
        d.cmd("object-del", id="io0")


def test_hostile_descriptions(program):
    with Daemon(program) as d:
        deep = {"driver": "null-co"}
        for _ in range(600):
            deep = {"driver": "raw", "file": deep}
        d.error("blockdev-add", **dict(deep, node_name="n"))
        d.error("blockdev-add", driver="raw", node_name="r", file="r")
        d.error("blockdev-add", driver="null-co", node_name="n",
                size=-1)
        d.error("blockdev-add", driver="null-co", node_name="n",
                size=1 << 63)
        d.error("blockdev-add", **{"driver": "raw", "node-name": "n",
                                   "file.driver": "null-co",
                                   "file": {"driver": "null-co"}})
        d.error("blockdev-add", driver={"a": 1}, node_name="n")
        assert nodes(d) == {}


run_tests(dict(globals()), sys.argv[1])
