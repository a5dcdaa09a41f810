// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one user may have at a time.  Memory is charged to control groups; these are the things
 * that control groups know nothing of.  Those with CAP_SYS_RESOURCE are not limited.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include "kernel.h"

static unsigned int max_guests = 256;
module_param(max_guests, uint, 0644);
MODULE_PARM_DESC(max_guests, "guests that one user may run at a time");

static unsigned int max_code = 50;
module_param(max_code, uint, 0644);
MODULE_PARM_DESC(max_code, "percentage of the executable memory that one user may fill");

struct wj_quota {
	struct list_head link;
	kuid_t user;
	u32 refs;
	u32 guests, chunks;
};

static DEFINE_MUTEX(lock);
static LIST_HEAD(quotas);

struct wj_quota *wj_quota_get(void)
{
	struct wj_quota *q;
	kuid_t user = current_uid();

	mutex_lock(&lock);
	list_for_each_entry(q, &quotas, link) {
		if (uid_eq(q->user, user)) {
			q->refs++;
			goto out;
		}
	}
	q = kzalloc(sizeof(*q), GFP_KERNEL_ACCOUNT);
	if (q) {
		q->user = user;
		q->refs = 1;
		list_add(&q->link, &quotas);
	}
out:
	mutex_unlock(&lock);
	return q;
}

void wj_quota_put(struct wj_quota *q)
{
	if (!q)
		return;
	mutex_lock(&lock);
	if (!--q->refs) {
		list_del(&q->link);
		kfree(q);
	}
	mutex_unlock(&lock);
}

int wj_quota_guest(struct wj_quota *q)
{
	int err = 0;

	mutex_lock(&lock);
	if (q->guests >= READ_ONCE(max_guests) && !capable(CAP_SYS_RESOURCE))
		err = -EAGAIN;
	else
		q->guests++;
	mutex_unlock(&lock);
	return err;
}

void wj_quota_end_guest(struct wj_quota *q)
{
	mutex_lock(&lock);
	q->guests--;
	mutex_unlock(&lock);
}

int wj_quota_chunks(struct wj_quota *q, u32 count, u32 all)
{
	int err = 0;

	mutex_lock(&lock);
	if ((u64)q->chunks + count > (u64)all * READ_ONCE(max_code) / 100 && !capable(CAP_SYS_RESOURCE))
		err = -EDQUOT;
	else
		q->chunks += count;
	mutex_unlock(&lock);
	return err;
}

void wj_quota_free_chunks(struct wj_quota *q, u32 count)
{
	mutex_lock(&lock);
	q->chunks -= count;
	mutex_unlock(&lock);
}
