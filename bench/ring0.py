# SPDX-License-Identifier: GPL-2.0-only
"""`make bench-ring0`: what guests in ring 0 cost, against the same C programs run natively.

Instructions per operation, under QEMU's -icount in a machine with Linux 6.1; equal from run to
run. String instructions count per 8 bytes or so (no erms). nginx is Debian's own against the guest
built from the same source; its split by address comes from a plugin of QEMU (ring0/split.c). Wall
times under plain TCG, interleaved, beside them with --wall; memory per idle guest with --memory; how
long it takes from power-on to a page served from ring 0, and insmod alone, with --start.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from build_guests import Builder  # noqa: E402
from guest_cache import default_root  # noqa: E402

from pywasmjit import kbuild, launch  # noqa: E402
from pywasmjit.vm import counted, packages  # noqa: E402
from pywasmjit.vm.machine import Machine  # noqa: E402

HERE = Path(__file__).with_name("ring0")
LAUNCHER = ROOT / "build" / "pywasmjit-launch"
# Operation -> how often.
OPS = {
    **{"getpid": 20000, "null": 20000, "self1": 5000, "self4k": 2000},
    **{"pingpong": 2000, "tcp": 1000, "fork": 40},
}
FILTERED = ("getpid", "null")  # these also under a seccomp filter
WALL_ROUNDS = 7
REQUESTS = {"1 KiB": ("/1k", 400), "100 KiB": ("/100k", 100)}
NGINX_CONFIGURATION = """\
daemon off;
master_process off;
pid /tmp/nginx.pid;
error_log stderr crit;
events { worker_connections 64; }
http {
    client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
    access_log off; sendfile on; keepalive_requests 1000000;
    server { listen 127.0.0.1:8080; root /srv; }
}
"""
START_NGINX = """\
{command} -c /etc/nginx.conf -p /tmp -e /tmp/error.log >/tmp/nginx.out 2>&1 &
pid=$!
tries=0
until /ops client 8080 /1k 1 $pid >/tmp/first 2>&1; do
    tries=$((tries + 1)); [ $tries -lt 200 ] || {{ cat /tmp/first /tmp/nginx.out; exit 1; }}
    sleep 0.1
done
"""


@dataclass(frozen=True)
class Programs:
    """What runs in the machines: host files."""

    native: Path
    image: Path
    nginx: Path
    nginx_wasm: Path
    nginx_image: Path
    module: Path
    bare: Path
    plugin: Path

    def files(self) -> dict[str, Path]:
        return {
            "/ops": self.native,
            "/ops.img": self.image,
            "/launch": LAUNCHER,
            **counted.program_files(self.nginx),
            "/nginx.img": self.nginx_image,
            "/nginx.wasm": self.nginx_wasm,
        }


def compile_all(builder: Builder, work: Path) -> Programs:
    subprocess.run(["make", "-s", "launcher"], cwd=ROOT, check=True, stdout=sys.stderr)
    source = HERE / "ops.c"
    native, plugin, wasm = work / "ops", work / "split.so", work / "ops.wasm"
    subprocess.run(["gcc", "-O2", "-static", "-D_GNU_SOURCE", "-o", native, source], check=True)
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", plugin, HERE / "split.c"], check=True)
    emcc = builder.result("overlay") / "bin" / "emcc-posix"
    command = [emcc, "-O2", "-D_GNU_SOURCE", source, "-o", work / "ops.js"]
    subprocess.run(command, check=True, stdout=sys.stderr)
    nginx_wasm = next(builder.result("nginx").glob("*.wasm"))
    images = []
    for path in (wasm, nginx_wasm):
        images.append(work / f"{path.stem}.img")
        images[-1].write_bytes(launch.lower(path.read_bytes(), lambda text: None))
    headers = packages.kernel().headers
    module = kbuild.build_module(headers)
    bare = kbuild.build_module(headers, "bare.ko", source=HERE, paths=("Kbuild", "bare.c"))
    return Programs(native, images[0], Path("/usr/sbin/nginx"), nginx_wasm, images[1], module, bare, plugin)


def guest(name: str) -> str:
    return f"/launch --host=kernel --image=/{name}.img --wasm=/{name}.wasm -- {name}"


def count(
    programs: Programs, command: str, files: dict[str, Path], plugin: str | None = None
) -> counted.Counted:
    result = counted.run_counted(
        command, files=files, modules=[programs.bare, programs.module], plugin=plugin, timeout=1200
    )
    if result.status:
        raise SystemExit(f"in the machine: status {result.status}\n{result.output}")
    return result


def numbers(text: str) -> dict[str, float]:
    """Lines "name number"."""
    return {name: float(value) for name, value in re.findall(r"^(\w+) ([\d.]+)$", text, re.MULTILINE)}


def count_ops(programs: Programs) -> str:
    """Print instructions per operation; return where the module is (for split_ranges)."""
    runs = []
    for command in ("/ops", guest("ops")):
        runs += [f"echo === {command[:4]}", *(f"{command} {op} {n} || exit" for op, n in OPS.items())]
        runs += [f"echo === {command[:4]} filtered"]
        runs += [f"/ops filter {command} {op} {OPS[op]} || exit" for op in FILTERED]
    script = "; ".join(
        ["exec 5>/dev/null", *runs, "echo === bare", "cat /proc/bare"]
        + ["echo === symbols", "grep ' wj_pool\\b' /proc/kallsyms", "grep '^wasm ' /proc/modules"]
    )
    output = count(programs, script, programs.files()).output
    parts = dict(part.split("\n", 1) for part in output.split("=== ")[1:])
    native, ring0, bare = (numbers(parts[name]) for name in ("/ops", "/lau", "bare"))
    for numbers_of, name in ((native, "/ops"), (ring0, "/lau")):
        filtered = numbers(parts[f"{name} filtered"])
        numbers_of.update({f"{op}, filtered": filtered[op] for op in FILTERED})
    title = f"{'instructions per operation':28} {'native':>10} {'ring 0':>10} {'ratio':>6}"
    print(f"{title}   of it the kernel's function")
    for op in native:
        line = f"{op:28} {native[op]:10.0f} {ring0[op]:10.0f} {native[op] / ring0[op]:6.2f}"
        if op in bare:
            added = f"ring 0 adds {ring0[op] - bare[op]:.0f}, native {native[op] - bare[op]:.0f}"
            line += f"   {bare[op]:6.0f}: {added}"
        print(line)
    return parts["symbols"]


def split_ranges(symbols: str) -> str:
    """Arguments of split.c: user space, guest code, the rest of the module; else the kernel."""
    pool = int(symbols.split()[0], 16)
    _, size, *_, base = (word for word in symbols.splitlines()[1].split() if not word.startswith("("))
    start = int(base, 16)
    return ",".join(
        [
            "user=0:800000000000",
            f"guest={pool:x}:{pool + (8 << 20):x}",
            f"module={start:x}:{start + int(size):x}",
        ]
    )


def count_nginx(programs: Programs, symbols: str) -> None:
    work = programs.native.parent
    files = programs.files()
    for name, content in (
        ("nginx.conf", NGINX_CONFIGURATION),
        ("passwd", "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"),
        ("group", "root:x:0:\nnogroup:x:65534:\n"),
    ):
        (work / name).write_text(content)
        files[f"/etc/{name}"] = work / name
    for name, size in (("1k", 1 << 10), ("100k", 100 << 10)):
        (work / name).write_bytes(b"0123456789abcde\n" * (size // 16))
        files[f"/srv/{name}"] = work / name
    script = ""
    for command in (str(programs.nginx), guest("nginx")):
        script += START_NGINX.format(command=command)
        for path, n in REQUESTS.values():
            script += f"/ops client 8080 {path} {n} $pid || exit\n"
        script += "kill $pid; wait $pid\n"
    result = count(programs, script, files, plugin=f"{programs.plugin},{split_ranges(symbols)}")
    marks = [
        dict(zip(words[1::2], map(int, words[2::2]), strict=True))
        for words in (line.split() for line in result.plugin_output.splitlines())
        if words[:1] == ["split"]
    ]
    # Each client marks begin and end, also the first one, which waits for the server.
    marks = marks[2:6] + marks[8:12]
    pairs = [(marks[i], marks[i + 1]) for i in range(0, len(marks), 2)]
    found = re.findall(r"^all ([\d.]+) server ([\d.]+)$", result.output, re.MULTILINE)
    title = f"{'nginx, one request':18} {'server':>10} {'all':>10}"
    print(f"\n{title}   split of all: user, guest code, module, kernel")
    server = {}
    for i, (where, (size, (_, n))) in enumerate(
        (where, item) for where in ("native", "ring 0") for item in REQUESTS.items()
    ):
        begin, end = pairs[i]
        split = [(end[name] - begin[name]) / n for name in ("user", "guest", "module", "other")]
        server[where, size] = float(found[i][1])
        line = f"{size:8} {where:9} {found[i][1]:>10} {found[i][0]:>10}"
        print(f"{line}   {' '.join(f'{part:8.0f}' for part in split)}")
    for size in REQUESTS:
        print(f"{size:8} native / ring 0, server: {server['native', size] / server['ring 0', size]:.2f}")


def wall(programs: Programs) -> None:
    """Nanoseconds per operation of the host's clock, interleaved, medians."""
    with Machine(lifetime=3600) as machine:
        _put(machine, programs)
        taken: dict[tuple[str, str], list[float]] = {}
        for _ in range(WALL_ROUNDS):
            for op, n in OPS.items():
                for command in ("/ops", guest("ops")):
                    text = machine.run(f"{command} {op} {n}", timeout=300, check=True).text
                    taken.setdefault((op, command), []).append(numbers(text)[op])
    print(f"\n{'wall clock under TCG, ns':28} {'native':>10} {'ring 0':>10} {'ratio':>6}")
    for op in OPS:
        native, ring0 = (statistics.median(taken[op, command]) for command in ("/ops", guest("ops")))
        print(f"{op:28} {native:10.0f} {ring0:10.0f} {native / ring0:6.2f}")


def _put(machine: Machine, programs: Programs) -> None:
    for path, name in ((programs.native, "ops"), (programs.image, "ops.img"), (LAUNCHER, "launch")):
        machine.run(f"mv {machine.copy_in(path)} /{name}", check=True)
    machine.run(f"insmod {machine.copy_in(programs.module)}", check=True)


def memory(programs: Programs) -> None:
    """What an idle process more takes of the machine's memory."""
    many = 20
    with Machine(lifetime=1800) as machine:
        _put(machine, programs)
        print()
        for what, command in (("native", "/ops"), ("ring 0", guest("ops"))):
            available = []
            for _ in range(many + 1):
                machine.popen(f"exec {command} idle").wait_for_output("idle")
                machine.run("echo 3 > /proc/sys/vm/drop_caches", check=True)
                text = machine.run("sync; cat /proc/meminfo", check=True).text
                match = re.search(r"MemAvailable: +(\d+)", text)
                assert match
                available.append(int(match[1]))
            # The first one also loads what all share.
            print(f"memory of an idle process, {what}: {(available[0] - available[-1]) / many:.0f} KiB")


def start(programs: Programs) -> None:
    """Seconds from power-on, and of insmod alone; the clock is the host's."""
    work = programs.native.parent
    boots, modules, pages = [], [], []
    for _ in range(3):
        begin = time.monotonic()
        with Machine(lifetime=600) as machine:
            boots.append(time.monotonic() - begin)
            for path, target in (
                *((path, target) for target, path in programs.files().items()),
                (work / "nginx.conf", "/etc/nginx.conf"),
                (work / "1k", "/srv/1k"),
                (work / "passwd", "/etc/passwd"),
                (work / "group", "/etc/group"),
            ):
                if path.is_file() and target.split("/")[1] not in ("usr", "lib", "lib64"):
                    copied = machine.copy_in(path)
                    machine.run(f"mkdir -p {os.path.dirname(target)}; mv {copied} {target}", check=True)
            module = machine.copy_in(programs.module)
            begin = time.monotonic()
            machine.run(f"insmod {module}", check=True)
            modules.append(time.monotonic() - begin)
            machine.run(START_NGINX.format(command=guest("nginx")), timeout=120, check=True)
            pages.append(time.monotonic() - begin)
    print(
        f"\nboot {statistics.median(boots):.1f} s, insmod {statistics.median(modules):.2f} s,"
        f" from insmod to the first page {statistics.median(pages):.2f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("wall", "memory", "start"):
        parser.add_argument(f"--{name}", action="store_true")
    arguments = parser.parse_args()
    builder = Builder(default_root(), os.cpu_count() or 1, lambda line: print(line, file=sys.stderr))
    with tempfile.TemporaryDirectory(prefix="bench-ring0-") as name:
        programs = compile_all(builder, Path(name))
        symbols = count_ops(programs)
        count_nginx(programs, symbols)
        if arguments.wall:
            wall(programs)
        if arguments.memory:
            memory(programs)
        if arguments.start:
            start(programs)


if __name__ == "__main__":
    main()
