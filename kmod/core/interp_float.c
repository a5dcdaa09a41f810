// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interpreter's floating point: IEEE 754 as WebAssembly 2.0, section 4.3.3, has it.
 * Values are bit patterns outside of the few functions that need the machine's arithmetic,
 * which is assumed to round to nearest.  No library is called.
 */
#include "internal.h"

#define F32_SIGN	0x80000000u
#define F32_QUIET	0x00400000u
#define F64_SIGN	0x8000000000000000ull
#define F64_QUIET	0x0008000000000000ull

bool wj_float_available(void)
{
	return true;
}

static float f32(u64 bits)
{
	union { u32 bits; float value; } u = { .bits = (u32)bits };

	return u.value;
}

static u64 f32_bits(float value)
{
	union { float value; u32 bits; } u = { .value = value };

	return u.bits;
}

static double f64(u64 bits)
{
	union { u64 bits; double value; } u = { .bits = bits };

	return u.value;
}

static u64 f64_bits(double value)
{
	union { double value; u64 bits; } u = { .value = value };

	return u.bits;
}

static bool f32_is_nan(u64 bits)
{
	return (bits & 0x7fffffff) > 0x7f800000;
}

static bool f64_is_nan(u64 bits)
{
	return (bits & ~F64_SIGN) > 0x7ff0000000000000;
}

/* Square roots by instruction: the builtins may call a library. */
static double square_root(double value)
{
#if defined(__x86_64__)
	__asm__("sqrtsd %0, %0" : "+x"(value));
	return value;
#elif defined(__aarch64__)
	__asm__("fsqrt %d0, %d0" : "+w"(value));
	return value;
#elif defined(__s390x__)
	__asm__("sqdbr %0, %0" : "+f"(value));
	return value;
#else
	return __builtin_sqrt(value);
#endif
}

/*
 * The rounding of a double to an integer, with the sign kept.  Adding and subtracting 2^52
 * rounds to nearest, ties to even; the other directions correct that by one.  From 2^52
 * on every double is an integer.
 */
static double nearest(double value)
{
	double magnitude = f64(f64_bits(value) & ~F64_SIGN);
	volatile double shifted = magnitude + 0x1p52;

	if (!(magnitude < 0x1p52))
		return value;
	return f64(f64_bits(shifted - 0x1p52) | (f64_bits(value) & F64_SIGN));
}

static double with_sign_of(double magnitude, double value)
{
	return f64((f64_bits(magnitude) & ~F64_SIGN) | (f64_bits(value) & F64_SIGN));
}

static double floor_of(double value)
{
	double rounded = nearest(value);

	return with_sign_of(rounded > value ? rounded - 1 : rounded, value);
}

static double ceil_of(double value)
{
	double rounded = nearest(value);

	return with_sign_of(rounded < value ? rounded + 1 : rounded, value);
}

static double trunc_of(double value)
{
	return f64_bits(value) & F64_SIGN ? ceil_of(value) : floor_of(value);
}

/* An f32 is rounded as a double, which has all f32 and all integers among them. */
static int round_op(enum wj_op op, u64 a, u64 *ret)
{
	bool narrow = op >= WJ_OP_F32_CEIL && op <= WJ_OP_F32_NEAREST;
	double value;

	static_assert(WJ_OP_F32_NEAREST == WJ_OP_F32_CEIL + 3, "roundings are consecutive");
	if (narrow ? f32_is_nan(a) : f64_is_nan(a)) {
		*ret = a | (narrow ? F32_QUIET : F64_QUIET);
		return 0;
	}
	value = narrow ? f32(a) : f64(a);
	if (op == WJ_OP_F32_CEIL || op == WJ_OP_F64_CEIL)
		value = ceil_of(value);
	else if (op == WJ_OP_F32_FLOOR || op == WJ_OP_F64_FLOOR)
		value = floor_of(value);
	else if (op == WJ_OP_F32_TRUNC || op == WJ_OP_F64_TRUNC)
		value = trunc_of(value);
	else
		value = nearest(value);
	*ret = narrow ? f32_bits((float)value) : f64_bits(value);
	return 0;
}

/* Of NaNs the first operand wins; of zeros, min is the negative one and max the positive. */
static u64 f32_extreme(u64 a, u64 b, bool maximum)
{
	if (f32_is_nan(a))
		return a | F32_QUIET;
	if (f32_is_nan(b))
		return b | F32_QUIET;
	if (f32(a) == f32(b))
		return maximum ? a & b : a | b;
	return (f32(a) > f32(b)) == maximum ? a : b;
}

static u64 f64_extreme(u64 a, u64 b, bool maximum)
{
	if (f64_is_nan(a))
		return a | F64_QUIET;
	if (f64_is_nan(b))
		return b | F64_QUIET;
	if (f64(a) == f64(b))
		return maximum ? a & b : a | b;
	return (f64(a) > f64(b)) == maximum ? a : b;
}

/*
 * Truncation to an integer of `bits` bits: representable where low < value < high, both
 * exact doubles.  Where it is not, a trap, or with `saturate` the nearest end.
 */
struct range {
	double low, high;
	u64 min, max;
	bool is_signed, narrow;
};

static const struct range ranges[] = {
	{ -0x1.00000002p31, 0x1p31, 0x80000000, 0x7fffffff, true, true },
	{ -1, 0x1p32, 0, 0xffffffff, false, true },
	{ -0x1.0000000000001p63, 0x1p63, 1ull << 63, ~0ull >> 1, true, false },
	{ -1, 0x1p64, 0, ~0ull, false, false },
};

static int truncate(double value, const struct range *range, bool saturate, u64 *ret)
{
	if (value != value) {
		*ret = 0;
		return saturate ? 0 : WJ_TRAP_INVALID_CONVERSION;
	}
	if (!(value > range->low && value < range->high)) {
		*ret = value < 0 ? range->min : range->max;
		return saturate ? 0 : WJ_TRAP_INTEGER_OVERFLOW;
	}
	if (!range->is_signed && value >= 0x1p63)
		*ret = (u64)(s64)(value - 0x1p63) + (1ull << 63);
	else
		*ret = (u64)(s64)value;
	if (range->narrow)
		*ret = (u32)*ret;
	return 0;
}

/* I32_S, I32_U, I64_S, I64_U, each from F32_S, F32_U, F64_S, F64_U in isa.def's order. */
static int truncate_op(enum wj_op op, u64 a, u64 *ret)
{
	bool saturate = op >= WJ_OP_I32_TRUNC_SAT_F32_S;
	u32 i = saturate ? op - WJ_OP_I32_TRUNC_SAT_F32_S : op - WJ_OP_I32_TRUNC_F32_S;

	static_assert(WJ_OP_I32_TRUNC_F64_S == WJ_OP_I32_TRUNC_F32_S + 2 &&
		      WJ_OP_I64_TRUNC_F32_S == WJ_OP_I32_TRUNC_F32_S + 4 &&
		      WJ_OP_I32_TRUNC_SAT_F32_S == WJ_OP_I32_TRUNC_F32_S + 8 &&
		      WJ_OP_I64_TRUNC_SAT_F64_U == WJ_OP_I32_TRUNC_F32_S + 15,
		      "truncations are in the order of their bits");
	return truncate(i & 2 ? f64(a) : f32(a), &ranges[(i & 1) | (i >> 1 & 2)], saturate, ret);
}

/* Through the signed conversion; the lowest bit stands for those that get lost. */
static u64 halve(u64 a)
{
	return a >> 1 | (a & 1);
}

bool wj_float_compare(bool is_f64, u8 cc, u64 a, u64 b)
{
	double x = is_f64 ? f64(a) : f32(a), y = is_f64 ? f64(b) : f32(b);

	switch (cc) {
	case WJ_FCC_EQ:
		return x == y;
	case WJ_FCC_NE:
		return x != y;
	case WJ_FCC_LT:
		return x < y;
	case WJ_FCC_NLT:
		return !(x < y);
	case WJ_FCC_GT:
		return x > y;
	case WJ_FCC_NGT:
		return !(x > y);
	case WJ_FCC_LE:
		return x <= y;
	case WJ_FCC_NLE:
		return !(x <= y);
	case WJ_FCC_GE:
		return x >= y;
	}
	return !(x >= y);
}

#define CASE_F32(op, value)						\
	case WJ_OP_F32_##op:						\
		*ret = f32_bits(value);					\
		return 0;

#define CASE_F64(op, value)						\
	case WJ_OP_F64_##op:						\
		*ret = f64_bits(value);					\
		return 0;

#define CASE_BITS(op, value)						\
	case WJ_OP_##op:						\
		*ret = (value);						\
		return 0;

int wj_float_op(enum wj_op op, u64 a, u64 b, u64 *ret)
{
	switch ((int)op) {
	CASE_F32(ADD, f32(a) + f32(b))
	CASE_F32(SUB, f32(a) - f32(b))
	CASE_F32(MUL, f32(a) * f32(b))
	CASE_F32(DIV, f32(a) / f32(b))
	CASE_F64(ADD, f64(a) + f64(b))
	CASE_F64(SUB, f64(a) - f64(b))
	CASE_F64(MUL, f64(a) * f64(b))
	CASE_F64(DIV, f64(a) / f64(b))
	CASE_BITS(F32_MIN, f32_extreme(a, b, false))
	CASE_BITS(F32_MAX, f32_extreme(a, b, true))
	CASE_BITS(F64_MIN, f64_extreme(a, b, false))
	CASE_BITS(F64_MAX, f64_extreme(a, b, true))
	CASE_BITS(F32_COPYSIGN, (a & ~(u64)F32_SIGN) | (b & F32_SIGN))
	CASE_BITS(F64_COPYSIGN, (a & ~F64_SIGN) | (b & F64_SIGN))
	CASE_BITS(F32_ABS, a & ~(u64)F32_SIGN)
	CASE_BITS(F64_ABS, a & ~F64_SIGN)
	CASE_BITS(F32_NEG, a ^ F32_SIGN)
	CASE_BITS(F64_NEG, a ^ F64_SIGN)
	/* The root of an f32 rounded twice, by way of a double, is the same. */
	CASE_F32(SQRT, (float)square_root(f32(a)))
	CASE_F64(SQRT, square_root(f64(a)))
	CASE_F32(DEMOTE_F64, (float)f64(a))
	CASE_F64(PROMOTE_F32, f32(a))
	CASE_F32(CONVERT_I32_S, (float)(s32)a)
	CASE_F32(CONVERT_I32_U, (float)(s64)(u32)a)
	CASE_F32(CONVERT_I64_S, (float)(s64)a)
	CASE_F32(CONVERT_I64_U, (s64)a < 0 ? 2 * (float)(s64)halve(a) : (float)(s64)a)
	CASE_F64(CONVERT_I32_S, (s32)a)
	CASE_F64(CONVERT_I32_U, (double)(s64)(u32)a)
	CASE_F64(CONVERT_I64_S, (double)(s64)a)
	CASE_F64(CONVERT_I64_U, (s64)a < 0 ? 2 * (double)(s64)halve(a) : (double)(s64)a)
	}
	if (op >= WJ_OP_I32_TRUNC_F32_S && op <= WJ_OP_I64_TRUNC_SAT_F64_U)
		return truncate_op(op, a, ret);
	return round_op(op, a, ret);
}
