"""Dirty bitmaps travel with the machine: two e2k-system -M none, a stream in
a file between them."""
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import qmp
from qmp import run_tests

import socket
import subprocess


class System:
    def __init__(self, program, directory, name, *args):
        path = os.path.join(directory, name)
        self.process = subprocess.Popen(
            [program, "-M", "none", "-accel", "qtest", "-display", "none",
             "-serial", "none", "-monitor", "none", "-blockdev",
             "driver=null-co,node-name=disk,size=64M",
             "-qmp", f"unix:{path},server=on,wait=off", *args],
            stdin=subprocess.DEVNULL)
        self.qmp = qmp.Qmp(path)

    def cmd(self, command, /, **args):
        return self.qmp.command(command, {k.replace("_", "-"): v
                                       for k, v in args.items()})

    def error(self, command, /, **args):
        try:
            self.cmd(command, **args)
        except qmp.QmpError as e:
            return e.desc
        raise AssertionError(f"{command} did not fail")

    def bitmaps(self):
        for info in self.cmd("query-named-block-nodes"):
            if info["node-name"] == "disk":
                return {b["name"]: b for b in info.get("dirty-bitmaps", [])}
        raise AssertionError("no disk")

    def write(self, offset):
        self.cmd("human-monitor-command",
                 command_line=f'qemu-io disk "write -q {offset} 4k"')

    def sum(self, bitmap):
        return self.cmd("x-debug-block-dirty-bitmap-sha256", node="disk",
                        name=bitmap)["sha256"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def migrate(source, path):
    source.cmd("migrate", uri=f"file:{path}")
    deadline = time.monotonic() + 30
    while True:
        status = source.cmd("query-migrate")
        if status["status"] in ("completed", "failed"):
            return status
        assert time.monotonic() < deadline
        time.sleep(0.02)


def prepared(program, directory, name="a"):
    s = System(program, directory, name)
    s.cmd("block-dirty-bitmap-add", node="disk", name="b0")
    s.cmd("block-dirty-bitmap-add", node="disk", name="b1",
          granularity=4096)
    s.write("1M")
    s.cmd("block-dirty-bitmap-disable", node="disk", name="b1")
    s.write("5M")
    return s


def test_travel(program):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "state")
        with prepared(program, d) as a:
            a.cmd("migrate-set-capabilities", capabilities=[
                {"capability": "dirty-bitmaps", "state": True}])
            sums = [a.sum("b0"), a.sum("b1")]
            status = migrate(a, path)
            assert status["status"] == "completed", status
        with System(program, d, "b", "-incoming", f"file:{path}") as b:
            got = b.bitmaps()
            assert set(got) == {"b0", "b1"}, got
            assert got["b0"]["recording"] and not got["b1"]["recording"], got
            assert [b.sum("b0"), b.sum("b1")] == sums
            b.write("9M")
            assert b.bitmaps()["b0"]["count"] == 3 * 65536


def test_without_capability(program):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "state")
        with prepared(program, d) as a:
            assert migrate(a, path)["status"] == "completed"
        with System(program, d, "b", "-incoming", f"file:{path}") as b:
            assert b.bitmaps() == {}


def test_refusals(program):
    with tempfile.TemporaryDirectory() as d:
        with prepared(program, d) as a:
            assert "'postcopy-ram' is not supported" in a.error(
                "migrate-set-capabilities", capabilities=[
                    {"capability": "postcopy-ram", "state": True}])
            node = {"node-name": "disk", "alias": "x", "bitmaps": []}
            assert "given twice" in a.error(
                "migrate-set-parameters",
                block_bitmap_mapping=[node, node])
            node["bitmaps"] = [{"name": "b0", "alias": "c"}]
            a.cmd("migrate-set-parameters", block_bitmap_mapping=[node])
            assert a.cmd("query-migrate-parameters") == {
                "block-bitmap-mapping": [node]}
            a.cmd("migrate-set-capabilities", capabilities=[
                {"capability": "dirty-bitmaps", "state": True}])
            path = os.path.join(d, "state")
            assert migrate(a, path)["status"] == "completed"
        # The alias means nothing here: the destination says so and ends.
        p = subprocess.run([program, "-M", "none", "-accel", "qtest",
                            "-display", "none", "-serial", "none",
                            "-monitor", "none", "-blockdev",
                            "driver=null-co,node-name=disk,size=64M",
                            "-incoming", f"file:{path}"], timeout=30,
                           capture_output=True, text=True,
                           stdin=subprocess.DEVNULL)
        assert p.returncode != 0 and "node-name='x'" in p.stderr, p


run_tests(dict(globals()), sys.argv[1])
