/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The x86-64 encoder: one call, one instruction, into a buffer that grows.
 *
 * An instruction is named by a word: opcode byte, opcode map, mandatory prefix, REX.W and
 * how its operands are to be read (Intel SDM volume 2, chapter 2 and appendix A).  Operand
 * names follow the ModRM byte: `reg` is its reg field, `rm` its r/m field; which of them is
 * the destination is the instruction's business.
 */
#ifndef WJ_EMIT_X86_H
#define WJ_EMIT_X86_H

#include "platform.h"

enum wj_gpr {
	RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI,
	R8, R9, R10, R11, R12, R13, R14, R15,
	WJ_RIP = 16,		/* base of wj_mem: disp is a position in the buffer */
	WJ_NONE = 17		/* no base, no index */
};

/* Parts of an instruction word, beside the opcode byte. */
#define X86_0F		(1u << 8)
#define X86_0F38	(2u << 8)
#define X86_0F3A	(3u << 8)
#define X86_MAP(op)	((op) >> 8 & 3)
#define X86_66		(1u << 10)
#define X86_F3		(2u << 10)
#define X86_F2		(3u << 10)
#define X86_PREFIX(op)	((op) >> 10 & 3)
#define X86_W		(1u << 12)	/* 64-bit operands */
#define X86_BYTE_REG	(1u << 13)	/* reg is a byte register: spl..dil need a REX prefix */
#define X86_BYTE_RM	(1u << 14)	/* likewise rm */
#define X86_BYTES	(X86_BYTE_REG | X86_BYTE_RM)
#define X86_LOCK	(1u << 15)

enum wj_x86 {
	/* rm is the destination, reg the source */
	X86_ADD = 0x01, X86_OR = 0x09, X86_SBB = 0x19, X86_AND = 0x21, X86_SUB = 0x29,
	X86_XOR = 0x31, X86_CMP = 0x39, X86_TEST = 0x85, X86_XCHG = 0x87, X86_MOV = 0x89,
	X86_XCHG8 = 0x86 | X86_BYTES, X86_MOV8 = 0x88 | X86_BYTES,
	X86_XCHG16 = 0x87 | X86_66, X86_MOV16 = 0x89 | X86_66,
	X86_CMPXCHG = 0xb1 | X86_0F, X86_CMPXCHG8 = 0xb0 | X86_0F | X86_BYTES,
	X86_CMPXCHG16 = 0xb1 | X86_0F | X86_66,
	X86_XADD = 0xc1 | X86_0F, X86_XADD8 = 0xc0 | X86_0F | X86_BYTES,
	X86_XADD16 = 0xc1 | X86_0F | X86_66,
	/* reg is the destination, rm the source */
	X86_LOAD = 0x8b, X86_LEA = 0x8d, X86_MOVSXD = 0x63 | X86_W, X86_ADD_LOAD = 0x03,
	X86_SUB_LOAD = 0x2b, X86_CMP_LOAD = 0x3b,
	X86_MOVZX8 = 0xb6 | X86_0F | X86_BYTE_RM, X86_MOVZX16 = 0xb7 | X86_0F,
	X86_MOVSX8 = 0xbe | X86_0F | X86_BYTE_RM, X86_MOVSX16 = 0xbf | X86_0F,
	X86_IMUL = 0xaf | X86_0F, X86_CMOV = 0x40 | X86_0F,	/* + condition */
	X86_BSF = 0xbc | X86_0F, X86_BSR = 0xbd | X86_0F, X86_POPCNT = 0xb8 | X86_0F | X86_F3,
	X86_TZCNT = 0xbc | X86_0F | X86_F3, X86_LZCNT = 0xbd | X86_0F | X86_F3,
	X86_IMUL_IMM8 = 0x6b, X86_IMUL_IMM32 = 0x69,		/* an immediate follows */
	/* reg is part of the opcode, enum wj_x86_digit */
	X86_ALU_IMM8 = 0x83, X86_ALU_IMM32 = 0x81, X86_SHIFT_IMM8 = 0xc1, X86_SHIFT_CL = 0xd3,
	X86_UNARY = 0xf7, X86_TEST_IMM32 = 0xf7, X86_TEST8_IMM8 = 0xf6 | X86_BYTE_RM,
	X86_MOV_IMM32 = 0xc7, X86_MOV16_IMM16 = 0xc7 | X86_66, X86_MOV8_IMM8 = 0xc6,
	X86_SHIFT1 = 0xd1, X86_BT_IMM8 = 0xba | X86_0F, X86_INDIRECT = 0xff,
	X86_LDMXCSR = 0xae | X86_0F, X86_SETCC = 0x90 | X86_0F | X86_BYTE_RM,	/* + condition */
	/* BMI2: only through wj_vex_rr */
	X86_SHLX = 0xf7 | X86_0F38 | X86_66, X86_SARX = 0xf7 | X86_0F38 | X86_F3,
	X86_SHRX = 0xf7 | X86_0F38 | X86_F2, X86_RORX = 0xf0 | X86_0F3A | X86_F2,
	/* SSE: reg is the destination; F3 or F2 prefix (none or 66 for packed) as f32 or f64 */
	X86_SQRTS = 0x51 | X86_0F, X86_ADDS = 0x58 | X86_0F, X86_MULS = 0x59 | X86_0F,
	X86_SUBS = 0x5c | X86_0F, X86_MINS = 0x5d | X86_0F, X86_DIVS = 0x5e | X86_0F,
	X86_MAXS = 0x5f | X86_0F, X86_CVTS2S = 0x5a | X86_0F, X86_CVTSI2S = 0x2a | X86_0F,
	X86_CVTTS2SI = 0x2c | X86_0F, X86_MOVS_LOAD = 0x10 | X86_0F, X86_MOVS_STORE = 0x11 | X86_0F,
	X86_UCOMIS = 0x2e | X86_0F,
	X86_ANDPS = 0x54 | X86_0F, X86_ORPS = 0x56 | X86_0F, X86_XORPS = 0x57 | X86_0F,
	X86_MOVAPS = 0x28 | X86_0F,
	X86_MOVD_TO_X = 0x6e | X86_0F | X86_66,		/* reg xmm, rm general */
	X86_MOVD_FROM_X = 0x7e | X86_0F | X86_66,	/* rm general, reg xmm */
	X86_ROUNDSS = 0x0a | X86_0F3A | X86_66, X86_ROUNDSD = 0x0b | X86_0F3A | X86_66
};

enum wj_x86_digit {
	X86_ALU_ADD = 0, X86_ALU_OR = 1, X86_ALU_AND = 4, X86_ALU_SUB = 5, X86_ALU_XOR = 6,
	X86_ALU_CMP = 7,
	X86_ROL = 0, X86_ROR = 1, X86_SHL = 4, X86_SHR = 5, X86_SAR = 7,
	X86_NOT = 2, X86_NEG = 3, X86_DIV = 6, X86_IDIV = 7,
	X86_BTC = 7, X86_CALL_RM = 2, X86_JMP_RM = 4, X86_LDMXCSR_DIGIT = 2
};

enum wj_x86_cc {
	X86_O, X86_NO, X86_B, X86_AE, X86_E, X86_NE, X86_BE, X86_A,
	X86_S, X86_NS, X86_P, X86_NP, X86_L, X86_GE, X86_LE, X86_G
};

#define WJ_MAX_CODE	(512u << 20)
#define WJ_EMIT_ROOM	32u	/* what one call may write; instructions have at most 15 bytes */

/*
 * After an error (-ENOMEM, -E2BIG, -ERANGE) calls keep writing, inside the buffer; look
 * at ->error now and then.
 */
struct wj_emit {
	u8 *code;
	u32 pos, size;
	int error;
};
int wj_emit_init(struct wj_emit *e, u32 size);
void wj_emit_deinit(struct wj_emit *e);
void wj_emit_reserve(struct wj_emit *e, u32 size);	/* at most 4096 */

struct wj_mem {
	u8 base, index, scale;	/* enum wj_gpr; index << scale */
	s32 disp;
};

static inline struct wj_mem wj_mem(u8 base, s32 disp)
{
	return (struct wj_mem){ base, WJ_NONE, 0, disp };
}

static inline struct wj_mem wj_mem_index(u8 base, u8 index, u8 scale, s32 disp)
{
	return (struct wj_mem){ base, index, scale, disp };
}

void wj_x86_rr(struct wj_emit *e, u32 op, u8 reg, u8 rm);
void wj_x86_rm(struct wj_emit *e, u32 op, u8 reg, struct wj_mem m);
/* VEX-encoded, 128 bit; v is the second operand (first source of arithmetic, count of SHLX). */
void wj_vex_rr(struct wj_emit *e, u32 op, u8 reg, u8 v, u8 rm);
void wj_vex_rm(struct wj_emit *e, u32 op, u8 reg, u8 v, struct wj_mem m);
/* Immediates: right after the instruction they belong to. */
void wj_imm8(struct wj_emit *e, u32 value);
void wj_imm16(struct wj_emit *e, u32 value);
void wj_imm32(struct wj_emit *e, u32 value);

/* rm = rm <digit> imm, the shortest form; w is 0 or X86_W. */
void wj_x86_alu_imm(struct wj_emit *e, enum wj_x86_digit digit, u32 w, u8 rm, s32 imm);
void wj_x86_shift_imm(struct wj_emit *e, enum wj_x86_digit digit, u32 w, u8 rm, u8 count);
/* reg = value, the shortest form; changes flags where value is 0 unless keep_flags. */
void wj_x86_mov_imm(struct wj_emit *e, u8 reg, u64 value, bool keep_flags);
void wj_x86_push(struct wj_emit *e, u8 reg);
void wj_x86_pop(struct wj_emit *e, u8 reg);
/* Literal bytes, at most 8, first one lowest: instructions without operands. */
void wj_x86_bytes(struct wj_emit *e, u64 bytes, u32 count);
void wj_x86_nops(struct wj_emit *e, u32 count);
void wj_x86_align(struct wj_emit *e, u32 alignment, bool nops);	/* else int3 */

/* Branches with the target to come: the position of the displacement, for wj_patch8 or 32. */
u32 wj_x86_jcc(struct wj_emit *e, enum wj_x86_cc cc, bool is_short);
u32 wj_x86_jmp(struct wj_emit *e, bool is_short);
u32 wj_x86_call(struct wj_emit *e);
/* -ERANGE in e->error where the distance does not fit: never another target. */
void wj_patch8(struct wj_emit *e, u32 at, u32 target);
void wj_patch32(struct wj_emit *e, u32 at, u32 target);
/* Branches to a known position, the shortest form. */
void wj_x86_jcc_to(struct wj_emit *e, enum wj_x86_cc cc, u32 target);
void wj_x86_jmp_to(struct wj_emit *e, u32 target);
void wj_x86_call_to(struct wj_emit *e, u32 target);

#endif
