// SPDX-License-Identifier: GPL-2.0-only
/* /dev/wasm: uapi.h says what it does. */
#include <linux/file.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/siphash.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "kernel.h"
#include "../core/internal.h"

#define MAX_STRINGS	(2u << 20)	/* as much as execve takes by default */

#define HASH_PIECE	((size_t)64 << 10)

#define MAX_FORKED	64u		/* copies that wait, per file */

/* Images that further processes can take over. */
static DEFINE_MUTEX(images_lock);
static LIST_HEAD(images);
static siphash_key_t images_key;

/* Cookies of forks: as good as random, and not to be had from each other. */
static siphash_key_t cookies_key;
static atomic64_t cookies;

u32 wj_images(void)
{
	struct list_head *at;
	u32 n = 0;

	mutex_lock(&images_lock);
	list_for_each(at, &images)
		n++;
	mutex_unlock(&images_lock);
	return n;
}

static struct wj_shared *shared_create(void)
{
	struct wj_shared *shared = kzalloc(sizeof(*shared), GFP_KERNEL_ACCOUNT);

	if (!shared)
		return NULL;
	refcount_set(&shared->refs, 1);
	INIT_LIST_HEAD(&shared->link);
	if (wj_arena_init(&shared->arena)) {
		kfree(shared);
		return NULL;
	}
	return shared;
}

static void shared_put(struct wj_shared *shared)
{
	if (!shared || !refcount_dec_and_mutex_lock(&shared->refs, &images_lock))
		return;
	list_del(&shared->link);
	mutex_unlock(&images_lock);
	wj_arena_deinit(&shared->arena);
	kvfree(shared->bytes);
	kfree(shared);
}

/* Not to be steered by whoever makes images; only says which ones to compare. */
static u64 hash_image(const u8 *bytes, size_t size)
{
	u64 hash = size;

	for (size_t at = 0; at < size; at += HASH_PIECE) {
		hash = siphash_2u64(hash, siphash(bytes + at, min(size - at, HASH_PIECE), &images_key),
				    &images_key);
		cond_resched();
	}
	return hash;
}

static bool same_bytes(const u8 *a, const u8 *b, size_t size)
{
	for (size_t at = 0; at < size; at += HASH_PIECE) {
		if (memcmp(a + at, b + at, min(size - at, HASH_PIECE)))
			return false;
		cond_resched();
	}
	return true;
}

/*
 * The same image of the same user, with a reference, or NULL.  Of others' images nobody learns that
 * they are there, and nobody makes them stay on somebody else's account.
 */
static struct wj_shared *find_shared(const u8 *bytes, size_t size, u64 hash, const struct wj_quota *quota)
{
	struct wj_shared *shared, *found = NULL;

	mutex_lock(&images_lock);
	list_for_each_entry(shared, &images, link) {
		if (shared->hash == hash && shared->size == size && shared->arena.quota == quota) {
			found = shared;
			refcount_inc(&found->refs);	/* not 0: that happens under the lock */
			break;
		}
	}
	mutex_unlock(&images_lock);
	if (found && !same_bytes(found->bytes, bytes, size)) {
		shared_put(found);
		found = NULL;
	}
	return found;
}

static struct wj_context *context_create(struct wj_file *f)
{
	struct wj_context *c = kvzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);
	int err;

	if (!c)
		return ERR_PTR(-ENOMEM);
	err = wj_arena_init(&c->own);
	if (err)
		goto fail;
	err = wj_quota_guest(c->own.quota);
	if (err)
		goto fail_arena;
	c->arena = &c->own;
	c->file = f;
	c->process.platform = c;
	INIT_LIST_HEAD(&c->listed);
	return c;

fail_arena:
	wj_arena_deinit(&c->own);
fail:
	kvfree(c);
	return ERR_PTR(err);
}

/* current becomes the owner. */
static void context_own(struct wj_context *c)
{
	c->mm = current->mm;
	mmgrab(c->mm);
	smp_store_release(&c->task, get_task_struct(current));	/* stats.c looks */
	if (c->process.inst)
		c->process.inst->poll_flags = (u32 *)&current_thread_info()->flags;
}

/* Wherever the guest was, it is not running any more. */
static void context_destroy(struct wj_context *c)
{
	wj_stats_end(c);
	wj_quota_end_guest(c->own.quota);
	if (c->loaded)
		wj_image_destroy(c->shared->image);	/* its reference; the shared one stays */
	wj_arena_deinit(&c->own);
	shared_put(c->shared);
	wj_stacks_destroy(c);
	put_pid(c->child);
	if (c->task) {
		mmdrop(c->mm);
		put_task_struct(c->task);
	}
	kvfree(c);
}

static void contexts_destroy(struct list_head *dead)
{
	struct wj_context *c, *next;

	list_for_each_entry_safe(c, next, dead, link)
		context_destroy(c);
}

void wj_hide_fds(struct wj_context *c)
{
	u32 low = U32_MAX, high = 0;

	for (int i = 0; i < WJ_HIDDEN_FDS; i++) {
		if (c->hidden_fds[i] >= 0) {
			low = min(low, (u32)c->hidden_fds[i]);
			high = max(high, (u32)c->hidden_fds[i]);
		}
	}
	c->lowest_hidden_fd = low;
	c->hidden_range = low <= high ? high - low : 0;
}

/* Strings of argv or envp: exactly `count` of them, each with its NUL. */
static int copy_strings(struct wj_strings *to, u64 from, u32 count, u32 size)
{
	char *bytes;
	u32 n = 0;

	if (size > MAX_STRINGS)
		return -E2BIG;
	bytes = wj_alloc(size + 1);
	if (!bytes)
		return -ENOMEM;
	*to = (struct wj_strings){ .count = count, .size = size, .bytes = bytes };
	if (wj_copy_from_user(bytes, from, size))
		return -EFAULT;
	for (u32 i = 0; i < size; i++)
		n += !bytes[i];
	return n == count && (!size || !bytes[size - 1]) ? 0 : -EINVAL;
}

static int check_image(const struct wj_image *image, struct wj_error *error)
{
	if (wj_fpu_available())
		return 0;
	for (u32 i = 0; i < image->n_functions; i++) {
		if (!image->functions[i].has_floats)
			continue;
		*error = (struct wj_error){ .code = -ENOTSUPP, .function = i,
			.message = "this kernel cannot keep floating point registers: kernel_fpu_end could not be hooked" };
		return -EOPNOTSUPP;
	}
	return 0;
}

/* Verify, compile and bind the image in c->shared->bytes. */
static int make_image(struct wj_context *c, struct wj_error *error)
{
	struct wj_shared *shared = c->shared;
	int err;

	c->arena = &shared->arena;
	err = wj_image_create(shared->bytes, shared->size, error, &shared->image);
	if (!err)
		err = check_image(shared->image, error);
	if (!err)
		err = wj_jit_compile(shared->image, error, &shared->image->code);
	if (!err) {
		shared->externs = wj_alloc((wj_image_import_count(shared->image) + 1) * sizeof(*shared->externs));
		err = shared->externs ? wj_process_bind(&c->process, shared->image, shared->externs, error) : -ENOMEM;
	}
	c->arena = &c->own;
	return err;
}

/* c->shared: somebody else's or, where nobody has this image yet, a new one.  1 if it was there. */
static int get_image(struct wj_context *c, const struct wj_uapi_load *load, struct wj_error *error)
{
	size_t size = load->image_size;
	u8 *bytes = kvmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	struct wj_extern *externs;
	u64 hash;
	int err;

	if (!bytes)
		return -ENOMEM;
	if (wj_copy_from_user(bytes, load->image, size)) {
		kvfree(bytes);
		return -EFAULT;
	}
	hash = hash_image(bytes, size);
	c->shared = find_shared(bytes, size, hash, c->own.quota);
	if (c->shared) {
		kvfree(bytes);
		/* Again, for what it says about imports that nobody provides. */
		externs = wj_alloc((wj_image_import_count(c->shared->image) + 1) * sizeof(*externs));
		if (!externs)
			return -ENOMEM;
		err = wj_process_bind(&c->process, c->shared->image, externs, error);
		wj_free(externs);
		return err ? err : 1;
	}
	c->shared = shared_create();
	if (!c->shared) {
		kvfree(bytes);
		return -ENOMEM;
	}
	c->shared->bytes = bytes;
	c->shared->size = size;
	c->shared->hash = hash;
	err = make_image(c, error);
	if (err)
		return err;
	mutex_lock(&images_lock);
	list_add(&c->shared->link, &images);
	mutex_unlock(&images_lock);
	return 0;
}

/*
 * Behind the launcher's own data, in whose page tables there is room, and which this becomes part of:
 * so fork and exit have less to do.  Elsewhere if something is there.
 */
static unsigned long map_scratch(const void __user *near)
{
	struct vm_area_struct *vma;
	unsigned long hint;

	mmap_read_lock(current->mm);
	vma = find_vma(current->mm, (unsigned long)near);
	hint = vma ? vma->vm_end : 0;
	mmap_read_unlock(current->mm);
	return vm_mmap(NULL, hint, WJ_SCRATCH_SIZE + 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, 0);
}

/* 0, -errno, or a trap; *shared: the image was there already. */
static int load_guest(struct wj_context *c, const struct wj_uapi_load *load, const void __user *arg,
		      struct wj_error *error, bool *shared)
{
	struct wj_process *p = &c->process;
	unsigned long at;
	int err;

	err = wj_stacks_create(c, wj_run_guest);
	if (err)
		return err;
	at = map_scratch(arg);
	if (IS_ERR_VALUE(at))
		return at;
	c->scratch = at;
	err = copy_strings(&p->argv, load->argv, load->argc, load->argv_size);
	if (!err)
		err = copy_strings(&p->envp, load->envp, load->envc, load->envp_size);
	if (!err)
		err = copy_strings(&p->settings, load->settings, load->settings_count, load->settings_size);
	if (!err)
		err = wj_process_init(p);
	if (err)
		return err;

	err = get_image(c, load, error);
	if (err < 0)
		return err;
	*shared = err;
	err = wj_store_create(&p->store);
	if (!err)
		err = wj_instance_create(p->store, c->shared->image, WJ_ENGINE_JIT, c->shared->externs, p,
					 error, &p->inst);
	c->loaded = p->inst;
	return err;
}

/* Can what the handler interrupted be taken up again? */
static bool delivery_lost(const struct wj_level *l)
{
	if (l->delivery.place == WJ_AT_POLL)
		return l->called == WJ_CALLED_OTHER;
	return l->delivery.place == WJ_NOWHERE || l->called >= WJ_CALLED_POLL;
}

/*
 * The child has no copy of the host stack, so it goes on from the guest stack alone: possible where
 * all that is on the host stack is main, what setjmp needs (invoke_*), and handlers that interrupted
 * guest code or a host call.  Elsewhere, in the middle of a large memory.copy say, fork fails.
 *
 * From the innermost call, which forks, outwards.
 */
static int copy_levels(struct wj_context *to, struct wj_context *from)
{
	const struct wj_instance *inst = from->process.inst;
	const struct wj_jit_level *level = inst->store->level;
	const struct wj_invoke *invoke = from->process.invokes;
	const struct wj_delivery *delivery = from->process.deliveries;
	u64 guest_sp = inst->guest_sp, entry_sp = inst->entry_sp;
	u64 distance = to->guest_top - from->guest_top;
	u32 n = wj_call_depth(inst);

	to->levels = wj_alloc(n * sizeof(*to->levels));
	if (!to->levels)
		return -ENOMEM;
	to->n_levels = n;
	while (n--) {
		struct wj_level *l = &to->levels[n];

		l->guest_sp = guest_sp + distance;
		l->entry_sp = entry_sp + distance;
		if (!n)
			break;
		if (!level)
			goto fail;
		guest_sp = level->guest_sp;
		entry_sp = level->entry_sp;
		level = level->outer;
		l--;
		if (invoke && invoke->depth == n) {
			l->invoke = *invoke;
			invoke = invoke->outer;
		} else if (delivery && delivery->depth == n) {
			l->handler = true;
			l->delivery = *delivery;
			l->called = wj_jit_called(inst, guest_sp);
			delivery = delivery->outer;
			if (delivery_lost(l))
				goto fail;
		} else {
			goto fail;
		}
	}
	/* As many entries into guest code as calls: none of those was to an import directly. */
	if (!inst->unwinding && level && !level->outer)
		return 0;
fail:
	return -EAGAIN;
}

static int copy_guest(struct wj_context *to, struct wj_context *from)
{
	const struct wj_instance *inst = from->process.inst;
	u64 used = from->guest_top - inst->guest_sp;
	struct wj_instance *copy;
	int err;

	err = wj_stacks_create(to, wj_run_child);
	if (!err)
		err = wj_process_clone(&to->process, &from->process);
	if (!err)
		err = wj_instance_clone(inst, &to->process, &copy);
	if (err)
		return err;
	to->process.store = copy->store;
	/* Frames hold no addresses of the stack they are on. */
	memcpy((void *)(to->guest_top - used), (const void *)inst->guest_sp, used);
	err = copy_levels(to, from);
	if (err)
		return err;
	copy->stack_limit = to->guest_limit;
	to->process.store->stack_limit = to->guest_limit;
	to->process.store->stack_top = to->guest_top;
	to->process.inst = copy;
	to->shared = from->shared;
	refcount_inc(&to->shared->refs);
	to->scratch = from->scratch;
	to->max_memory = from->max_memory;
	to->handler = from->handler;
	to->restorer = from->restorer;
	to->blocked = from->blocked;
	memcpy(to->hidden_fds, from->hidden_fds, sizeof(to->hidden_fds));
	to->hidden_fds_at = from->hidden_fds_at;
	wj_hide_fds(to);
	return 0;
}

/* Copies whose child died before it claimed them; returns how many still wait. */
static u32 find_orphans(struct wj_file *f, struct list_head *dead)
{
	struct wj_context *c, *next;
	u32 waiting = 0;

	lockdep_assert_held(&f->lock);
	list_for_each_entry_safe(c, next, &f->contexts, link) {
		if (c->state != WJ_FORKED)
			continue;
		rcu_read_lock();
		if (c->child && !pid_task(c->child, PIDTYPE_PID))
			list_move(&c->link, dead);
		else
			waiting++;
		rcu_read_unlock();
	}
	return waiting;
}

int wj_context_fork(struct wj_context *c, u64 *cookie)
{
	struct wj_file *f = c->file;
	struct wj_context *copy;
	LIST_HEAD(dead);
	u32 waiting;
	int err;

	spin_lock(&f->lock);
	waiting = find_orphans(f, &dead);
	spin_unlock(&f->lock);
	contexts_destroy(&dead);
	if (waiting >= MAX_FORKED)
		return -EAGAIN;
	copy = context_create(f);
	if (IS_ERR(copy))
		return PTR_ERR(copy);
	c->arena = &copy->own;
	err = copy_guest(copy, c);
	c->arena = &c->own;
	if (err) {
		context_destroy(copy);
		return err;
	}
	do
		copy->cookie = siphash_1u64(atomic64_inc_return(&cookies), &cookies_key);
	while (!copy->cookie);
	*cookie = copy->cookie;
	copy->state = WJ_FORKED;
	wj_stats_begin(copy, false);
	spin_lock(&f->lock);
	list_add(&copy->link, &f->contexts);
	spin_unlock(&f->lock);
	return 0;
}

static struct wj_context *find_copy(struct wj_file *f, u64 cookie)
{
	struct wj_context *c;

	lockdep_assert_held(&f->lock);
	list_for_each_entry(c, &f->contexts, link) {
		if (c->state == WJ_FORKED && c->cookie == cookie)
			return c;
	}
	return NULL;
}

void wj_context_expect(struct wj_context *c, u64 cookie, long pid)
{
	struct pid *child = pid > 0 && pid <= PID_MAX_LIMIT ? find_get_pid(pid) : NULL;
	struct wj_file *f = c->file;
	struct wj_context *copy;
	LIST_HEAD(dead);

	spin_lock(&f->lock);
	copy = find_copy(f, cookie);
	if (copy && child)
		swap(copy->child, child);
	else if (copy)
		list_move(&copy->link, &dead);
	spin_unlock(&f->lock);
	put_pid(child);
	contexts_destroy(&dead);
}

static struct wj_context *find(struct wj_file *f)
{
	struct wj_context *c;

	lockdep_assert_held(&f->lock);
	list_for_each_entry(c, &f->contexts, link) {
		if (c->task == current && c->mm == current->mm)
			return c;
	}
	return NULL;
}

/* What a program that this task has executed since has left behind. */
static void forget_old(struct wj_file *f)
{
	struct wj_context *c, *next;
	LIST_HEAD(dead);

	spin_lock(&f->lock);
	list_for_each_entry_safe(c, next, &f->contexts, link) {
		if (c->task == current && c->mm != current->mm)
			list_move(&c->link, &dead);
	}
	spin_unlock(&f->lock);
	contexts_destroy(&dead);
}

static long ioctl_load(struct file *file, struct wj_uapi_load __user *arg)
{
	struct wj_file *f = file->private_data;
	struct wj_error error = { .function = ~0u };
	struct wj_uapi_load *load;
	struct wj_context *c, *other;
	bool shared = false;
	long ret;

	load = memdup_user(arg, sizeof(*load));
	if (IS_ERR(load))
		return PTR_ERR(load);
	ret = -EPROTO;
	if (load->version != WJ_UAPI_VERSION)
		goto out;
	ret = -EINVAL;
	if (load->flags & ~WJ_LOAD_TRACE || load->max_memory > 1ull << 32 || !load->argc)
		goto out;
	ret = -EFBIG;
	if (load->image_size > WJ_MAX_IMAGE_SIZE)
		goto out;
	ret = -EBUSY;
	if (wj_current_context())
		goto out;
	forget_old(f);
	c = context_create(f);
	if (IS_ERR(c)) {
		ret = PTR_ERR(c);
		wj_stats_refused();
		goto out;
	}
	context_own(c);
	c->max_memory = load->max_memory;
	c->handler = load->handler;
	c->restorer = load->restorer;
	c->process.trace = load->flags & WJ_LOAD_TRACE;
	memcpy(c->hidden_fds, load->hidden_fds, sizeof(c->hidden_fds));
	c->hidden_fds_at = (u64)arg->hidden_fds;
	wj_hide_fds(c);
	wj_enter(c);
	ret = load_guest(c, load, arg, &error, &shared);
	wj_leave(c);
	wj_stats_load(c, ret, shared);

	load->error = ret;
	load->section = error.section;
	load->function = error.function;
	load->offset = error.offset;
	memset(load->message, 0, sizeof(load->message));
	if (ret && error.message)
		strscpy(load->message, error.message, sizeof(load->message));
	if (copy_to_user(arg, load, sizeof(*load)))
		ret = -EFAULT;
	if (ret > 0)
		ret = -EINVAL;	/* a trap */
	if (!ret) {
		spin_lock(&f->lock);
		other = find(f);
		if (other) {
			ret = -EEXIST;
		} else {
			c->process.inst->poll_flags = (u32 *)&current_thread_info()->flags;
			c->state = WJ_SUSPENDED;
			list_add(&c->link, &f->contexts);
		}
		spin_unlock(&f->lock);
	}
	if (ret)
		context_destroy(c);
	else
		wj_stats_begin(c, true);
out:
	kfree(load);
	return ret;
}

/* The current task's context, which becomes RUNNING. */
static struct wj_context *begin_run(struct wj_file *f)
{
	struct wj_context *c;

	spin_lock(&f->lock);
	c = find(f);
	if (!c)
		c = ERR_PTR(-ESRCH);
	else if (c->state != WJ_SUSPENDED)
		c = ERR_PTR(-EBUSY);
	else
		c->state = WJ_RUNNING;
	spin_unlock(&f->lock);
	return c;
}

/* The copy that waits for this cookie, which becomes RUNNING in the current task. */
static struct wj_context *claim(struct wj_file *f, u64 cookie)
{
	struct wj_context *c;

	spin_lock(&f->lock);
	c = find_copy(f, cookie);
	if (!c || find(f)) {
		c = ERR_PTR(-ESRCH);
	} else {
		c->cookie = 0;
		c->state = WJ_RUNNING;
		context_own(c);
	}
	spin_unlock(&f->lock);
	if (!IS_ERR(c))
		sigprocmask(SIG_SETMASK, &c->blocked, NULL);
	return c;
}

static void end_run(struct wj_file *f, struct wj_context *c)
{
	spin_lock(&f->lock);
	c->state = WJ_SUSPENDED;
	spin_unlock(&f->lock);
}

/* What the launcher says, checked; nothing has happened if it is refused. */
static int take_order(struct wj_context *c, const struct wj_uapi_run *run, struct wj_uapi_run __user *arg)
{
	u64 base = wj_memory_base(c->process.inst);

	if (base && base + WJ_RESERVE > TASK_SIZE_MAX)
		return -EFAULT;
	if (run->op == WJ_OP_SIGNAL) {
		if (!run->signal || run->signal > WJ_SIGNALS || !c->started)
			return -EINVAL;
		if (copy_from_user(c->siginfo, (const void __user *)run->siginfo, sizeof(c->siginfo)))
			return -EFAULT;
		c->signal = run->signal;
	}
	/* Where the kernel restarts this ioctl the order has been carried out. */
	if (put_user((u32)WJ_OP_CONTINUE, &arg->op))
		return -EFAULT;
	c->op = run->op;
	c->result = run->result;
	return 0;
}

static long ioctl_run(struct file *file, struct wj_uapi_run __user *arg)
{
	struct wj_file *f = file->private_data;
	struct wj_uapi_run run;
	struct wj_context *c;
	long ret;

	if (copy_from_user(&run, arg, sizeof(run)))
		return -EFAULT;
	if (run.version != WJ_UAPI_VERSION)
		return -EPROTO;
	if (run.op > WJ_OP_CLAIM || run.reserved)
		return -EINVAL;
	/* A guest that found a way to call this would nest on the task's stack without end. */
	if (wj_current_context())
		return -EBUSY;
	c = run.op == WJ_OP_CLAIM ? claim(f, run.result) : begin_run(f);
	if (IS_ERR(c))
		return PTR_ERR(c);
	ret = take_order(c, &run, arg);
	if (ret) {
		end_run(f, c);
		return ret;
	}
	/* Whatever happens to the descriptor meanwhile: the file, and so the module, stay. */
	get_file(file);
	ret = wj_run(c);
	run.op = WJ_OP_CONTINUE;
	run.event = c->event;
	run.status = c->status;
	run.nr = c->nr;
	memcpy(run.args, c->args, sizeof(run.args));
	end_run(f, c);
	if (!ret && copy_to_user(arg, &run, sizeof(run)))
		ret = -EFAULT;
	fput(file);
	return ret;
}

static long ioctl_stats(struct file *file, struct wj_uapi_stats __user *arg)
{
	struct wj_file *f = file->private_data;
	struct wj_uapi_stats stats = { .version = WJ_UAPI_VERSION };
	struct wj_context *c;
	struct wj_stats core;
	u32 version;

	if (get_user(version, &arg->version))
		return -EFAULT;
	if (version != WJ_UAPI_VERSION)
		return -EPROTO;
	c = begin_run(f);
	if (IS_ERR(c))
		return PTR_ERR(c);
	wj_instance_stats(c->process.inst, &core);
	stats.functions_jitted = core.functions_jitted;
	stats.functions_interpreted = core.functions_interpreted;
	stats.code_bytes = core.code_bytes;
	stats.host_calls = core.host_calls;
	stats.traps = core.traps;
	stats.jit_ns = core.jit_ns;
	stats.system_calls = c->counts.system_calls;
	stats.returns = c->counts.returns;
	end_run(f, c);
	return copy_to_user(arg, &stats, sizeof(stats)) ? -EFAULT : 0;
}

static long wj_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
	switch (command) {
	case WJ_IOC_LOAD:
		return ioctl_load(file, (struct wj_uapi_load __user *)arg);
	case WJ_IOC_RUN:
		return ioctl_run(file, (struct wj_uapi_run __user *)arg);
	case WJ_IOC_STATS:
		return ioctl_stats(file, (struct wj_uapi_stats __user *)arg);
	}
	return -ENOTTY;
}

static int wj_open(struct inode *inode, struct file *file)
{
	struct wj_file *f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);

	if (!f)
		return -ENOMEM;
	spin_lock_init(&f->lock);
	INIT_LIST_HEAD(&f->contexts);
	file->private_data = f;
	return nonseekable_open(inode, file);
}

/* A descriptor is closed, by close, exec or exit: the guest of whoever does that ends. */
static int wj_flush(struct file *file, fl_owner_t id)
{
	struct wj_file *f = file->private_data;
	struct wj_context *c, *next;
	LIST_HEAD(dead);

	spin_lock(&f->lock);
	list_for_each_entry_safe(c, next, &f->contexts, link) {
		if (c->task == current && c->state != WJ_RUNNING)
			list_move(&c->link, &dead);
	}
	spin_unlock(&f->lock);
	contexts_destroy(&dead);
	return 0;
}

/* Nobody is inside: each ioctl holds the file. */
static int wj_release(struct inode *inode, struct file *file)
{
	struct wj_file *f = file->private_data;

	contexts_destroy(&f->contexts);
	wj_stacks_free(&f->spare);
	kfree(f);
	return 0;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = wj_open,
	.flush = wj_flush,
	.release = wj_release,
	.unlocked_ioctl = wj_ioctl,
};

/*
 * Guests can do no more than the processes they are; but whoever may run them also gets at all of
 * this code.  Root decides who that is: a udev rule, a group, an access control list.
 */
static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "wasm",
	.mode = 0600,
	.fops = &operations,
};

int wj_device_init(void)
{
	get_random_bytes(&images_key, sizeof(images_key));
	get_random_bytes(&cookies_key, sizeof(cookies_key));
	return misc_register(&device);
}

void wj_device_deinit(void)
{
	misc_deregister(&device);
}
