"""Dirty bitmaps over QMP: states, error texts, transactions, and the rule
which bitmap may be exported, read back through our own server."""
import os
import shutil
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from qmp import Daemon, Skip, run_tests

MIB = 1 << 20
BUSY = ("Bitmap '{}' is currently in use by another operation and cannot be "
        "used")
SEED = "Enabled bitmap '{}' incompatible with readonly export"


def test_add(program):
    with Daemon(program) as d:
        d.raw("n", MIB)
        d.cmd("block-dirty-bitmap-add", node="n", name="b")
        assert d.bitmaps("n") == {"b": {
            "name": "b", "count": 0, "granularity": 65536, "recording": True,
            "busy": False, "persistent": False}}
        d.cmd("block-dirty-bitmap-add", node="n", name="c", disabled=True,
              granularity=512)
        assert not d.bitmaps("n")["c"]["recording"]
        d.fails("Bitmap already exists: b", "block-dirty-bitmap-add",
                node="n", name="b")
        d.fails("Bitmap name cannot be empty", "block-dirty-bitmap-add",
                node="n", name="")
        long = "x" * 1024
        d.fails(f"Bitmap name too long: {long}", "block-dirty-bitmap-add",
                node="n", name=long)
        d.cmd("block-dirty-bitmap-add", node="n", name="x" * 1023)
        for bad in (0, 256, 513, 3 << 20):
            d.fails("Granularity must be power of 2 and at least 512",
                    "block-dirty-bitmap-add", node="n", name="g",
                    granularity=bad)
        d.cmd("block-dirty-bitmap-add", node="n", name="g",
              granularity=1 << 31)
        d.fails("Parameter 'granularity' expects uint32_t",
                "block-dirty-bitmap-add", node="n", name="h",
                granularity=1 << 32)
        d.fails("Cannot find device='q' nor node-name='q'",
                "block-dirty-bitmap-add", node="q", name="b")
        d.fails("Can't store persistent bitmaps to n: Operation not "
                "supported", "block-dirty-bitmap-add", node="n", name="p",
                persistent=True)


def test_not_found(program):
    with Daemon(program) as d:
        d.raw("n", MIB)
        for command in ("remove", "clear", "enable", "disable"):
            name = "block-dirty-bitmap-" + command
            d.fails("Node 'q' not found", name, node="q", name="b")
            d.fails("Dirty bitmap 'b' not found", name, node="n", name="b")
        d.cmd("block-dirty-bitmap-add", node="n", name="t")
        d.fails("Dirty bitmap 'b' not found", "block-dirty-bitmap-merge",
                node="n", target="t", bitmaps=["b"])


def write(d, export, offset, length, pattern=0x11):
    """Through a writable export, with our own or the peers' client."""
    subprocess.run([shutil.which("qemu-io"), "-f", "raw", "-c",
                    f"write -P {pattern} {offset} {length}",
                    d.uri(export)], check=True, timeout=30,
                   stdout=subprocess.DEVNULL)


def dirty(d, export, name):
    """[(offset, length)] of dirty extents as nbdinfo sees them."""
    out = subprocess.run(
        ["nbdinfo", "--json", f"--map=qemu:dirty-bitmap:{name}",
         d.uri(export)], check=True, timeout=30, capture_output=True)
    import json
    return [(e["offset"], e["length"]) for e in json.loads(out.stdout)
            if e["type"] & 1]


PEERS = shutil.which("qemu-io") and shutil.which("nbdinfo")


def need_peers():
    if not PEERS:
        raise Skip("qemu-io and nbdinfo are not installed")


def rule(program, export_writable, owner_writable, enabled, allowed):
    with Daemon(program) as d:
        path = d.file("a.img", MIB)
        node = {"driver": "raw", "node_name": "n",
                "file": {"driver": "file", "filename": path},
                "read_only": not owner_writable}
        d.cmd("blockdev-add", **node)
        d.cmd("block-dirty-bitmap-add", node="n", name="b",
              disabled=not enabled)
        d.nbd_start()
        args = dict(type="nbd", id="e", node_name="n",
                    writable=export_writable, bitmaps=["b"])
        if allowed:
            d.cmd("block-export-add", **args)
            assert d.bitmaps("n")["b"]["busy"]
            if PEERS:
                assert dirty(d, "n", "b") == []
            d.cmd("block-export-del", id="e")
            d.qmp.event("BLOCK_EXPORT_DELETED", id="e")
            assert not d.bitmaps("n")["b"]["busy"]
        else:
            d.fails(SEED.format("b"), "block-export-add", **args)
            assert not d.bitmaps("n")["b"]["busy"]
            assert d.cmd("query-block-exports") == []


def test_rule_ro_export_rw_owner_enabled_refused(program):
    rule(program, False, True, True, False)


def test_rule_ro_export_rw_owner_disabled(program):
    rule(program, False, True, False, True)


def test_rule_ro_export_ro_owner_enabled(program):
    rule(program, False, False, True, True)


def test_rule_ro_export_ro_owner_disabled(program):
    rule(program, False, False, False, True)


def test_rule_rw_export_rw_owner_enabled(program):
    rule(program, True, True, True, True)


def test_rule_rw_export_rw_owner_disabled(program):
    rule(program, True, True, False, True)


def test_rule_not_found_and_busy(program):
    with Daemon(program) as d:
        d.raw("n", MIB)
        d.cmd("block-dirty-bitmap-add", node="n", name="b", disabled=True)
        d.nbd_start()
        d.fails("Bitmap 'x' is not found", "block-export-add", type="nbd",
                id="e", node_name="n", bitmaps=["x"])
        d.cmd("block-export-add", type="nbd", id="e", node_name="n",
              bitmaps=["b"])
        # Busy comes first, whatever the other columns say.
        d.fails(BUSY.format("b"), "block-export-add", type="nbd", id="f",
                name="g", node_name="n", bitmaps=["b"])
        for command in ("remove", "clear", "enable", "disable"):
            d.fails(BUSY.format("b"), "block-dirty-bitmap-" + command,
                    node="n", name="b")
        # An error leaves nothing half done.
        d.cmd("block-dirty-bitmap-add", node="n", name="c", disabled=True)
        d.fails(BUSY.format("b"), "block-export-add", type="nbd", id="f",
                name="g", node_name="n", bitmaps=["c", "b"])
        assert not d.bitmaps("n")["c"]["busy"]


def test_rule_by_owner(program):
    """Who names the owner itself has named the exact bitmap."""
    with Daemon(program) as d:
        d.raw("n", MIB)
        d.cmd("block-dirty-bitmap-add", node="n", name="b")
        d.nbd_start()
        d.cmd("block-export-add", type="nbd", id="e", node_name="n",
              bitmaps=[{"node": "n", "name": "b"}])


def test_recording(program):
    need_peers()
    with Daemon(program) as d:
        d.raw("n", 4 * MIB)
        d.cmd("block-dirty-bitmap-add", node="n", name="b")
        d.cmd("block-dirty-bitmap-add", node="n", name="fine",
              granularity=512)
        d.cmd("block-dirty-bitmap-add", node="n", name="off", disabled=True)
        d.nbd_start()
        d.cmd("block-export-add", type="nbd", id="w", node_name="n",
              writable=True)
        write(d, "n", MIB, 512)
        write(d, "n", 3 * MIB - 512, 1024)
        d.cmd("block-export-del", id="w", mode="hard")
        d.qmp.event("BLOCK_EXPORT_DELETED", id="w")
        got = d.bitmaps("n")
        assert got["b"]["count"] == 3 * 65536, got
        assert got["fine"]["count"] == 3 * 512, got
        assert got["off"]["count"] == 0, got
        for name in ("b", "fine"):
            d.cmd("block-dirty-bitmap-disable", node="n", name=name)
        d.cmd("block-export-add", type="nbd", id="r", node_name="n",
              bitmaps=["b", "fine"])
        assert dirty(d, "n", "b") == [(MIB, 65536),
                                      (3 * MIB - 65536, 131072)]
        assert dirty(d, "n", "fine") == [(MIB, 512), (3 * MIB - 512, 1024)]


def test_last_granule_is_clipped(program):
    need_peers()
    with Daemon(program) as d:
        d.raw("n", MIB + 512)
        d.cmd("block-dirty-bitmap-add", node="n", name="b")
        d.nbd_start()
        d.cmd("block-export-add", type="nbd", id="w", node_name="n",
              writable=True, bitmaps=["b"])
        write(d, "n", MIB, 512)
        assert dirty(d, "n", "b") == [(MIB, 512)]


def test_merge(program):
    need_peers()
    with Daemon(program) as d:
        d.raw("n", MIB)
        d.raw("small", MIB // 2)
        d.cmd("block-dirty-bitmap-add", node="n", name="a", granularity=512)
        d.nbd_start()
        d.cmd("block-export-add", type="nbd", id="w", node_name="n",
              writable=True)
        write(d, "n", 70000 // 512 * 512, 512)
        d.cmd("block-dirty-bitmap-add", node="n", name="b")
        write(d, "n", 0, 512)
        d.cmd("block-dirty-bitmap-add", node="n", name="t", disabled=True)
        d.cmd("block-dirty-bitmap-add", node="small", name="s")
        d.fails("Bitmaps are incompatible and can't be merged",
                "block-dirty-bitmap-merge", node="n", target="t",
                bitmaps=["a", {"node": "small", "name": "s"}])
        assert d.bitmaps("n")["t"]["count"] == 0, "target was touched"
        d.cmd("block-dirty-bitmap-merge", node="n", target="t",
              bitmaps=["a", {"node": "n", "name": "b"}, "t"])
        assert d.bitmaps("n")["t"]["count"] == 2 * 65536
        sums = {d.cmd("x-debug-block-dirty-bitmap-sha256", node="n",
                      name=n)["sha256"] for n in "at"}
        assert len(sums) == 2


def states(d):
    return {n: (b["recording"], b["count"], b["busy"])
            for n, b in d.bitmaps("n").items()}


def test_transaction_undo(program):
    with Daemon(program) as d:
        d.raw("n", MIB)
        for name, disabled in (("on", False), ("off", True), ("gone", False)):
            d.cmd("block-dirty-bitmap-add", node="n", name=name,
                  disabled=disabled)
        before = states(d)
        actions = [
            {"type": "block-dirty-bitmap-" + action,
             "data": {"node": "n", "name": name}}
            for action, name in (("disable", "on"), ("enable", "off"),
                                 ("clear", "on"), ("remove", "gone"),
                                 ("add", "new"))]
        d.fails("Transaction aborted using Abort action", "transaction",
                actions=actions + [{"type": "abort", "data": {}}])
        assert states(d) == before, states(d)
        d.cmd("transaction", actions=actions)
        after = states(d)
        assert set(after) == {"on", "off", "new"}
        assert after["on"][0] is False and after["off"][0] is True


def test_transaction_errors(program):
    with Daemon(program) as d:
        d.raw("n", MIB)
        add = {"type": "block-dirty-bitmap-add",
               "data": {"node": "n", "name": "b"}}
        d.fails("Parameter 'type' does not accept value 'bogus'",
                "transaction", actions=[{"type": "bogus", "data": {}}])
        d.fails("Action 'block-dirty-bitmap-add' does not support "
                "Transaction property completion-mode = grouped",
                "transaction", actions=[add],
                properties={"completion-mode": "grouped"})
        d.fails("Parameter 'actions[0].data.name' is missing", "transaction",
                actions=[{"type": "block-dirty-bitmap-add",
                          "data": {"node": "n"}}])
        d.fails("Bitmap already exists: b", "transaction",
                actions=[add, add])
        assert d.bitmaps("n") == {}
        d.cmd("transaction", actions=[])


def test_server_and_exports(program):
    with Daemon(program) as d:
        d.raw("n", MIB)
        d.fails("NBD server not running", "nbd-server-add", device="n")
        d.fails("NBD server not running", "nbd-server-stop")
        d.nbd_start()
        d.fails("NBD server already running", "nbd-server-start",
                addr={"type": "unix", "data": {"path": d.nbd + "2"}})
        d.fails("Cannot find device='nosuch' nor node-name='nosuch'",
                "nbd-server-add", device="nosuch")
        d.cmd("nbd-server-add", device="n")
        d.fails("Block export id 'n' is already in use", "nbd-server-add",
                device="n")
        d.fails("Invalid block export id", "block-export-add", type="nbd",
                id="1", node_name="n")
        d.fails("NBD server already has export named 'n'",
                "block-export-add", type="nbd", id="x", node_name="n")
        d.fails("Parameter 'type' does not accept value 'fuse'",
                "block-export-add", type="fuse", id="x", node_name="n")
        d.fails('iothread "io7" not found', "block-export-add", type="nbd",
                id="x", node_name="n", name="y", iothread="io7")
        d.cmd("block-export-add", type="nbd", id="x", node_name="n",
              name="y")
        assert [e["id"] for e in d.cmd("query-block-exports")] == ["x", "n"]
        d.cmd("nbd-server-remove", name="n")
        d.qmp.event("BLOCK_EXPORT_DELETED", id="n")
        d.fails("Export 'n' is not found", "nbd-server-remove", name="n")
        d.cmd("nbd-server-stop")
        d.qmp.event("BLOCK_EXPORT_DELETED", id="x")
        assert d.cmd("query-block-exports") == []
        d.cmd("blockdev-del", node_name="n")


def test_names_and_credentials(program):
    with Daemon(program) as d:
        d.raw("n", MIB)
        d.cmd("object-add", qom_type="authz-simple", id="io0",
              identity="CN=a")
        address = {"type": "unix", "data": {"path": d.nbd}}
        d.fails("No TLS credentials with id 'x'", "nbd-server-start",
                addr=address, tls_creds="x")
        d.fails("Object with id 'io0' is not TLS credentials",
                "nbd-server-start", addr=address, tls_creds="io0")
        d.nbd_start()
        long = "x" * 4097
        # The message shows the beginning of what is too long.
        for what, args in (("export name", {"name": long}),
                           ("description", {"description": long})):
            text = d.error("block-export-add", type="nbd", id="e",
                           node_name="n", **args)
            assert text.startswith(f"{what} 'xxx"), text
            assert text.endswith("xxx' too long"), text
        assert d.cmd("query-block-exports") == []
        d.cmd("block-export-add", type="nbd", id="e", node_name="n",
              name=long[1:], description=long[1:])


def test_hard_removal_waits_for_no_request(program):
    """An export goes though a request of its client is not done yet."""
    need_peers()
    with Daemon(program) as d:
        d.raw("n", MIB)
        d.cmd("object-add", qom_type="throttle-group", id="g",
              limits={"bps-total": 1000})
        d.cmd("blockdev-add", driver="throttle", node_name="slow",
              throttle_group="g", file="n")
        d.nbd_start()
        d.cmd("block-export-add", type="nbd", id="e", node_name="slow")
        client = subprocess.Popen(
            [shutil.which("qemu-io"), "-f", "raw", "-r", "-c", "read 0 64k",
             "-c", "read 0 4k", d.uri("slow")], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        assert client.stdout.readline().startswith(b"read 65536/65536")
        time.sleep(0.2)  # the second read waits a minute for its turn
        d.cmd("block-export-del", id="e", mode="hard")
        d.qmp.event("BLOCK_EXPORT_DELETED", id="e")
        assert d.cmd("query-block-exports") == []
        client.kill()
        client.communicate()


def connect(d, export):
    """A client in the transmission phase, as bytes."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(30)
    sock.connect(d.nbd)
    with sock.makefile("rb", buffering=0) as f:
        got = f.read(18)
        sock.sendall(struct.pack(">I", 3))
        name = export.encode()
        data = struct.pack(">I", len(name)) + name + bytes(2)
        sock.sendall(struct.pack(">QII", 0x49484156454F5054, 7, len(data)) +
                     data)
        assert len(got) == 18
        kind = None
        while kind != 1:  # NBD_REP_ACK
            head = b""
            while len(head) < 20:
                head += f.read(20 - len(head))
            _, _, kind, length = struct.unpack(">QIII", head)
            assert kind < 1 << 31
            while length:
                length -= len(f.read(length))
    return sock


def test_a_client_that_has_left_does_not_hold_an_export(program):
    with Daemon(program) as d:
        d.raw("n", MIB)
        d.nbd_start()
        for _ in range(30):
            d.cmd("block-export-add", type="nbd", id="e", node_name="n")
            connect(d, "n").close()
            d.cmd("block-export-del", id="e")
            assert d.cmd("query-block-exports") == []
        for _ in range(10):
            d.cmd("block-export-add", type="nbd", id="e", node_name="n")
            client = connect(d, "n")
            d.fails("export 'e' still in use", "block-export-del", id="e")
            d.cmd("block-export-del", id="e", mode="hard")
            d.fails("Export 'e' is not found", "block-export-del", id="e")
            assert client.recv(1) == b""
            client.close()


def test_read_only_node_cannot_be_exported_writable(program):
    with Daemon(program) as d:
        d.raw("n", MIB, read_only=True)
        d.nbd_start()
        d.fails("Cannot export read-only node as writable",
                "block-export-add", type="nbd", id="e", node_name="n",
                writable=True)
        d.cmd("nbd-server-add", device="n", writable=True)  # downgraded


run_tests(dict(globals()), sys.argv[1])
