// SPDX-License-Identifier: GPL-2.0-only
/* The x86-64 encoder. */
#include "emit_x86.h"

int wj_emit_init(struct wj_emit *e, u32 size)
{
	e->pos = 0;
	e->error = 0;
	e->size = max(size, 4096u);
	e->code = wj_alloc(e->size);
	return e->code ? 0 : -ENOMEM;
}

void wj_emit_deinit(struct wj_emit *e)
{
	wj_free(e->code);
	e->code = NULL;
}

/* Out of room for good: what is still to come overwrites the start. */
static void fail(struct wj_emit *e, int error)
{
	if (!e->error)
		e->error = error;
	e->pos = 0;
}

void wj_emit_reserve(struct wj_emit *e, u32 size)
{
	u32 grown;
	u8 *code;

	if (likely(e->size - e->pos >= size))
		return;
	grown = min(max(e->size + e->size / 2, e->size + size), WJ_MAX_CODE);
	if (grown - e->pos < size) {
		fail(e, -E2BIG);
		return;
	}
	code = wj_alloc(grown);
	if (!code) {
		fail(e, -ENOMEM);
		return;
	}
	memcpy(code, e->code, e->pos);
	wj_free(e->code);
	e->code = code;
	e->size = grown;
}

static u8 *start(struct wj_emit *e)
{
	wj_emit_reserve(e, WJ_EMIT_ROOM);
	return e->code + e->pos;
}

static void finish(struct wj_emit *e, const u8 *end)
{
	e->pos = (u32)(end - e->code);
}

static u8 *put32(u8 *p, u32 value)
{
	p[0] = (u8)value;
	p[1] = (u8)(value >> 8);
	p[2] = (u8)(value >> 16);
	p[3] = (u8)(value >> 24);
	return p + 4;
}

static bool fits8(s64 value)
{
	return value >= -128 && value <= 127;
}

static bool is_low_byte_register(u8 reg)
{
	return reg >= RSP && reg <= RDI;
}

/* Prefixes (lock, mandatory, REX, in this order) and opcode.  x and b: bit 3 of index and base. */
static u8 *prefix_opcode(u8 *p, u32 op, u8 reg, u8 x, u8 b, bool force_rex)
{
	static const u8 mandatory[] = { 0, 0x66, 0xf3, 0xf2 };
	u8 rex = (u8)((op & X86_W ? 8 : 0) | (reg >> 3) << 2 | x << 1 | b);

	if (op & X86_LOCK)
		*p++ = 0xf0;
	if (X86_PREFIX(op))
		*p++ = mandatory[X86_PREFIX(op)];
	if (rex || force_rex || (op & X86_BYTE_REG && is_low_byte_register(reg)))
		*p++ = 0x40 | rex;
	switch (X86_MAP(op)) {
	case 1:
		*p++ = 0x0f;
		break;
	case 2:
		*p++ = 0x0f;
		*p++ = 0x38;
		break;
	case 3:
		*p++ = 0x0f;
		*p++ = 0x3a;
		break;
	}
	*p++ = (u8)op;
	return p;
}

/*
 * VEX: c5 [~R ~vvvv L pp], or c4 [~R ~X ~B mmmmm] [W ~vvvv L pp], where L is 0 (SDM 2.3.5).
 */
static u8 *vex_opcode(u8 *p, u32 op, u8 reg, u8 v, u8 x, u8 b)
{
	u8 last = (u8)((~v & 15) << 3 | X86_PREFIX(op));
	u8 r = reg >> 3 ? 0 : 0x80;

	if (!x && !b && !(op & X86_W) && X86_MAP(op) == 1) {
		*p++ = 0xc5;
		*p++ = r | last;
	} else {
		*p++ = 0xc4;
		*p++ = (u8)(r | (x ? 0 : 0x40) | (b ? 0 : 0x20) | X86_MAP(op));
		*p++ = (op & X86_W ? 0x80 : 0) | last;
	}
	*p++ = (u8)op;
	return p;
}

static u8 *modrm_register(u8 *p, u8 reg, u8 rm)
{
	*p++ = (u8)(0xc0 | (reg & 7) << 3 | (rm & 7));
	return p;
}

/*
 * ModRM, SIB and displacement.  mod 00 with base 101 means something else (rip or no base),
 * so rbp and r13 always have a displacement; rm 100 announces a SIB byte, so rsp and r12
 * always have one.  Index 100 is none: rsp can be no index.
 */
static u8 *modrm_memory(struct wj_emit *e, u8 *p, u8 reg, struct wj_mem m)
{
	u8 mod, modrm = (u8)((reg & 7) << 3);

	if (m.base == WJ_RIP) {
		*p++ = modrm | 5;
		return put32(p, (u32)(m.disp - (s32)(p + 4 - e->code)));
	}
	if (m.base == WJ_NONE) {
		*p++ = modrm | 4;
		*p++ = (u8)(m.scale << 6 | (m.index == WJ_NONE ? 4 : m.index & 7) << 3 | 5);
		return put32(p, (u32)m.disp);
	}
	mod = !m.disp && (m.base & 7) != RBP ? 0 : fits8(m.disp) ? 0x40 : 0x80;
	if (m.index == WJ_NONE && (m.base & 7) != RSP) {
		*p++ = (u8)(mod | modrm | (m.base & 7));
	} else {
		*p++ = mod | modrm | 4;
		*p++ = (u8)(m.scale << 6 | (m.index == WJ_NONE ? 4 : m.index & 7) << 3 | (m.base & 7));
	}
	if (mod == 0x40)
		*p++ = (u8)m.disp;
	else if (mod == 0x80)
		p = put32(p, (u32)m.disp);
	return p;
}

static u8 high_bit(u8 reg)
{
	return reg < WJ_RIP ? reg >> 3 : 0;
}

void wj_x86_rr(struct wj_emit *e, u32 op, u8 reg, u8 rm)
{
	u8 *p = start(e);

	p = prefix_opcode(p, op, reg, 0, rm >> 3, op & X86_BYTE_RM && is_low_byte_register(rm));
	finish(e, modrm_register(p, reg, rm));
}

void wj_x86_rm(struct wj_emit *e, u32 op, u8 reg, struct wj_mem m)
{
	u8 *p = start(e);

	p = prefix_opcode(p, op, reg, high_bit(m.index), high_bit(m.base), false);
	finish(e, modrm_memory(e, p, reg, m));
}

void wj_vex_rr(struct wj_emit *e, u32 op, u8 reg, u8 v, u8 rm)
{
	u8 *p = start(e);

	p = vex_opcode(p, op, reg, v, 0, rm >> 3);
	finish(e, modrm_register(p, reg, rm));
}

void wj_vex_rm(struct wj_emit *e, u32 op, u8 reg, u8 v, struct wj_mem m)
{
	u8 *p = start(e);

	p = vex_opcode(p, op, reg, v, high_bit(m.index), high_bit(m.base));
	finish(e, modrm_memory(e, p, reg, m));
}

/* The instruction before has reserved the room. */
void wj_imm8(struct wj_emit *e, u32 value)
{
	e->code[e->pos++] = (u8)value;
}

void wj_imm16(struct wj_emit *e, u32 value)
{
	wj_imm8(e, value);
	wj_imm8(e, value >> 8);
}

void wj_imm32(struct wj_emit *e, u32 value)
{
	put32(e->code + e->pos, value);
	e->pos += 4;
}

void wj_x86_alu_imm(struct wj_emit *e, enum wj_x86_digit digit, u32 w, u8 rm, s32 imm)
{
	if (fits8(imm)) {
		wj_x86_rr(e, X86_ALU_IMM8 | w, digit, rm);
		wj_imm8(e, (u32)imm);
	} else if (imm == 128 && (digit == X86_ALU_ADD || digit == X86_ALU_SUB)) {
		/* Flags aside, + 128 is - -128, which is shorter. */
		wj_x86_rr(e, X86_ALU_IMM8 | w, digit ^ X86_ALU_ADD ^ X86_ALU_SUB, rm);
		wj_imm8(e, (u32)-128);
	} else {
		wj_x86_rr(e, X86_ALU_IMM32 | w, digit, rm);
		wj_imm32(e, (u32)imm);
	}
}

void wj_x86_shift_imm(struct wj_emit *e, enum wj_x86_digit digit, u32 w, u8 rm, u8 count)
{
	if (count == 1) {
		wj_x86_rr(e, X86_SHIFT1 | w, digit, rm);
		return;
	}
	wj_x86_rr(e, X86_SHIFT_IMM8 | w, digit, rm);
	wj_imm8(e, count);
}

void wj_x86_mov_imm(struct wj_emit *e, u8 reg, u64 value, bool keep_flags)
{
	u8 *p;

	if (!value && !keep_flags) {
		wj_x86_rr(e, X86_XOR, reg, reg);
		return;
	}
	if ((s64)value < 0 && (s64)value == (s32)value) {
		/* Sign-extended: REX.W c7 /0 id. */
		wj_x86_rr(e, X86_MOV_IMM32 | X86_W, 0, reg);
		wj_imm32(e, (u32)value);
		return;
	}
	/* b8+r id zero-extends; REX.W b8+r io. */
	p = start(e);
	if (value >> 32)
		*p++ = 0x48 | reg >> 3;
	else if (reg >> 3)
		*p++ = 0x41;
	*p++ = 0xb8 | (reg & 7);
	p = put32(p, (u32)value);
	if (value >> 32)
		p = put32(p, (u32)(value >> 32));
	finish(e, p);
}

/* [41] 50+r */
void wj_x86_push(struct wj_emit *e, u8 reg)
{
	u8 *p = start(e);

	if (reg >> 3)
		*p++ = 0x41;
	*p++ = 0x50 | (reg & 7);
	finish(e, p);
}

/* [41] 58+r */
void wj_x86_pop(struct wj_emit *e, u8 reg)
{
	u8 *p = start(e);

	if (reg >> 3)
		*p++ = 0x41;
	*p++ = 0x58 | (reg & 7);
	finish(e, p);
}

void wj_x86_bytes(struct wj_emit *e, u64 bytes, u32 count)
{
	u8 *p = start(e);
	u32 i;

	for (i = 0; i < count && i < 8; i++)
		*p++ = (u8)(bytes >> (8 * i));
	finish(e, p);
}

/* The forms that Intel and AMD recommend, one instruction each. */
void wj_x86_nops(struct wj_emit *e, u32 count)
{
	static const u8 nops[][9] = {
		{ 0x90 },
		{ 0x66, 0x90 },
		{ 0x0f, 0x1f, 0x00 },
		{ 0x0f, 0x1f, 0x40, 0x00 },
		{ 0x0f, 0x1f, 0x44, 0x00, 0x00 },
		{ 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00 },
		{ 0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00 },
		{ 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00 },
		{ 0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00 },
	};

	while (count) {
		u32 n = min(count, 9u);
		u8 *p = start(e);

		memcpy(p, nops[n - 1], n);
		finish(e, p + n);
		count -= n;
	}
}

void wj_x86_align(struct wj_emit *e, u32 alignment, bool nops)
{
	u32 count = -e->pos & (alignment - 1);

	if (nops) {
		wj_x86_nops(e, count);
		return;
	}
	wj_emit_reserve(e, count + WJ_EMIT_ROOM);
	memset(e->code + e->pos, 0xcc, count);
	e->pos += count;
}

/* 70+cc cb; 0f 80+cc cd */
u32 wj_x86_jcc(struct wj_emit *e, enum wj_x86_cc cc, bool is_short)
{
	wj_x86_bytes(e, is_short ? 0x70u | cc : 0x800fu | cc << 8, is_short ? 2 : 6);
	return e->pos - (is_short ? 1 : 4);
}

/* eb cb; e9 cd */
u32 wj_x86_jmp(struct wj_emit *e, bool is_short)
{
	wj_x86_bytes(e, is_short ? 0xeb : 0xe9, is_short ? 2 : 5);
	return e->pos - (is_short ? 1 : 4);
}

/* e8 cd */
u32 wj_x86_call(struct wj_emit *e)
{
	wj_x86_bytes(e, 0xe8, 5);
	return e->pos - 4;
}

void wj_patch8(struct wj_emit *e, u32 at, u32 target)
{
	s64 distance = (s64)target - ((s64)at + 1);

	if (unlikely(!fits8(distance))) {
		if (!e->error)
			e->error = -ERANGE;
		return;
	}
	e->code[at] = (u8)distance;
}

/* Both are below WJ_MAX_CODE: the distance fits. */
static_assert(WJ_MAX_CODE < 1u << 31, "rel32 reaches everywhere in the buffer");

void wj_patch32(struct wj_emit *e, u32 at, u32 target)
{
	put32(e->code + at, target - (at + 4));
}

void wj_x86_jcc_to(struct wj_emit *e, enum wj_x86_cc cc, u32 target)
{
	bool is_short = fits8((s64)target - ((s64)e->pos + 2));
	u32 at = wj_x86_jcc(e, cc, is_short);

	if (is_short)
		wj_patch8(e, at, target);
	else
		wj_patch32(e, at, target);
}

void wj_x86_jmp_to(struct wj_emit *e, u32 target)
{
	bool is_short = fits8((s64)target - ((s64)e->pos + 2));
	u32 at = wj_x86_jmp(e, is_short);

	if (is_short)
		wj_patch8(e, at, target);
	else
		wj_patch32(e, at, target);
}

void wj_x86_call_to(struct wj_emit *e, u32 target)
{
	wj_patch32(e, wj_x86_call(e), target);
}
