// SPDX-License-Identifier: GPL-2.0-only
/* The x86-64 JIT's instructions: linear memory. */
#include "translate_x86.h"

/* Before every instruction that touches it: it may fault. */
static void access(struct wj_jit *j)
{
	struct wj_access *a = wj_list_add(j, &j->accesses, sizeof(*a));

	a->pc = j->e.pos;
	a->offset = j->offset;
}

static void access_rm(struct wj_jit *j, u32 op, u8 reg, struct wj_mem m)
{
	access(j);
	wj_x86_rm(&j->e, op, reg, m);
}

/*
 * Operand for base + off, where off is up to 4 GiB and displacements are signed.  May use
 * rcx.  An i32 in a register has no upper half, so this stays within the reservation.
 */
static struct wj_mem linear(struct wj_jit *j, u8 base, u32 off)
{
	if (off < 1u << 31 && !wj_blind(j, off)) {
		if (base == WJ_NO_BASE)
			return wj_mem(R15, (s32)off);
		return wj_mem_index(R15, wj_ireg(base), 0, (s32)off);
	}
	if (off < 1u << 31) {
		/* Blinded as a sum, which is cheaper than an exclusive or. */
		u32 part = wj_jit_random(j) % (off + 1);

		if (base == WJ_NO_BASE)
			wj_x86_mov_imm(&j->e, RCX, part, true);
		else
			wj_x86_rm(&j->e, X86_LEA | X86_W, RCX, wj_mem(wj_ireg(base), (s32)part));
		return wj_mem_index(R15, RCX, 0, (s32)(off - part));
	}
	wj_jit_load_imm(j, RCX, off, false);
	if (base != WJ_NO_BASE)
		wj_x86_rr(&j->e, X86_ADD | X86_W, wj_ireg(base), RCX);
	return wj_mem_index(R15, RCX, 0, 0);
}

void wj_t_load(struct wj_jit *j, const struct wj_insn *i, u32 op)
{
	access_rm(j, op, wj_ireg(i->d), linear(j, i->a, i->index));
}

void wj_t_fload(struct wj_jit *j, const struct wj_insn *i, u32 op)
{
	access_rm(j, op, wj_freg(i->d), linear(j, i->a, i->index));
}

void wj_t_store(struct wj_jit *j, const struct wj_insn *i, u32 op)
{
	access_rm(j, op, wj_ireg(i->a), linear(j, i->b, i->index));
}

void wj_t_fstore(struct wj_jit *j, const struct wj_insn *i, u32 op)
{
	access_rm(j, op, wj_freg(i->a), linear(j, i->b, i->index));
}

/*
 * Operand of an access that needs rcx itself: where linear() would use it, or where `add`, the
 * address is added to r15 (*moved) until restore_base() loads it again.  A trap in between loses
 * r15, which unwinding does not use.
 */
static struct wj_mem without_rcx(struct wj_jit *j, u8 base, u32 off, bool add, bool *moved)
{
	*moved = add || off >= 1u << 31 || wj_blind(j, off);
	if (!*moved)
		return linear(j, base, off);
	wj_jit_load_imm(j, RCX, off, false);
	if (base != WJ_NO_BASE)
		wj_x86_rr(&j->e, X86_ADD | X86_W, wj_ireg(base), RCX);
	wj_x86_rr(&j->e, X86_ADD | X86_W, RCX, R15);
	return wj_mem(R15, 0);
}

static void restore_base(struct wj_jit *j, bool moved)
{
	if (moved)
		wj_x86_rm(&j->e, X86_LOAD | X86_W, R15, wj_field(offsetof(struct wj_instance, memory_base)));
}

void wj_t_store_imm(struct wj_jit *j, const struct wj_insn *i, u32 size)
{
	u32 w = size == 8 ? X86_W : 0, imm = (u32)i->imm;
	struct wj_mem m;
	bool moved;

	if (size >= 4 && wj_blind(j, i->imm)) {
		/* One store: other processes may look at this memory. */
		m = without_rcx(j, i->b, i->index, false, &moved);
		wj_t_load_operand(j, RCX, w, (s32)imm);
		access_rm(j, X86_MOV | w, RCX, m);
		restore_base(j, moved);
		return;
	}
	m = linear(j, i->b, i->index);
	if (size == 1) {
		access_rm(j, X86_MOV8_IMM8, 0, m);
		wj_imm8(&j->e, imm);
	} else if (size == 2) {
		access_rm(j, X86_MOV16_IMM16, 0, m);
		wj_imm16(&j->e, imm);
	} else {
		access_rm(j, X86_MOV_IMM32 | w, 0, m);
		wj_imm32(&j->e, imm);
	}
}

/*
 * Atomics.  Alignment comes first: a LOCK that crosses a cache line may be an exception (#AC
 * of split-lock detection), fatal in ring 0.
 */
static void check_alignment(struct wj_jit *j, u8 base, u32 off, u32 size)
{
	if (size == 1)
		return;
	if (base == WJ_NO_BASE) {
		if (off & (size - 1))
			wj_jit_trap_call(j, WJ_TRAP_UNALIGNED_ATOMIC);
		return;
	}
	if (off & (size - 1)) {
		wj_x86_rm(&j->e, X86_LEA, RCX, wj_mem(wj_ireg(base), (s32)(off & (size - 1))));
		wj_x86_rr(&j->e, X86_TEST8_IMM8, 0, RCX);
	} else {
		wj_x86_rr(&j->e, X86_TEST8_IMM8, 0, wj_ireg(base));
	}
	wj_imm8(&j->e, size - 1);
	wj_jit_trap_if(j, X86_NE, WJ_TRAP_UNALIGNED_ATOMIC);
}

/* Operand of an atomic, for which rcx is free; rax is, too, where a `loop` overwrites it. */
static struct wj_mem atomic_begin(struct wj_jit *j, u8 base, u32 off, u32 size, bool loop, bool *moved)
{
	check_alignment(j, base, off, size);
	return without_rcx(j, base, off, loop && base != WJ_NO_BASE && wj_ireg(base) == RAX, moved);
}

/* Instruction words by operand size. */
static u32 sized(u32 size, u32 op8, u32 op16, u32 op)
{
	return size == 1 ? op8 : size == 2 ? op16 : size == 4 ? op : op | X86_W;
}

/* d = a's low `size` bytes, zero-extended */
static void zero_extend(struct wj_jit *j, u32 size, u8 d, u8 a)
{
	if (size <= 2)
		wj_x86_rr(&j->e, size == 1 ? X86_MOVZX8 : X86_MOVZX16, d, a);
	else if (size == 4)
		wj_x86_rr(&j->e, X86_LOAD, d, a);
	else
		wj_mov(j, X86_W, d, a);
}

void wj_t_atomic_load(struct wj_jit *j, const struct wj_insn *i, u32 size)
{
	check_alignment(j, i->a, i->index, size);
	wj_t_load(j, i, sized(size, X86_MOVZX8, X86_MOVZX16, X86_LOAD));
}

void wj_t_atomic_store(struct wj_jit *j, const struct wj_insn *i, u32 size)
{
	bool moved;
	struct wj_mem m = atomic_begin(j, i->b, i->index, size, false, &moved);

	/* A store that is sequentially consistent: xchg is locked. */
	wj_mov(j, X86_W, RCX, wj_ireg(i->a));
	access_rm(j, sized(size, X86_XCHG8, X86_XCHG16, X86_XCHG), RCX, m);
	restore_base(j, moved);
}

/* Old value to rax. */
void wj_t_atomic_rmw(struct wj_jit *j, const struct wj_insn *i, u32 size)
{
	u32 xadd = sized(size, X86_XADD8, X86_XADD16, X86_XADD) | X86_LOCK;
	u32 op = X86_XOR, loop;
	bool moved;
	struct wj_mem m = atomic_begin(j, i->b, i->index, size, true, &moved);

	switch ((enum wj_rmw)i->kind) {
	case WJ_RMW_ADD:
	case WJ_RMW_SUB:
		wj_mov(j, X86_W, RCX, wj_ireg(i->a));
		if (i->kind == WJ_RMW_SUB)
			wj_x86_rr(&j->e, X86_UNARY | X86_W, X86_NEG, RCX);
		access_rm(j, xadd, RCX, m);
		zero_extend(j, size, RAX, RCX);
		break;
	case WJ_RMW_XCHG:
		wj_mov(j, X86_W, RCX, wj_ireg(i->a));
		access_rm(j, sized(size, X86_XCHG8, X86_XCHG16, X86_XCHG), RCX, m);
		zero_extend(j, size, RAX, RCX);
		break;
	case WJ_RMW_AND:
	case WJ_RMW_OR:
	case WJ_RMW_XOR:
		if (i->kind != WJ_RMW_XOR)
			op = i->kind == WJ_RMW_AND ? X86_AND : X86_OR;
		/* The load zero-extends; what cmpxchg writes to rax keeps it so. */
		access_rm(j, sized(size, X86_MOVZX8, X86_MOVZX16, X86_LOAD), RAX, m);
		loop = j->e.pos;
		wj_mov(j, X86_W, RCX, RAX);
		wj_x86_rr(&j->e, op | X86_W, wj_ireg(i->a), RCX);
		access_rm(j, sized(size, X86_CMPXCHG8, X86_CMPXCHG16, X86_CMPXCHG) | X86_LOCK, RCX, m);
		wj_x86_jcc_to(&j->e, X86_NE, loop);
		break;
	case WJ_RMW_COUNT:
		break;
	}
	restore_base(j, moved);
}

/* Expected in rax, of which `size` bytes count; old value to rax. */
void wj_t_atomic_cmpxchg(struct wj_jit *j, const struct wj_insn *i, u32 size)
{
	bool moved;
	struct wj_mem m = atomic_begin(j, i->b, i->index, size, false, &moved);

	access_rm(j, sized(size, X86_CMPXCHG8, X86_CMPXCHG16, X86_CMPXCHG) | X86_LOCK, wj_ireg(i->a), m);
	zero_extend(j, size, RAX, RAX);
	restore_base(j, moved);
}
