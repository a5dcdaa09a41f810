// SPDX-License-Identifier: GPL-2.0-only
/* The instruction tables as data, and the one decoder of LEB128 and of instructions. */
#include "internal.h"

static_assert(WJ_OP_COUNT <= 256, "opcodes are bytes");

/* The flag letters of isa.def. */
enum {
	K = WJ_FLAG_K, X = WJ_FLAG_X, M = WJ_FLAG_M,
	S = WJ_FLAG_S, T = WJ_FLAG_T, C = WJ_FLAG_C
};

const struct wj_op_info wj_op_info[WJ_OP_COUNT] = {
#define OP(name, format, d, a, b, flags) \
	[WJ_OP_##name] = { WJ_FMT_##format, WJ_T_##d, WJ_T_##a, WJ_T_##b, flags },
#include "isa.def"
#undef OP
};

const struct wj_rt_info wj_rt_info[WJ_RT_COUNT] = {
#define RT(name, value, result, params, imm0, imm1) \
	[value] = { WJ_T_##result, params, { WJ_RT_IMM_##imm0, WJ_RT_IMM_##imm1 } },
#include "rt.def"
#undef RT
};

#define IREG(index, name, saver)
#define FREG(index, name, saver)
const u8 wj_int_args[WJ_IARGS] = {
#define IARG(position, index)	[position] = index,
#define FARG(position, index)
#include "target.def"
#undef IARG
#undef FARG
};

const u8 wj_float_args[WJ_FARGS] = {
#define IARG(position, index)
#define FARG(position, index)	[position] = index,
#include "target.def"
#undef IARG
#undef FARG
};
#undef IREG
#undef FREG

u8 wj_read_u8(struct wj_cursor *c)
{
	if (c->pos == c->end) {
		c->bad = true;
		return 0;
	}
	return *c->pos++;
}

static u64 read_le(struct wj_cursor *c, unsigned int size)
{
	u64 value = 0;
	unsigned int i;

	if ((size_t)(c->end - c->pos) < size) {
		c->bad = true;
		c->pos = c->end;
		return 0;
	}
	for (i = 0; i < size; i++)
		value |= (u64)c->pos[i] << (8 * i);
	c->pos += size;
	return value;
}

u16 wj_read_le16(struct wj_cursor *c)
{
	return (u16)read_le(c, 2);
}

u32 wj_read_le32(struct wj_cursor *c)
{
	return (u32)read_le(c, 4);
}

u64 wj_read_le64(struct wj_cursor *c)
{
	return read_le(c, 8);
}

u32 wj_read_u32(struct wj_cursor *c)
{
	u32 value = 0;
	unsigned int shift;

	for (shift = 0; shift < 35; shift += 7) {
		u8 byte = wj_read_u8(c);

		/* The fifth byte has room for four bits. */
		if (shift == 28 && byte > 0x0f)
			break;
		value |= (u32)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	c->bad = true;
	return 0;
}

/* What the last byte has beyond the width must repeat the sign. */
static s64 read_signed(struct wj_cursor *c, unsigned int width)
{
	u64 value = 0;
	unsigned int shift;

	for (shift = 0; shift < width; shift += 7) {
		u8 byte = wj_read_u8(c);
		unsigned int room = width - shift;

		value |= (u64)(byte & 0x7f) << shift;
		if (room < 7) {
			u8 sign_bits = (byte & 0x7f) >> (room - 1);

			if (byte & 0x80 || (sign_bits && sign_bits != 0x7f >> (room - 1)))
				break;
		}
		if (byte & 0x80)
			continue;
		if (shift + 7 < 64 && byte & 0x40)
			value |= ~0ull << (shift + 7);
		return (s64)value;
	}
	c->bad = true;
	return 0;
}

s32 wj_read_s32(struct wj_cursor *c)
{
	return (s32)read_signed(c, 32);
}

s64 wj_read_s64(struct wj_cursor *c)
{
	return read_signed(c, 64);
}

/* A byte with two four-bit fields, low one first. */
static void read_pair(struct wj_cursor *c, u8 *low, u8 *high)
{
	u8 byte = wj_read_u8(c);

	*low = byte & 15;
	*high = byte >> 4;
}

bool wj_decode(struct wj_cursor *c, struct wj_insn *insn)
{
	const struct wj_op_info *info;

	memset(insn, 0, sizeof(*insn));
	insn->op = wj_read_u8(c);
	if (c->bad || insn->op >= WJ_OP_COUNT) {
		c->bad = true;
		return false;
	}
	info = &wj_op_info[insn->op];

	switch ((enum wj_format)info->format) {
	case WJ_FMT_N:
		break;
	case WJ_FMT_RR:
		read_pair(c, &insn->d, &insn->a);
		break;
	case WJ_FMT_RRR:
		read_pair(c, &insn->d, &insn->a);
		insn->b = wj_read_u8(c);
		break;
	case WJ_FMT_RRI:
		read_pair(c, &insn->d, &insn->a);
		insn->imm = info->d == WJ_T_L ? wj_read_s64(c) : wj_read_s32(c);
		break;
	case WJ_FMT_LEA:
		read_pair(c, &insn->d, &insn->a);
		read_pair(c, &insn->b, &insn->kind);
		insn->imm = wj_read_s32(c);
		break;
	case WJ_FMT_CI:
		insn->d = wj_read_u8(c);
		insn->imm = wj_read_s64(c);
		break;
	case WJ_FMT_C4:
		insn->d = wj_read_u8(c);
		insn->imm = wj_read_le32(c);
		break;
	case WJ_FMT_C8:
		insn->d = wj_read_u8(c);
		insn->imm = (s64)wj_read_le64(c);
		break;
	case WJ_FMT_XCH:
		read_pair(c, &insn->a, &insn->b);
		break;
	case WJ_FMT_DIV:
		insn->b = wj_read_u8(c);
		insn->d = insn->op == WJ_OP_I32_REM_S || insn->op == WJ_OP_I32_REM_U ||
			  insn->op == WJ_OP_I64_REM_S || insn->op == WJ_OP_I64_REM_U;
		break;
	case WJ_FMT_SET:
		read_pair(c, &insn->d, &insn->a);
		read_pair(c, &insn->b, &insn->cc);
		break;
	case WJ_FMT_SETI:
		read_pair(c, &insn->d, &insn->a);
		insn->cc = wj_read_u8(c);
		insn->imm = wj_read_s32(c);
		break;
	case WJ_FMT_SEL:
		read_pair(c, &insn->d, &insn->a);
		read_pair(c, &insn->b, &insn->cc);
		read_pair(c, &insn->x, &insn->y);
		break;
	case WJ_FMT_SELI:
		read_pair(c, &insn->d, &insn->a);
		read_pair(c, &insn->b, &insn->cc);
		insn->x = wj_read_u8(c);
		insn->imm = wj_read_s32(c);
		break;
	case WJ_FMT_LD:
	case WJ_FMT_ALD:
		read_pair(c, &insn->d, &insn->a);
		insn->index = wj_read_u32(c);
		break;
	case WJ_FMT_ST:
	case WJ_FMT_ACAS:
		read_pair(c, &insn->a, &insn->b);
		insn->index = wj_read_u32(c);
		break;
	case WJ_FMT_STI:
		insn->b = wj_read_u8(c);
		insn->index = wj_read_u32(c);
		insn->imm = wj_read_s32(c);
		break;
	case WJ_FMT_ARMW:
		read_pair(c, &insn->a, &insn->b);
		insn->kind = wj_read_u8(c);
		insn->index = wj_read_u32(c);
		break;
	case WJ_FMT_SLD:
	case WJ_FMT_ARG:
	case WJ_FMT_RLD:
	case WJ_FMT_GLD:
		insn->d = wj_read_u8(c);
		insn->index = wj_read_u32(c);
		break;
	case WJ_FMT_SST:
	case WJ_FMT_OUT:
	case WJ_FMT_RST:
	case WJ_FMT_GST:
	case WJ_FMT_JT:
		insn->a = wj_read_u8(c);
		insn->index = wj_read_u32(c);
		break;
	case WJ_FMT_J:
	case WJ_FMT_CALL:
		insn->index = wj_read_u32(c);
		break;
	case WJ_FMT_JRR:
		read_pair(c, &insn->a, &insn->b);
		insn->cc = wj_read_u8(c);
		insn->index = wj_read_u32(c);
		break;
	case WJ_FMT_JRI:
		read_pair(c, &insn->a, &insn->cc);
		insn->imm = wj_read_s32(c);
		insn->index = wj_read_u32(c);
		break;
	case WJ_FMT_CALLI:
		insn->index = wj_read_u32(c);
		insn->index2 = wj_read_u32(c);
		break;
	case WJ_FMT_RT:
		insn->kind = wj_read_u8(c);
		insn->index = wj_read_u32(c);
		insn->index2 = wj_read_u32(c);
		break;
	case WJ_FMT_TRAP:
		insn->kind = wj_read_u8(c);
		break;
	}
	return !c->bad;
}

const char *wj_trap_text(int trap)
{
	switch (trap) {
#define TRAP(name, value, text) case value: return text;
#include "traps.def"
#undef TRAP
	}
	return NULL;
}
