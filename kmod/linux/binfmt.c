// SPDX-License-Identifier: GPL-2.0-only
/*
 * execve of wasm modules and of images: both are programs whose interpreter is the launcher, as
 * scripts have theirs.  The launcher finds the file itself as a descriptor (AT_EXECFD), so it may
 * be executable without being readable, and its name need not mean anything.
 *
 * The launcher's file was opened when the module was loaded, or when the parameter was set: an
 * execve after chroot, in a container or as somebody else has the same.
 */
#include <linux/binfmts.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include "kernel.h"

#define DEFAULT_LAUNCHER "/usr/lib/pywasmjit/pywasmjit-launch"

static const u8 wasm_magic[8] = { 0, 'a', 's', 'm', 1, 0, 0, 0 };
static const u8 image_magic[6] = { 0, 'w', 'j', 'i', 'm', 'g' };	/* then the version */

/* What has been opened for execution by the kernel's own rules must be let go by them. */
static int deny_writing(struct file *file)
{
#ifdef WJ_HAVE_EXE_FILE_DENY_WRITE_ACCESS
	return exe_file_deny_write_access(file);
#else
	return deny_write_access(file);
#endif
}

static void let_go(struct file *file)
{
	if (!file)
		return;
#ifdef WJ_HAVE_EXE_FILE_DENY_WRITE_ACCESS
	exe_file_allow_write_access(file);
#else
	allow_write_access(file);
#endif
	fput(file);
}

static DEFINE_MUTEX(lock);
static struct file *launcher;
static char launcher_path[256] = DEFAULT_LAUNCHER;
static bool launcher_wanted;		/* by a parameter: it must be there */
static bool initialised;

static int open_launcher(const char *path)
{
	struct file *file = open_exec(path);

	if (IS_ERR(file))
		return PTR_ERR(file);
	mutex_lock(&lock);
	swap(launcher, file);
	mutex_unlock(&lock);
	let_go(file);
	return 0;
}

static int set_launcher(const char *value, const struct kernel_param *param)
{
	char *path = kstrdup(value, GFP_KERNEL);
	int err = 0;

	if (!path)
		return -ENOMEM;
	strim(path);
	if (path[0] != '/' || strlen(path) >= sizeof(launcher_path))
		err = -EINVAL;
	else if (initialised)
		err = open_launcher(path);
	if (!err) {
		strscpy(launcher_path, path, sizeof(launcher_path));
		launcher_wanted = true;
	}
	kfree(path);
	return err;
}

static int get_launcher(char *buffer, const struct kernel_param *param)
{
	return scnprintf(buffer, PAGE_SIZE, "%s\n", launcher_path);
}

static const struct kernel_param_ops launcher_ops = {
	.set = set_launcher,
	.get = get_launcher,
};
module_param_cb(launcher, &launcher_ops, NULL, 0644);
MODULE_PARM_DESC(launcher, "program that runs wasm files given to execve (default " DEFAULT_LAUNCHER ")");

static char command[256] = "/usr/bin/pywasmjit";
module_param_string(pywasmjit, command, sizeof(command), 0644);
MODULE_PARM_DESC(pywasmjit, "program that lowers wasm modules (default /usr/bin/pywasmjit)");

/* A file of its own: whoever executes it closes it. */
static struct file *clone_launcher(void)
{
	struct file *file = ERR_PTR(-ENOENT);
	int err;

	mutex_lock(&lock);
	if (launcher)
		file = file_clone_open(launcher);
	mutex_unlock(&lock);
	if (IS_ERR(file))
		return file;
	err = deny_writing(file);
	if (err) {
		fput(file);
		return ERR_PTR(err);
	}
	return file;
}

/* One more argument, before those that there are. */
static int push(struct linux_binprm *bprm, const char *argument)
{
	int err = copy_string_kernel(argument, bprm);

	if (!err)
		bprm->argc++;
	return err;
}

/* pywasmjit-launch --host=kernel --pywasmjit=COMMAND --binfmt=NAME -- ARGV0 ... */
static int push_arguments(struct linux_binprm *bprm)
{
	char *name = kasprintf(GFP_KERNEL, "--binfmt=%s", bprm->interp), *lowers;
	int err = -ENOMEM;

	kernel_param_lock(THIS_MODULE);
	lowers = kasprintf(GFP_KERNEL, "--pywasmjit=%s", command);
	kernel_param_unlock(THIS_MODULE);
	if (name && lowers) {
		err = bprm->argc ? 0 : push(bprm, bprm->interp);
		if (!err)
			err = push(bprm, "--");
		if (!err)
			err = push(bprm, name);
		if (!err)
			err = push(bprm, lowers);
		if (!err)
			err = push(bprm, "--host=kernel");
		if (!err)
			err = push(bprm, "pywasmjit-launch");
	}
	kfree(name);
	kfree(lowers);
	return err;
}

static int load_wasm(struct linux_binprm *bprm)
{
	struct file *file;
	int err;

	if (memcmp(bprm->buf, wasm_magic, sizeof(wasm_magic)) &&
	    memcmp(bprm->buf, image_magic, sizeof(image_magic)))
		return -ENOEXEC;
	/* The launcher itself is no wasm file, or we would get here again. */
	if (bprm->have_execfd)
		return -ENOEXEC;
	file = clone_launcher();
	if (IS_ERR(file))
		return PTR_ERR(file);
	err = push_arguments(bprm);
	if (!err)
		err = bprm_change_interp("pywasmjit-launch", bprm);
	if (err) {
		let_go(file);
		return err;
	}
	bprm->interpreter = file;
	bprm->have_execfd = 1;
	return 0;
}

static struct linux_binfmt format = {
	.module = THIS_MODULE,
	.load_binary = load_wasm,
};

int wj_binfmt_init(void)
{
	int err;

	kernel_param_lock(THIS_MODULE);
	err = open_launcher(launcher_path);
	initialised = true;
	kernel_param_unlock(THIS_MODULE);
	if (err && launcher_wanted) {
		pr_err("wasm: launcher=%s cannot be opened (error %d)\n", launcher_path, -err);
		return -EINVAL;	/* -ENOENT would mean a symbol to insmod */
	}
	if (err)
		pr_info("wasm: no launcher at %s: wasm files cannot be executed directly until parameters/launcher names one\n",
			launcher_path);
	return 0;
}

void wj_binfmt_register(void)
{
	register_binfmt(&format);
}

void wj_binfmt_unregister(void)
{
	unregister_binfmt(&format);
}

/* Each execve that is on its way holds the module. */
void wj_binfmt_deinit(void)
{
	kernel_param_lock(THIS_MODULE);
	initialised = false;	/* the parameter can still be written */
	kernel_param_unlock(THIS_MODULE);
	let_go(launcher);
	launcher = NULL;
}
