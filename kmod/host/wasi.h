/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * WASI preview 1, for programs that C, Rust and Go compilers made for it: what wasi*.c share.
 *
 * A program sees only what it was given.  Its descriptors are indices of a table of its own; each
 * slot has the native descriptor and the rights of WASI.  Paths are resolved beneath a directory
 * by openat2(RESOLVE_BENEATH): the kernel itself refuses what leads out of it, races included.
 *
 * Programs built with Emscripten import a few of the same names and mean native descriptors:
 * imports.def has those.  wj_process_bind decides for a whole module which of the two it is.
 */
#ifndef WJ_WASI_H
#define WJ_WASI_H

#include "host.h"
#include "abi_wasi.h"

/* Errors that Linux has no number for: beyond all native ones. */
#define WJ_ENOTCAPABLE 4001

#define RIGHT(name) (u64)WJ_WASI_RIGHTS_##name

struct wj_wasi_descriptor {
	s32 native;		/* -1: a free slot */
	const char *preopened;	/* its name in the guest, or NULL */
	u64 rights, inheriting;
};

struct wj_wasi {
	u32 count;		/* slots */
	struct wj_wasi_descriptor *slots;
	struct wj_strings environment;
};

#define WASI(name, signature, handler) s64 wj_host_##handler(struct wj_process *p, const u64 *a);
#define WASI_UNSTABLE(name, signature, handler) WASI(name, signature, handler)
#include "wasi.def"
#undef WASI_UNSTABLE
#undef WASI

/* wasi.c */
/* The descriptor if it has all of `rights`: 0, -EBADF or -WJ_ENOTCAPABLE. */
int wj_wasi_descriptor(struct wj_process *p, u32 fd, u64 rights, struct wj_wasi_descriptor **ret);
/*
 * Give the guest a native descriptor, with those rights out of `rights` and `inheriting` that such a
 * file can have.  The guest's number, or -errno: then it is closed.
 */
s64 wj_wasi_add(struct wj_process *p, s32 native, const char *preopened, u64 rights, u64 inheriting);
/* ... and tell the guest its number at `to`: 0, or -errno with the descriptor closed. */
s64 wj_wasi_give(struct wj_process *p, s32 native, u64 rights, u64 inheriting, u32 to);
u8 wj_wasi_filetype(struct wj_process *p, s32 native, u32 mode);
s64 wj_wasi_fdstat(struct wj_process *p, s32 native, u64 rights, u64 inheriting, u32 to);
s64 wj_wasi_filestat(struct wj_process *p, s32 native, bool unstable, u32 to);
/* The two timespecs of utimensat in scratch: user address, or 0 and *err. */
u64 wj_wasi_times(struct wj_process *p, u64 access, u64 modification, u32 flags, int *err);

/* Settings (process.h) and environment of a WASI program; before its first instruction. */
int wj_wasi_init(struct wj_process *p);
void wj_wasi_deinit(struct wj_process *p);

#endif
