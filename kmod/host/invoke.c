// SPDX-License-Identifier: GPL-2.0-only
/* `pywasmjit exec --invoke`: one exported function instead of a program, and the settings that say so. */
#include "host.h"

const char *wj_setting_value(const char *setting, const char *prefix)
{
	size_t n = strlen(prefix);

	return strlen(setting) >= n && !memcmp(setting, prefix, n) ? setting + n : NULL;
}

const char *wj_setting_number(const char *s, u32 *ret)
{
	if (*s < '0' || *s > '9')
		return NULL;
	for (*ret = 0; *s >= '0' && *s <= '9'; s++) {
		if (check_mul_overflow(*ret, 10u, ret) || check_add_overflow(*ret, (u32)(*s - '0'), ret))
			return NULL;
	}
	return s;
}

const char *wj_setting(struct wj_process *p, const char *prefix)
{
	const char *s, *value;
	u32 i;

	wj_for_each_string(&p->settings, i, s) {
		value = wj_setting_value(s, prefix);
		if (value)
			return value;
	}
	return NULL;
}

static int hexadecimal(const char *s, u64 *ret)
{
	*ret = 0;
	if (!*s || strlen(s) > 16)
		return -EINVAL;
	for (; *s; s++) {
		u32 digit = *s >= 'a' ? *s - 'a' + 10 : *s - '0';

		if (digit > 15)
			return -EINVAL;
		*ret = *ret << 4 | digit;
	}
	return 0;
}

static int read_arguments(struct wj_process *p, const struct wj_func_type *type, u64 *values)
{
	const char *s, *value;
	u32 i, n = 0;

	wj_for_each_string(&p->settings, i, s) {
		value = wj_setting_value(s, "arg=");
		if (value && (n == type->n_params || hexadecimal(value, &values[n++])))
			return -EINVAL;
	}
	/* The upper half of an i32 is zero, whoever says otherwise. */
	for (i = 0; i < n; i++) {
		if (type->params[i] != WJ_I64 && type->params[i] != WJ_F64)
			values[i] = (u32)values[i];
	}
	return n == type->n_params ? 0 : -EINVAL;
}

static int write_results(struct wj_process *p, u32 count, const u64 *values)
{
	const char *setting = wj_setting(p, "results=");
	u64 scratch = wj_scratch_alloc(p, 17);
	u32 fd;

	if (!setting || !wj_setting_number(setting, &fd) || !scratch)
		return -EINVAL;
	for (u32 i = 0; i < count; i++) {
		char line[17];

		for (u32 j = 0; j < 16; j++)
			line[j] = "0123456789abcdef"[values[i] >> (60 - 4 * j) & 15];
		line[16] = '\n';
		if (wj_copy_to_user(scratch, line, sizeof(line)) ||
		    wj_sys(p, __NR_write, fd, scratch, sizeof(line), 0, 0, 0) != sizeof(line))
			return -EIO;
	}
	return 0;
}

/* -ENOENT, -EINVAL: there is no such function, or it takes other arguments. */
int wj_invoke_named(struct wj_process *p, const char *name)
{
	const struct wj_func_type *type;
	enum wj_kind kind;
	u64 *values;
	u32 index;
	int ret;

	if (wj_instance_export(p->inst, name, &kind, &index) || kind != WJ_FUNC)
		return -ENOENT;
	type = wj_instance_func_type(p->inst, index);
	values = wj_alloc((max(type->n_params, type->n_results) + 1) * sizeof(*values));
	if (!values)
		return -ENOMEM;
	ret = read_arguments(p, type, values);
	if (!ret)
		ret = wj_call(p->inst, index, values);
	if (!ret)
		ret = write_results(p, type->n_results, values);
	wj_free(values);
	return ret;
}
