# SPDX-License-Identifier: GPL-2.0-only
"""How each guest is built.  Data first, then one function for each kind of guest."""

from __future__ import annotations

import shlex
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from debian_source import SourcePackage, SourceStore
from emscripten_env import clang_compile_command
from guest_toolchain import (
    PLAIN_COMPILE_FLAGS,
    POSIX_COMPILE_FLAGS,
    ROOT,
    SERVER_LINK_FLAGS,
    BuildError,
    Overlay,
    Toolchain,
)
from import_table import load_table

NGINX: Final = SourcePackage("nginx", "1.22.1")
PCRE2: Final = SourcePackage("pcre2", "10.42")
ZLIB: Final = SourcePackage("zlib", "1.2.13")
LUA: Final = SourcePackage("lua5.4", "5.4.4")
SQLITE: Final = SourcePackage("sqlite3", "3.40.1")

PCRE2_SOURCES: Final = """
auto_possess chartables compile config context convert dfa_match error extuni find_bracket
jit_compile maketables match match_data newline ord2utf pattern_info script_run serialize
string_utils study substitute substring tables ucd valid_utf xclass
""".split()

ZLIB_SOURCES: Final = """
adler32 compress crc32 deflate gzclose gzlib gzread gzwrite infback inffast inflate inftrees trees
uncompr zutil
""".split()

# Debian's own, without what needs OpenSSL, threads, dlopen or a library that
# is not built here, and with the modules that Debian loads at run time built in.
NGINX_PATHS: Final = (
    "--prefix=/usr/share/nginx",
    "--conf-path=/etc/nginx/nginx.conf",
    "--http-log-path=/var/log/nginx/access.log",
    "--error-log-path=stderr",
    "--lock-path=/var/lock/nginx.lock",
    "--pid-path=/run/nginx.pid",
    "--http-client-body-temp-path=/var/lib/nginx/body",
    "--http-fastcgi-temp-path=/var/lib/nginx/fastcgi",
    "--http-proxy-temp-path=/var/lib/nginx/proxy",
    "--http-scgi-temp-path=/var/lib/nginx/scgi",
    "--http-uwsgi-temp-path=/var/lib/nginx/uwsgi",
)
NGINX_MODULES: Final = (
    "--with-http_stub_status_module",
    "--with-http_realip_module",
    "--with-http_auth_request_module",
    "--with-http_v2_module",
    "--with-http_dav_module",
    "--with-http_slice_module",
    "--with-http_addition_module",
    "--with-http_flv_module",
    "--with-http_gunzip_module",
    "--with-http_gzip_static_module",
    "--with-http_mp4_module",
    "--with-http_random_index_module",
    "--with-http_secure_link_module",
    "--with-http_sub_module",
    "--with-mail",
    "--with-stream",
    "--with-stream_realip_module",
    "--with-stream_ssl_preread_module",
)
# initgroups and sigsuspend exist in no library of Emscripten's; without this
# the link fails, with it they are imports that no host knows.
# Without the first switch Emscripten links a setsockopt that always fails: no server could listen.
NGINX_PLAIN_LINK_FLAGS: Final = (
    *SERVER_LINK_FLAGS, "-sALLOW_UNIMPLEMENTED_SYSCALLS=0", "-sERROR_ON_UNDEFINED_SYMBOLS=0",
)  # fmt: skip
NGINX_PLAIN_OPTIONS: Final = ("--without-http_rewrite_module", "--without-http_gzip_module")

SQLITE_OPTIONS: Final = """
SQLITE_SECURE_DELETE SQLITE_ENABLE_COLUMN_METADATA SQLITE_ENABLE_FTS3
SQLITE_ENABLE_FTS3_PARENTHESIS SQLITE_ENABLE_RTREE=1 SQLITE_SOUNDEX=1 SQLITE_OMIT_LOOKASIDE=1
SQLITE_ENABLE_DBSTAT_VTAB SQLITE_ALLOW_ROWID_IN_VIEW SQLITE_ENABLE_UPDATE_DELETE_LIMIT=1
SQLITE_ENABLE_JSON1 SQLITE_LIKE_DOESNT_MATCH_BLOBS SQLITE_THREADSAFE=0
SQLITE_ENABLE_FTS3_TOKENIZER=1 SQLITE_USE_URI=1 SQLITE_MAX_SCHEMA_RETRY=25
SQLITE_ENABLE_PREUPDATE_HOOK SQLITE_ENABLE_SESSION SQLITE_ENABLE_STMTVTAB
SQLITE_MAX_VARIABLE_NUMBER=250000 SQLITE_OMIT_LOAD_EXTENSION SQLITE_ENABLE_FTS4
SQLITE_ENABLE_EXPLAIN_COMMENTS SQLITE_ENABLE_UNKNOWN_SQL_FUNCTION SQLITE_ENABLE_STMT_SCANSTATUS
SQLITE_ENABLE_DBPAGE_VTAB SQLITE_ENABLE_OFFSET_SQL_FUNC
HAVE_USLEEP=1 HAVE_FDATASYNC=1 HAVE_MREMAP=0
""".split()

LUA_DEFINES: Final = ("-DLUA_COMPAT_5_3", "-DLUA_USE_POSIX")


@dataclass(frozen=True)
class Context:
    """What a build function gets.

    work: a directory of its own; out: what remains; needs: the result
    directories of the recipes it names; report: says what happens now.
    """

    work: Path
    out: Path
    needs: Mapping[str, Path]
    store: SourceStore
    toolchain: Toolchain
    report: Callable[[str], None]

    @property
    def overlay(self) -> Overlay:
        return Overlay(self.needs["overlay"])

    def unpack(self, package: SourcePackage) -> Path:
        self.report(f"unpacking {package.name}")
        return self.store.unpack(package, self.work / package.name)

    def prefix_map(self) -> str:
        """Keeps the name of the work directory out of the module."""
        return f"-ffile-prefix-map={self.work}=."


@dataclass(frozen=True)
class Recipe:
    """inputs: glob patterns below the repository; they and what `settings` answers decide the key."""

    name: str
    summary: str
    build: Callable[[Context], None]
    needs: tuple[str, ...] = ()
    sources: tuple[SourcePackage, ...] = ()
    inputs: tuple[str, ...] = ()
    settings: Callable[[], str] = str


def build_overlay(context: Context) -> None:
    guest = ROOT / "guest"
    context.report("compiling the overlay")
    flags = [
        *POSIX_COMPILE_FLAGS, "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
        "-I", str(guest), "-isystem", str(guest / "include"),
        f"-ffile-prefix-map={guest}=guest", context.prefix_map(),
    ]  # fmt: skip
    sources = sorted((guest / "src").glob("*.c"))
    objects = context.toolchain.compile(sources, context.work / "objects", flags, guest)
    library = context.out / "lib"
    library.mkdir()
    first = [path for path in objects if path.stem == "table_start"]
    context.toolchain.archive([path for path in objects if path not in first], library / "libwjposix.a")
    shutil.copy(first[0], library / "table_start.o")
    shutil.copy(guest / "wjposix.js", library)
    shutil.copytree(guest / "include", context.out / "include")
    (context.out / "bin").mkdir()
    shutil.copy(guest / "emcc-posix", context.out / "bin")


def build_pcre2(context: Context) -> None:
    """As NON-AUTOTOOLS-BUILD of the package says."""
    source = context.unpack(PCRE2) / "src"
    shutil.copy(source / "config.h.generic", source / "config.h")
    shutil.copy(source / "pcre2.h.generic", source / "pcre2.h")
    shutil.copy(source / "pcre2_chartables.c.dist", source / "pcre2_chartables.c")
    context.report("compiling PCRE2")
    names = [source / f"pcre2_{name}.c" for name in PCRE2_SOURCES]
    flags = [
        *POSIX_COMPILE_FLAGS, "-DHAVE_CONFIG_H", "-DPCRE2_CODE_UNIT_WIDTH=8", "-DSUPPORT_UNICODE",
        "-DHAVE_MEMMOVE", "-I", str(source), "-w", context.prefix_map(),
    ]  # fmt: skip
    objects = context.toolchain.compile(names, context.work / "objects", flags, source)
    (context.out / "lib").mkdir()
    context.toolchain.archive(objects, context.out / "lib" / "libpcre2-8.a")
    (context.out / "include").mkdir()
    shutil.copy(source / "pcre2.h", context.out / "include")


def build_zlib(context: Context) -> None:
    source = context.unpack(ZLIB)
    context.report("compiling zlib")
    flags = [
        *POSIX_COMPILE_FLAGS, "-DHAVE_UNISTD_H", "-DHAVE_STDARG_H", "-D_LARGEFILE64_SOURCE=1",
        "-DHAVE_HIDDEN", "-w", context.prefix_map(),
    ]  # fmt: skip
    names = [source / f"{name}.c" for name in ZLIB_SOURCES]
    objects = context.toolchain.compile(names, context.work / "objects", flags, source)
    (context.out / "lib").mkdir()
    context.toolchain.archive(objects, context.out / "lib" / "libz.a")
    (context.out / "include").mkdir()
    for header in ("zlib.h", "zconf.h"):
        shutil.copy(source / header, context.out / "include")


# Runs the program of a configure test: the imports do nothing, and that works.
RUNNER: Final = r"""
const fs = require('fs');
const code = new WebAssembly.Module(fs.readFileSync(process.argv[2]));
let memory;
function fd_write(fd, vectors, count, written) {
  const view = new DataView(memory.buffer);
  let total = 0;
  for (let i = 0; i < count; i++) {
    const start = view.getUint32(vectors + 8 * i, true);
    const length = view.getUint32(vectors + 8 * i + 4, true);
    if (length) fs.writeSync(fd, new Uint8Array(memory.buffer, start, length));
    total += length;
  }
  view.setUint32(written, total, true);
  return 0;
}
const imports = {};
for (const wanted of WebAssembly.Module.imports(code)) {
  imports[wanted.module] = imports[wanted.module] || {};
  imports[wanted.module][wanted.name] =
    wanted.name === 'fd_write' ? fd_write :
    wanted.name === 'proc_exit' ? (status) => process.exit(status) : () => 0;
}
const exported = new WebAssembly.Instance(code, imports).exports;
memory = exported.memory;
exported.__wasm_call_ctors();
const status = exported.main(0, 0);
exported.fflush(0);
process.exit(status);
"""

# CC for nginx's configure and make.  Compiling is clang as emcc would call it.
# A test program is linked without emcc, against the same libraries and with the
# same names allowed to be undefined; the program itself is left to emcc, so
# only what to link is written down.
COMPILER_SCRIPT: Final = r"""#!/bin/sh
compile={compile}
output=a.out
previous=
for argument; do
	case $argument in
	-c | -E | -S | -M | -MM | -v | --version) exec $compile "$@" ;;
	esac
	[ "$previous" = -o ] && output=$argument
	previous=$argument
done
if [ "$WJ_RECORD_LINK" ]; then
	for argument; do
		printf '%s\n' "$argument"
	done > "$WJ_RECORD_LINK"
	: > "$output"
	exit 0
fi
$compile -nostdlib "$@" {link} -o "$output.wasm" || exit
printf '#!/bin/sh\nexec node %s "$0.wasm"\n' {runner} > "$output"
chmod +x "$output"
"""


def write_compiler(context: Context, overlay: Overlay | None) -> Path:
    """Write CC for configure to the work directory."""
    runner = context.work / "runner.cjs"
    runner.write_text(RUNNER)
    allowed = context.work / "undefined.txt"
    origins = ("LIBC",) if overlay is None else ("LIBC", "STUB", "OVERLAY")
    names = {entry.name for entry in load_table() if entry.origin in origins}
    allowed.write_text("".join(f"{name}\n" for name in sorted(names)))
    compile_command = clang_compile_command()
    link = [
        "-Wl,--no-entry", "-Wl,--export=main", "-Wl,--export=fflush",
        "-Wl,--export=__wasm_call_ctors", "-Wl,--initial-memory=16777216",
        f"-Wl,--allow-undefined-file={allowed}",
    ]  # fmt: skip
    if overlay is not None:
        compile_command += overlay.compile_flags
        link += [str(overlay.library)]
    sysroot = Path("/usr/share/emscripten/cache/sysroot/lib/wasm32-emscripten")
    libraries = ["stubs"] if overlay is None else []
    libraries += ["c", "dlmalloc", "compiler_rt", "sockets"]
    link += [str(sysroot / f"lib{library}.a") for library in libraries]
    script = context.work / "wjcc"
    script.write_text(
        COMPILER_SCRIPT.replace("{compile}", shlex.quote(shlex.join(compile_command)))
        .replace("{link}", shlex.join(link))
        .replace("{runner}", shlex.quote(str(runner)))
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def nginx_link_inputs(recorded: str) -> list[str]:
    """Objects and libraries of nginx's own link command, from one argument a line.

    Leaves out the output and -Wl,-E, which would export every function.
    """
    inputs = []
    arguments = iter(recorded.splitlines())
    for argument in arguments:
        if argument == "-o":
            next(arguments)
        elif argument != "-Wl,-E":
            inputs.append(argument)
    return inputs


def build_nginx_with(
    context: Context,
    name: str,
    compiler: Path,
    options: Sequence[str],
    compile_flags: Sequence[str],
    link_flags: Sequence[str] = (),
    overlay: Overlay | None = None,
) -> None:
    """Build NAME.wasm; `compiler`: CC in the work directory, as write_compiler makes it."""
    source = context.unpack(NGINX)
    # `nginx -V` shows what configure was called with: no absolute path.
    dependencies = [need for need in context.needs if need != "overlay"]
    for need in dependencies:
        (context.work / f"lib{need}").symlink_to(context.needs[need])
    libraries = [f"-L../lib{need}/lib" for need in dependencies]
    cc_options = [
        *compile_flags, "-Wno-sign-compare",
        *(f"-I../lib{need}/include" for need in dependencies),
    ]  # fmt: skip
    context.report("configuring nginx")
    context.toolchain.run(
        [
            "./configure",
            f"--with-cc=../{compiler.name}",
            "--crossbuild=Linux:5.10.0:wasm32",
            "--builddir=objs",
            f"--with-cc-opt={' '.join(cc_options)}",
            f"--with-ld-opt={' '.join(libraries)}",
            *options,
        ],
        source,
    )
    context.report("compiling nginx")
    recorded = context.work / "link.txt"
    context.toolchain.run(
        ["make", f"-j{context.toolchain.jobs}", "-f", "objs/Makefile", "objs/nginx"],
        source,
        {"WJ_RECORD_LINK": str(recorded)},
    )
    context.report("linking nginx")
    inputs = nginx_link_inputs(recorded.read_text())
    context.toolchain.link(inputs, context.out / f"{name}.wasm", source, overlay, link_flags)
    # For those who want to know what configure found.
    shutil.copy(source / "objs" / "ngx_auto_config.h", context.out)
    shutil.copytree(source / "conf", context.out / "conf")
    shutil.copytree(source / "html" if (source / "html").is_dir() else source / "docs" / "html",
                    context.out / "html")  # fmt: skip


def build_nginx(context: Context) -> None:
    compiler = write_compiler(context, context.overlay)
    options = [*NGINX_PATHS, *NGINX_MODULES]
    build_nginx_with(context, "nginx", compiler, options, POSIX_COMPILE_FLAGS, overlay=context.overlay)


def build_nginx_plain(context: Context) -> None:
    options = [*NGINX_PATHS, *NGINX_PLAIN_OPTIONS]
    compiler = write_compiler(context, None)
    build_nginx_with(context, "nginx-plain", compiler, options, PLAIN_COMPILE_FLAGS, NGINX_PLAIN_LINK_FLAGS)


def build_lua(context: Context) -> None:
    source = context.unpack(LUA) / "src"
    # Debian's build writes this header; it is where C modules would be.
    (source / "lua5.4-deb-multiarch.h").write_text('#define DEB_HOST_MULTIARCH "wasm32-emscripten"\n')
    context.report("compiling Lua")
    names = [path for path in sorted(source.glob("*.c")) if path.name != "luac.c"]
    flags = [
        *POSIX_COMPILE_FLAGS, *LUA_DEFINES, "-std=gnu99", context.prefix_map(),
        *context.overlay.compile_flags,
    ]  # fmt: skip
    objects = context.toolchain.compile(names, context.work / "objects", flags, source)
    context.report("linking Lua")
    context.toolchain.link(
        [str(path) for path in objects], context.out / "lua.wasm", context.work, context.overlay
    )


def build_sqlite3(context: Context) -> None:
    source = context.unpack(SQLITE)
    generated = context.work / "generated"
    generated.mkdir()
    context.report("putting SQLite's source into one file")
    context.toolchain.run(
        [
            "make", "-f", str(source / "main.mk"), f"TOP={source}", "BCC=gcc -O1", "BEXE=",
            "NAWK=awk", "OPTS=-DSQLITE_ENABLE_UPDATE_DELETE_LIMIT=1", "sqlite3.c", "shell.c",
        ],
        generated,
    )  # fmt: skip
    context.report("compiling SQLite")
    flags = [
        *POSIX_COMPILE_FLAGS, "-fno-strict-aliasing", "-I", str(generated), "-w",
        *(f"-D{option}" for option in SQLITE_OPTIONS), context.prefix_map(),
        *context.overlay.compile_flags,
    ]  # fmt: skip
    names = [generated / "sqlite3.c", generated / "shell.c"]
    objects = context.toolchain.compile(names, context.work / "objects", flags, generated)
    context.report("linking SQLite")
    context.toolchain.link(
        [str(path) for path in objects],
        context.out / "sqlite3.wasm",
        context.work,
        context.overlay,
    )


def build_hello(context: Context) -> None:
    """What everybody tries first: emcc -O2 hello.c, no other flags."""
    context.report("building hello")
    source = ROOT / "tests" / "guests" / "hello.c"
    script = context.work / "hello.js"
    context.toolchain.run(["emcc", "-O2", "--profiling-funcs", str(source), "-o", str(script)], context.work)
    shutil.copy(script.with_suffix(".wasm"), context.out / "hello.wasm")


def test_program(name: str) -> Recipe:
    """The recipe of tests/guests/<name>.c, linked with the overlay."""

    def build(context: Context) -> None:
        context.report(f"building {name}")
        source = ROOT / "tests" / "guests" / f"{name}.c"
        flags = [
            *POSIX_COMPILE_FLAGS, "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
            "-Wno-sign-compare",  # musl's CMSG_NXTHDR
            f"-ffile-prefix-map={ROOT}=.", context.prefix_map(), *context.overlay.compile_flags,
        ]  # fmt: skip
        objects = context.toolchain.compile([source], context.work, flags, source.parent)
        module = context.out / f"{name}.wasm"
        # -O1 takes a quarter of the time of -O2, and there are many of these.
        context.toolchain.link([str(objects[0])], module, context.work, context.overlay, level="-O1")

    return Recipe(
        name,
        "test program",
        build,
        needs=("overlay",),
        inputs=(f"tests/guests/{name}.c", "tests/guests/*.h"),
    )


# Also built without the overlay: what Emscripten's libc leaves to every host.
PLAIN_PROGRAMS: Final = ("resolve", "startup", "timefmt")


def plain_program(name: str) -> Recipe:
    """The recipe of tests/guests/<name>.c straight from emcc, as <name>-plain."""

    def build(context: Context) -> None:
        context.report(f"building {name} without the overlay")
        source = ROOT / "tests" / "guests" / f"{name}.c"
        flags = [*PLAIN_COMPILE_FLAGS, "-std=gnu11", "-D_GNU_SOURCE", f"-ffile-prefix-map={ROOT}=."]
        objects = context.toolchain.compile([source], context.work, flags, source.parent)
        module = context.out / f"{name}-plain.wasm"
        context.toolchain.link([str(objects[0])], module, context.work, None, SERVER_LINK_FLAGS, level="-O1")

    return Recipe(
        f"{name}-plain",
        "test program without the overlay",
        build,
        inputs=(f"tests/guests/{name}.c", "tests/guests/*.h"),
    )


def program_names() -> list[str]:
    return sorted(path.stem for path in (ROOT / "tests" / "guests").glob("*.c") if path.stem != "hello")


def all_recipes() -> dict[str, Recipe]:
    from emscripten_trixie import trixie_recipes  # which need what is above
    from wasi_recipes import wasi_recipes

    recipes = [
        Recipe(
            "overlay",
            "the POSIX overlay that the others are linked with",
            build_overlay,
            inputs=("guest/**/*.c", "guest/**/*.h", "guest/*.js", "guest/emcc-posix"),
        ),
        Recipe("pcre2", "PCRE2, for nginx", build_pcre2, sources=(PCRE2,)),
        Recipe("zlib", "zlib, for nginx", build_zlib, sources=(ZLIB,)),
        Recipe(
            "nginx",
            "nginx as Debian configures it, without TLS and threads",
            build_nginx,
            needs=("overlay", "pcre2", "zlib"),
            sources=(NGINX,),
        ),
        Recipe(
            "nginx-plain",
            "a small nginx, straight from emcc, most of POSIX fake",
            build_nginx_plain,
            sources=(NGINX,),
        ),
        Recipe("lua", "the Lua shell", build_lua, needs=("overlay",), sources=(LUA,)),
        Recipe("sqlite3", "the SQLite shell", build_sqlite3, ("overlay",), (SQLITE,)),
        Recipe(
            "hello", "hello world, straight from emcc", build_hello, inputs=("tests/guests/hello.c",)
        ),  # fmt: skip
        *map(test_program, program_names()),
        *map(plain_program, PLAIN_PROGRAMS),
        *wasi_recipes(),
        *trixie_recipes(),
    ]
    return {recipe.name: recipe for recipe in recipes}


__all__ = ["BuildError", "Context", "Recipe", "all_recipes", "program_names"]
