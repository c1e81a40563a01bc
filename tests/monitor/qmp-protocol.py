"""The monitor itself: greeting, negotiation, envelopes, errors, sessions."""
import json
import os
import socket
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from qmp import Daemon, Qmp, QmpError, run_tests


def test_greeting(program):
    with Daemon(program) as d:
        qmp = d.qmp.greeting["QMP"]
        assert qmp["capabilities"] == ["oob"], qmp
        assert set(qmp["version"]["qemu"]) == {"major", "minor", "micro"}
        assert d.cmd("query-version") == qmp["version"]


def error_of(qmp, text):
    qmp.send(text + "\n")
    return qmp.reply()["error"]


def test_negotiation(program):
    with Daemon(program) as d:
        d.qmp.close()
        q = Qmp(d.path, negotiate=False)
        e = error_of(q, '{"execute": "query-version"}')
        assert e == {"class": "CommandNotFound",
                     "desc": "Expecting capabilities negotiation with "
                             "'qmp_capabilities'"}, e
        e = error_of(q, '{"execute": "qmp_capabilities", '
                        '"arguments": {"enable": ["fly"]}}')
        assert "fly" in e["desc"], e
        q.send('{"execute": "qmp_capabilities", "id": "abc"}')
        assert q.reply() == {"return": {}, "id": "abc"}
        e = error_of(q, '{"execute": "qmp_capabilities"}')
        assert e["class"] == "CommandNotFound", e
        d.qmp = q


def test_envelopes(program):
    rows = [
        ('{"execute": "nosuch"}', "CommandNotFound",
         "The command nosuch has not been found"),
        ('{}', "GenericError", "QMP input lacks member 'execute'"),
        ('[]', "GenericError", "QMP input must be a JSON object"),
        ('{"execute": 1}', "GenericError",
         "QMP input member 'execute' must be a string"),
        ('{"execute": "query-version", "extra": 1}', "GenericError",
         "QMP input member 'extra' is unexpected"),
        ('{"execute": "query-version", "arguments": []}', "GenericError",
         "QMP input member 'arguments' must be an object"),
        ('{"exec-oob": "query-version"}', "GenericError",
         "QMP input member 'exec-oob' is unexpected"),
        ('{"execute": "query-version", "arguments": {"x": 1}}',
         "GenericError", "Parameter 'x' is unexpected"),
        ('{"execute": "blockdev-del"}', "GenericError",
         "Parameter 'node-name' is missing"),
        ('{"execute": "blockdev-del", "arguments": {"node-name": 3}}',
         "GenericError",
         "Invalid parameter type for 'node-name', expected: string"),
        ('{"execute": "block-export-del", "arguments": '
         '{"id": "x", "mode": "gently"}}', "GenericError",
         "Parameter 'mode' does not accept value 'gently'"),
        ('{"execute": "block-dirty-bitmap-merge", "arguments": '
         '{"node": "n", "target": "t", "bitmaps": [7]}}', "GenericError",
         "Invalid parameter type for 'bitmaps[0]', expected: object"),
    ]
    with Daemon(program) as d:
        for text, cls, desc in rows:
            e = error_of(d.qmp, text)
            assert e == {"class": cls, "desc": desc}, (text, e)


def test_syntax(program):
    with Daemon(program) as d:
        for bad in ("hello", '{"execute": }', "{'execute' 'x'}", "}",
                    '{"a": 1, "a"}', "\x01"):
            e = error_of(d.qmp, bad)
            assert e["class"] == "GenericError", (bad, e)
            assert e["desc"].startswith("JSON"), (bad, e)
        # Still in step, and single quotes are fine.
        d.qmp.send("{ 'execute': 'query-version', 'id': 'it\\'s \"me\"' }")
        assert d.qmp.reply()["id"] == 'it\'s "me"'
        # Many in one packet, one over many packets.
        d.qmp.send('{"execute":"query-name","id":1}' * 40)
        assert [d.qmp.reply()["id"] for _ in range(40)] == [1] * 40
        for c in '{"execute": "query-name", "id": [2, {"x": null}]}':
            d.qmp.send(c)
        assert d.qmp.reply() == {"return": {}, "id": [2, {"x": None}]}
        d.qmp.send("[" * 2000 + "\n")
        assert "nesting" in d.qmp.reply()["error"]["desc"]
        d.qmp.send('{"execute":"query-name","id":3}')
        assert d.qmp.reply()["id"] == 3


def test_half_close(program):
    """Replies to what was sent before the end of input still arrive."""
    with Daemon(program) as d:
        d.qmp.send('{"execute":"query-name","id":9}')
        d.qmp.sock.shutdown(socket.SHUT_WR)
        assert d.qmp.reply()["id"] == 9
        d.qmp = Qmp(d.path)


def test_out_of_band(program):
    with Daemon(program) as d:
        d.qmp.close()
        q = d.qmp = Qmp(d.path, negotiate=False)
        q.command("qmp_capabilities", {"enable": ["oob"]})
        e = error_of(q, '{"exec-oob": "query-name"}')
        assert e["desc"] == "The command query-name does not support OOB"
        e = error_of(q, '{"exec-oob": "x", "execute": "y"}')
        assert "mutually exclusive" in e["desc"], e


def test_out_of_band_overtakes(program):
    """It is answered while another command waits for a mute NBD server."""
    with tempfile.TemporaryDirectory() as tmp:
        mute = socket.socket(socket.AF_UNIX)
        mute.bind(os.path.join(tmp, "mute"))
        mute.listen(1)
        with Daemon(program) as d:
            d.qmp.close()
            q = d.qmp = Qmp(d.path, negotiate=False)
            q.command("qmp_capabilities", {"enable": ["oob"]})
            q.send(json.dumps({
                "execute": "blockdev-add", "id": "slow", "arguments": {
                    "driver": "nbd", "node-name": "x",
                    "server": {"type": "unix",
                               "path": os.path.join(tmp, "mute")}}}))
            peer, _ = mute.accept()
            q.send('{"exec-oob": "query-version", "id": "fast"}')
            assert q.reply()["id"] == "fast"
            peer.close()
            reply = q.reply()
            assert reply["id"] == "slow" and "error" in reply, reply
        mute.close()


def test_tcp(program):
    """A monitor on TCP, found by the port that the system gave it."""
    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    with Daemon(program, "--chardev",
                f"socket,id=t,host=127.0.0.1,port={port},server=on,wait=off",
                "--monitor", "t") as d:
        with socket.create_connection(("127.0.0.1", port), 10) as s:
            f = s.makefile("rw")
            assert "QMP" in json.loads(f.readline())
            f.write('{"execute": "qmp_capabilities"}')
            f.flush()
            assert json.loads(f.readline()) == {"return": {}}
        assert d.cmd("query-name") == {}


def test_several_monitors(program):
    with tempfile.TemporaryDirectory() as tmp:
        second = os.path.join(tmp, "second")
        with Daemon(program, "--chardev",
                    f"socket,id=b,path={second},server=on,wait=off",
                    "--monitor", "b,pretty=off") as d:
            other = Qmp(second)
            d.cmd("blockdev-add", driver="null-co", node_name="n")
            names = [n["node-name"] for n in
                     other.command("query-named-block-nodes", {})]
            assert names == ["n"], names
            other.close()
            other = Qmp(second)  # the next client gets in
            d.cmd("quit")
            assert other.event("SHUTDOWN")["data"]["reason"] == \
                "host-qmp-quit"
            d.process.wait(30)
        assert not os.path.exists(second)


def test_events_have_time(program):
    with Daemon(program) as d:
        before = time.time()
        d.qmp.send('{"execute": "quit"}')
        e = d.qmp.receive()
        assert e["event"] == "SHUTDOWN", e  # before the reply
        assert abs(e["timestamp"]["seconds"] - before) < 60, e
        assert 0 <= e["timestamp"]["microseconds"] < 1000000
        assert d.qmp.receive() == {"return": {}}
        assert d.process.wait(30) == 0


def test_client_that_never_reads(program):
    """Others are still served."""
    with tempfile.TemporaryDirectory() as tmp:
        second = os.path.join(tmp, "second")
        with Daemon(program, "--chardev",
                    f"socket,id=b,path={second},server=on,wait=off",
                    "--monitor", "b") as d:
            deaf = Qmp(second)
            deaf.sock.settimeout(0.2)
            try:
                for _ in range(2000):
                    deaf.send('{"execute": "query-qmp-schema"}')
            except socket.timeout:
                pass
            assert d.cmd("query-name") == {}
            deaf.close()


def test_schema(program):
    with Daemon(program) as d:
        schema = d.cmd("query-qmp-schema")
        entries = {e["name"]: e for e in schema}
        assert len(entries) == len(schema), "names are not unique"
        commands = {c["name"] for c in d.cmd("query-commands")}
        assert commands == {n for n, e in entries.items()
                            if e["meta-type"] == "command"}
        for e in schema:
            for key in ("arg-type", "ret-type", "element-type"):
                assert e.get(key) is None or e[key] in entries, e
            for m in e.get("members", []):
                if e["meta-type"] != "enum":
                    assert m["type"] in entries, (e, m)
            for v in e.get("variants", []):
                assert v["type"] in entries, v
        add = entries[entries["block-dirty-bitmap-add"]["arg-type"]]
        members = {m["name"]: m for m in add["members"]}
        assert "default" not in members["node"]
        assert "default" in members["granularity"]
        blockdev = entries[entries["blockdev-add"]["arg-type"]]
        assert blockdev["tag"] == "driver"
        assert "nbd" in {v["case"] for v in blockdev["variants"]}


def test_bad_options(program):
    import subprocess
    rows = [
        (["--chardev", "socket,id=m"], "path or host"),
        (["--chardev", "socket,path=/x"], "no id"),
        (["--chardev", "tape,id=m"], "'tape' is not a valid char driver"),
        (["--monitor", "nosuch"], 'chardev "nosuch" not found'),
        (["--blockdev", "nosuch,node-name=n"],
         "Parameter 'driver' does not accept value 'nosuch'"),
        (["--blockdev", "file,node-name=n,filename=/nonexistent"],
         "No such file or directory"),
        (["--export", "nbd,id=x,node-name=n"], "Cannot find device='' nor node-name='n'"),
        (["--object", "spoon,id=x"],
         "Parameter 'qom-type' does not accept value 'spoon'"),
        (["stray"], "Unexpected argument: stray"),
        (["--nosuch"], "unrecognized option"),
    ]
    for args, text in rows:
        r = subprocess.run([program, *args], capture_output=True, text=True,
                           timeout=30, stdin=subprocess.DEVNULL)
        assert r.returncode == 1, (args, r)
        assert text in r.stderr, (args, r.stderr)
        assert len(r.stderr.strip().splitlines()) == 1, r.stderr


def test_manual_page(program):
    """The page has an entry for each option of --help, and no other."""
    import re
    import subprocess
    page = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "man",
                        "e2k-storage-daemon.1")
    with open(page, encoding="utf-8") as f:
        text = f.read().replace("\\-", "-")
    entries = set(re.findall(r"^\.TP\n\.B (--[a-z-]+)", text, re.M))
    out = subprocess.run([program, "--help"], capture_output=True, text=True,
                         check=True).stdout
    options = set(re.findall(r"^  (--[a-z-]+)", out, re.M))
    assert len(options) > 8 and entries == options, entries ^ options


run_tests(dict(globals()), sys.argv[1])
