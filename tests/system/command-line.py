"""Bad command lines and images: one clear line, exit status 1.

usage: command-line.py E2K-SYSTEM MAIN-JOB-ELF
"""
import os
import socket
import struct
import subprocess
import sys
import tempfile

SYSTEM, GUEST = sys.argv[1:3]


def run(*words):
    return subprocess.run([SYSTEM, *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=30,
                          check=False)


def refused(wanted, *words):
    """The command line must be refused with one line that says wanted."""
    done = run(*words)
    lines = done.stderr.splitlines()
    good = (done.returncode == 1 and len(lines) == 1 and not done.stdout and
            lines[0].startswith("e2k-system: ") and wanted in lines[0])
    if not good:
        print(f"{' '.join(words)}: status {done.returncode}, "
              f"wanted '{wanted}', got:\n{done.stdout}{done.stderr}")
    return good


def listed(wanted, *words):
    done = run(*words)
    good = done.returncode == 0 and wanted in done.stdout
    if not good:
        print(f"{' '.join(words)}: no '{wanted}' in:\n{done.stdout}")
    return good


def elf(machine=175, flags=3 << 24, size=None, memory=4096):
    """An ELF file with one segment, as far as the loader looks."""
    header = struct.pack("<16sHHIQQQIHHHHHH",
                         b"\x7fELF\x02\x01\x01" + bytes(9), 2, machine, 1,
                         0x10000, 64, 0, flags, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x10000, 0x10000, 4096,
                          memory, 4096)
    return (header + segment + bytes(4096))[:size or 4096]


def main():
    with tempfile.TemporaryDirectory() as where:
        def put(name, content):
            path = os.path.join(where, name)
            with open(path, "wb") as file:
                file.write(content)
            return path

        busy = os.path.join(where, "busy.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(busy)
        listener.listen(1)
        results = [
            refused("not an ELF file", "-kernel", put("text", b"hello\n")),
            refused("truncated", "-kernel", put("short", elf(size=2000))),
            refused("truncated", "-kernel", put("header", elf(size=40))),
            refused("is empty", "-kernel", put("empty", b"")),
            refused("machine 62", "-kernel", put("x86", elf(machine=62))),
            refused("ISA version 6", "-cpu", "v4", "-kernel",
                    put("v6", elf(flags=6 << 24))),
            refused("guest memory ends at", "-m", "16", "-kernel",
                    put("large", elf(memory=1 << 30))),
            refused("initrd", "-m", "16", "-kernel", GUEST, "-initrd",
                    put("initrd", bytes(16 << 20))),
            refused("unknown ISA version", "-kernel",
                    put("v99", elf(flags=99 << 24))),
            refused("No such file", "-kernel",
                    os.path.join(where, "missing")),
            refused("No such file", "-kernel", GUEST, "-drive",
                    f"file={where}/none.img,format=raw"),
            refused("nbd.sock", "-kernel", GUEST, "-drive",
                    f"file=nbd:unix:{where}/nbd.sock,format=raw"),
            refused("busy.sock", "-kernel", GUEST, "-qmp",
                    f"unix:{busy},server=on,wait=off"),
            refused("unknown option", "-kernel", GUEST, "-frobnicate"),
            refused("needs an argument", "-kernel"),
            refused("there are: virt", "-M", "pc"),
            refused("there are: ", "-cpu", "z80", "-kernel", GUEST),
            refused("there are: virtio-blk", "-kernel", GUEST, "-device",
                    "floppy"),
            refused("there is no drive or node 'd'", "-kernel", GUEST,
                    "-device", "virtio-blk-device,drive=d"),
            refused("unknown option 'color'", "-kernel", GUEST, "-device",
                    "virtio-blk-device,drive=d,color=red"),
            refused("memory size", "-m", "lots", "-kernel", GUEST),
            refused("at least 16 MiB", "-m", "1", "-kernel", GUEST),
            refused("at most", "-smp", "1000", "-kernel", GUEST),
            refused("unknown log item", "-d", "nothing", "-kernel", GUEST),
            refused("no guest"),
            refused("no guest", "-M", "e8c"),
            refused("there are: virt, virt-epic, e8c, e8c2, e2s, "
                    "e1c+, e12c, e16c, e2c3, none", "-M", "e9c"),
            refused("has no option 'color=red'", "-M", "e8c,color=red"),
            refused("machine 'e8c' has CPUs 'e8c', not 'e8c2'", "-M", "e8c",
                    "-cpu", "e8c2", "-kernel", GUEST),
            refused("machine 'e16c' has CPUs 'e16c', not 'e12c'", "-M",
                    "e16c", "-cpu", "e12c", "-kernel", GUEST),
            refused("machine 'e2c3' has at most 2 CPUs", "-M", "e2c3",
                    "-smp", "3", "-kernel", GUEST),
            refused("machine 'virt-epic' needs a CPU of ISA v6", "-M",
                    "virt-epic", "-cpu", "v5", "-kernel", GUEST),
            refused("there is no PCI bus 'port9'; there are: pci.0, port0",
                    "-M", "e8c", "-kernel", GUEST, "-device",
                    "virtio-rng-pci,bus=port9"),
            refused("there is no PCI bus 'pci.0'; there are: port0, port1",
                    "-M", "e16c", "-kernel", GUEST, "-device",
                    "virtio-rng-pci,bus=pci.0"),
            refused("PCI bus 'port0' has no free slot", "-M", "e16c",
                    "-kernel", GUEST, *["-device",
                    "virtio-rng-pci,bus=port0"] * 2),
            refused("has no free slot", "-M", "e16c", "-kernel", GUEST,
                    *["-device", "virtio-rng-pci"] * 5),
            refused("machine 'e8c' has at most 8 CPUs", "-M", "e8c", "-smp",
                    "9", "-kernel", GUEST),
            refused("machine 'e1c+' has at most 1 CPUs", "-M", "e1c+",
                    "-smp", "2", "-kernel", GUEST),
            refused("machine 'e8c' needs at least 16 MiB", "-M", "e8c", "-m",
                    "8", "-kernel", GUEST),
            refused("has no device tree", "-M", "e8c", "-kernel", GUEST,
                    "-dump-dtb", os.path.join(where, "tree")),
            refused("no virtio slots on its memory bus", "-M", "e8c",
                    "-kernel", GUEST, "-device", "virtio-rng-device"),
            refused("has no PCI bus", "-M", "none", "-device",
                    "virtio-rng-pci"),
            refused("has no SATA controller of its own", "-kernel", GUEST,
                    "-blockdev", "null-co,node-name=n,size=1M", "-device",
                    "ide-hd,drive=n"),
            refused("there is no SATA controller 'x'", "-kernel", GUEST,
                    "-blockdev", "null-co,node-name=n,size=1M", "-device",
                    "ide-hd,drive=n,bus=x.0"),
            refused("'ahci0' has no free port 7: there are 0..5", "-kernel",
                    GUEST, "-blockdev", "null-co,node-name=n,size=1M",
                    "-device", "ahci,id=ahci0", "-device",
                    "ide-hd,drive=n,bus=ahci0.7"),
            refused("already a device 'r'", "-kernel", GUEST, "-device",
                    "virtio-rng,id=r", "-device", "virtio-rng,id=r"),
            refused("no free virtio slot", "-kernel", GUEST,
                    *["-device", "virtio-rng-device"] * 17),
            refused("there are: user, stream", "-kernel", GUEST, "-netdev",
                    "tap,id=n"),
            refused("'id' is missing", "-kernel", GUEST, "-netdev", "user"),
            refused("unknown option 'color'", "-kernel", GUEST, "-netdev",
                    "user,id=n,color=red"),
            refused("cannot connect to", "-kernel", GUEST, "-netdev",
                    f"stream,id=n,addr.path={where}/nobody"),
            refused("there is no network 'n'", "-kernel", GUEST, "-device",
                    "virtio-net,netdev=n"),
            refused("not the address of a card", "-kernel", GUEST, "-netdev",
                    "user,id=n", "-device", "virtio-net,netdev=n,mac=1:2"),
            refused("file:PATH or unix:PATH", "-kernel", GUEST, "-device",
                    "virtio-console,path=tape:0"),
            refused("say path=FOLDER,mount_tag=NAME", "-kernel", GUEST,
                    "-device", "virtio-9p,path=/"),
            refused("cannot share", "-kernel", GUEST, "-device",
                    f"virtio-9p,path={where}/none,mount_tag=t"),
            refused("no writable qcow2 disk", "-loadvm", "monday"),
            refused("unknown migration address", "-incoming", "pigeon:1"),
            refused("say unix:PATH", "-incoming", "unix:"),
            refused("say unix:PATH", "-kernel", GUEST, "-gdb", "unix:"),
            refused("only stand in as=aarch64", "-kernel", GUEST, "-gdb",
                    "0,as=vax"),
            refused("exclude each other", "-incoming", "fd:0", "-loadvm",
                    "monday"),
            refused("end of stream", "-incoming", "exec:true"),
            refused("not the state of a machine", "-incoming",
                    "exec:yes hello"),
            refused("requires cache.direct=on", "-kernel", GUEST, "-drive",
                    f"file={where}/text,format=raw,aio=native"),
            refused("invalid aio option", "-kernel", GUEST, "-drive",
                    f"file={where}/text,format=raw,aio=x"),
            refused("unknown interface 'scsi'; there are: virtio, ide, none",
                    "-kernel", GUEST, "-drive", "if=scsi,file=x"),
            refused("'0' is not a memory size", "-m", "0", "-kernel", GUEST),
            refused("'32X' is not a memory size", "-m", "32X", "-kernel",
                    GUEST),
            refused("at most 64G", "-m", "1T", "-kernel", GUEST),
            refused("in whole MiB", "-m", "17.5", "-kernel", GUEST),
            refused("is not a number of CPUs", "-smp", "0", "-kernel", GUEST),
            refused("is not a number of CPUs", "-smp", "", "-kernel", GUEST),
            refused("is not a number of CPUs", "-smp", "2,cores=x",
                    "-kernel", GUEST),
            refused("the parts multiply to 3", "-smp", "2,cores=3",
                    "-kernel", GUEST),
            refused("there are: cpus, maxcpus, sockets", "-smp",
                    "2,boards=1", "-kernel", GUEST),
            refused("neither 'first' nor 'all'", "-smp-entry", "some",
                    "-kernel", GUEST),
            refused("there are: jit, interp", "-accel", "kvm", "-kernel",
                    GUEST),
            refused("unknown accelerator option 'no-such'", "-accel",
                    "jit,no-such", "-kernel", GUEST),
            refused("unknown CPU 'e8c,+foo'", "-cpu", "e8c,+foo", "-kernel",
                    GUEST),
            refused("has no option ''", "-M", "virt,", "-kernel", GUEST),
            refused("not a page-aligned address", "-kernel", GUEST,
                    "-raw-base", "1"),
            refused("guest memory ends at", "-m", "32", "-kernel",
                    put("raw", bytes(1 << 20)), "-raw-base", "0x1f00000"),
            refused("not a regular file", "-kernel", where),
            refused("not a regular file", "-kernel", "/dev/zero"),
            refused("not a regular file", "-kernel", GUEST, "-initrd",
                    where),
            refused("No such file", "-kernel", GUEST, "-initrd",
                    os.path.join(where, "missing")),
            refused("is too large", "-kernel", GUEST, "-dtb",
                    os.path.join(where, "raw")),
            refused("cannot write", "-kernel", GUEST, "-dump-dtb",
                    os.path.join(where, "missing", "tree")),
            refused("-append takes at most", "-kernel", GUEST, "-append",
                    "a" * 5000),
            refused("Parameter 'file' is missing", "-kernel", GUEST,
                    "-drive", "format=raw"),
            refused("Unknown driver 'zip'", "-kernel", GUEST, "-drive",
                    f"file={where}/raw,format=zip"),
            refused("Parameter 'color' is unexpected", "-kernel", GUEST,
                    "-drive", f"file={where}/raw,format=raw,color=red"),
            refused("already a device 'a'", "-kernel", GUEST,
                    *["-drive", f"file={where}/raw,format=raw,id=a"] * 2),
            refused("'node-name' must be specified", "-kernel", GUEST,
                    "-blockdev", f"driver=file,filename={where}/raw"),
            refused("JSON parse error", "-kernel", GUEST, "-blockdev",
                    '{"driver":'),
            refused("unknown device ''", "-kernel", GUEST, "-device", ""),
            refused("'id' is empty", "-kernel", GUEST, "-device",
                    "virtio-rng,id="),
            refused("'drive' is missing", "-kernel", GUEST, "-device",
                    "virtio-blk-device"),
            refused("there is no SCSI adapter x", "-kernel", GUEST,
                    "-blockdev", "null-co,node-name=n,size=1M", "-device",
                    "scsi-hd,drive=n,bus=x.0"),
            refused("no free place for scsi-id 256", "-kernel", GUEST,
                    "-device", "virtio-scsi", "-blockdev",
                    "null-co,node-name=n,size=1M", "-device",
                    "scsi-hd,drive=n,scsi-id=256"),
            refused("'num-queues' is 1..16", "-kernel", GUEST, "-blockdev",
                    "null-co,node-name=n,size=1M", "-device",
                    "virtio-blk-device,drive=n,num-queues=0"),
            refused("'ports' is 1..8", "-kernel", GUEST, "-device",
                    "ahci,ports=99"),
            refused("is not CONTROLLER.PORT", "-M", "e8c", "-kernel", GUEST,
                    "-blockdev", "null-co,node-name=n,size=1M", "-device",
                    "ide-hd,drive=n,bus=ide.x"),
            refused("'netdev' is missing", "-kernel", GUEST, "-device",
                    "virtio-net-device"),
            refused("there is already a network 'n'", "-kernel", GUEST,
                    *["-netdev", "user,id=n,restrict=on"] * 2),
            refused("'bogus' is not tcp|udp", "-kernel", GUEST, "-netdev",
                    "user,id=n,hostfwd=bogus"),
            refused("unknown target 'tape'", "-kernel", GUEST, "-serial",
                    "tape"),
            refused("No such file", "-kernel", GUEST, "-serial",
                    f"file:{where}/missing/console"),
            refused("Invalid monitor address 'bogus'", "-kernel", GUEST,
                    "-qmp", "bogus"),
            refused("invalid host/port", "-kernel", GUEST, "-qmp",
                    "tcp:127.0.0.1:99999,server=on,wait=off"),
            refused("Invalid monitor address", "-kernel", GUEST, "-monitor",
                    "bogus"),
            refused("is not unix:PATH", "-kernel", GUEST, "-qtest", "bogus"),
            refused('chardev "none" not found', "-kernel", GUEST, "-mon",
                    "chardev=none"),
            refused("is not PORT, tcp:[HOST]:PORT or unix:PATH", "-kernel",
                    GUEST, "-gdb", "bogus"),
            refused("is not PORT, tcp:[HOST]:PORT or unix:PATH", "-kernel",
                    GUEST, "-gdb", "tcp::99999"),
            refused("cannot listen for gdb", "-kernel", GUEST, "-gdb",
                    f"unix:{where}/missing/gdb"),
            refused("cannot open log file", "-kernel", GUEST, "-D",
                    f"{where}/missing/log"),
            refused("'' is no log item", "-kernel", GUEST, "-d", ""),
            refused("-pidfile: cannot write", "-kernel", GUEST, "-pidfile",
                    f"{where}/missing/pid"),
            refused("Could not open 'extra'", "-kernel", GUEST, "extra"),
            refused("machine 'none' has no CPU to run", "-M", "none",
                    "-kernel", GUEST),
            refused("not HOST:PORT", "-incoming", "tcp:nohost:1"),
            listed("virt", "-M", "help"),
            listed("e8c", "-cpu", "help"),
            listed("virtio-blk", "-M", "none", "-device", "help"),
            listed("guest_errors", "-d", "help"),
            listed("-kernel", "-help"),
            listed("e2k-system", "-version"),
        ]
        listener.close()
        left = sorted(set(os.listdir(where)) -
                      {"text", "short", "header", "empty", "x86", "v6", "v99",
                       "busy.sock", "large", "initrd", "raw"})
        if left:
            print("left behind:", left)
            results.append(False)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
