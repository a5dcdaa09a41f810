/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The image: what pywasmjit's lowering writes and the core loads.
 *
 * An image is bytes to be proven safe.  Everything is little-endian; u32 and s64 below
 * are LEB128 (unsigned, signed; at most 5 and 10 bytes; bits past the width are an
 * error) unless written as le16, le32 or le64; `str` is u32 length and that many bytes.
 *
 * Header, 64 bytes:
 *   0   8   magic "\0wjimg\0\1"
 *   8   le64 hash of isa.def, cc.def, rmw.def, rt.def, traps.def and target.def as
 *       generated into isa_hash.h (a mismatch is -EPROTO: recompile)
 *   16  le32 size of the whole image in bytes
 *   20  le32 number of sections
 *   24  32 bytes SHA-256 of the wasm file it was lowered from (information only)
 *   56  le64 zero
 * Section table after it: per section le32 id, le32 offset, le32 size.  Sections do not
 * overlap, appear in the order of their ids, each at most once, and fill the image
 * without gaps.  A section is consumed exactly.
 *
 *   1 TYPES     u32 n; each: u32 nparams, nparams type bytes, u32 nresults, that many
 *               type bytes.  Type bytes: 0 i32, 1 i64, 2 f32, 3 f64, 4 funcref,
 *               5 externref.
 *   2 IMPORTS   u32 n; each: str module, str name, byte kind (0 func, 1 table,
 *               2 memory, 3 global), then func: u32 type; table: byte reftype, limits;
 *               memory: limits; global: byte type, byte mutable.
 *               limits: byte flags (1: has maximum), u32 minimum[, u32 maximum].
 *   3 FUNCTIONS u32 n defined functions; each: u32 type.
 *   4 TABLES    u32 n; each: byte reftype, limits.
 *   5 MEMORIES  u32 n (0 or 1 together with imports); each: limits, in 64 KiB pages.
 *   6 GLOBALS   u32 n; each: byte type, byte mutable, init.
 *               init: byte 0 s64 integer constant | 1 le32 f32 bits | 2 le64 f64 bits |
 *               3 u32 global index (an import, immutable) | 4 u32 function index |
 *               5 null reference | 6 u32 n, n steps of an i32 or i64 computation on a
 *               stack: byte 0 or 3 as here | 16 add | 17 subtract | 18 multiply
 *   7 EXPORTS   u32 n; each: str name, byte kind, u32 index.
 *   8 START     u32 function index.
 *   9 ELEMENTS  u32 n; each: byte mode (0 active, 1 passive, 2 declared), byte reftype,
 *               active: u32 table, init offset; u32 count, count inits (of kind 3-5).
 *   10 DATA     u32 n; each: byte mode (0 active, 1 passive), active: init offset;
 *               u32 size, bytes.
 *   11 CODE     per defined function: a body, below.
 *   12 NAMES    u32 n functions (imports included); each: str name, empty if unknown.
 *               Information only.
 *
 * A body:
 *   u32 size of the rest of the body in bytes
 *   byte flags: 1 leaf (no CALL, CALL_INDIRECT or CALL_RT in it)
 *   byte mask of callee-saved integer registers written, bit i = i-th CALLEE register
 *   5 x u32: number of spill slots of type i32, i64, f32, f64, ref; slots are numbered
 *            in that order and have that one type throughout
 *   u32 number of outgoing argument slots
 *   u32 number of blocks that are branched to, then per block, in code order:
 *     u32 offset of its first instruction, as difference to the previous block's (the
 *         first one: to 0; otherwise at least 1)
 *     byte flags: 1 has i64 mask, 2 has ref mask, 4 has float masks, 8 has slots
 *     le16 mask of defined integer registers   (i32 unless in the i64 or ref mask)
 *     [le16 mask of those that are i64]  [le16 mask of those that are ref]
 *     [le16 mask of defined float registers, le16 mask of those that are f64]
 *     [u32 count, count bytes: bitmap of spill slots that are defined, lowest first]
 *   the rest: instructions
 *
 * Entry state of a function: its register parameters, in argument registers, are
 * defined, nothing else.  Instructions flow linearly; at the offset of a block the
 * state becomes the block's (what falls into it must provide it).  Code after an
 * instruction with flag T must be the start of a block, and code must not run off the
 * end.  A branch to a position at or below the branching instruction requires the
 * target's first instruction to be POLL.  Every function that is not a leaf polls in
 * its prologue, without an instruction for it.
 */
#ifndef WJ_IMAGE_H
#define WJ_IMAGE_H

#include "platform.h"

#define WJ_IMAGE_MAGIC "\0wjimg\0\1"
#define WJ_IMAGE_HEADER_SIZE 64

enum wj_section {
	WJ_SECTION_TYPES = 1,
	WJ_SECTION_IMPORTS,
	WJ_SECTION_FUNCTIONS,
	WJ_SECTION_TABLES,
	WJ_SECTION_MEMORIES,
	WJ_SECTION_GLOBALS,
	WJ_SECTION_EXPORTS,
	WJ_SECTION_START,
	WJ_SECTION_ELEMENTS,
	WJ_SECTION_DATA,
	WJ_SECTION_CODE,
	WJ_SECTION_NAMES,
	WJ_SECTION_END
};

/* Limits of one image.  Everything is bounded before anything is allocated. */
#define WJ_MAX_IMAGE_SIZE	(256u << 20)
#define WJ_MAX_TYPES		65536u
#define WJ_MAX_PARAMS		1000u
#define WJ_MAX_RESULTS		1000u
#define WJ_MAX_IMPORTS		16384u
#define WJ_MAX_FUNCTIONS	1000000u
#define WJ_MAX_TABLES		1024u
#define WJ_MAX_TABLE_SIZE	10000000u
#define WJ_MAX_GLOBALS		65536u
#define WJ_MAX_EXPORTS		1000000u
#define WJ_MAX_SEGMENTS		1000000u
#define WJ_MAX_INIT_STEPS	32u
#define WJ_MAX_BODY_SIZE	(16u << 20)
#define WJ_MAX_SLOTS		8000u	/* frame at most 64 KiB, outgoing slots included */
#define WJ_MAX_NAME		4096u
#define WJ_MAX_PAGES		65536u

#endif
