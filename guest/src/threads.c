// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks for processes with one thread each.
 *
 * Emscripten's libc without threads makes every lock a function that succeeds.
 * Here they are real, because processes share them in MAP_SHARED memory.  All
 * functions of libc's library_pthread_stub.o are here: the linker takes that
 * file as a whole or not at all.
 */

#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>

#include "wjposix.h"

#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_WAIT_BITSET 9
#define FUTEX_CLOCK_REALTIME 256

/* Waits while *word == value; deadline is an absolute CLOCK_REALTIME, or none. */
static int futex_wait(volatile int *word, int value, const struct timespec *deadline)
{
	if (!deadline)
		return -wj_host_syscall_futex(P(word), FUTEX_WAIT, value, 0, 0, 0);
	return -wj_host_syscall_futex(P(word), FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, value,
				      P(deadline), 0, -1);
}

static void futex_wake(volatile int *word, int count)
{
	wj_host_syscall_futex(P(word), FUTEX_WAKE, count, 0, 0, 0);
}

static int swap_if(volatile int *word, int expected, int wanted)
{
	return __sync_val_compare_and_swap(word, expected, wanted);
}

/*
 * Mutexes.  Where the parts are in pthread_mutex_t is our own business, but
 * PTHREAD_MUTEX_INITIALIZER and pthread_mutexattr_settype() of libc fill in
 * the type: the low bits of the first word.
 */
#define MUTEX_TYPE(mutex) ((mutex)->__u.__i[0] & 3)
#define MUTEX_STATE(mutex) (&(mutex)->__u.__vi[1]) /* 0 free, 1 taken, 2 and waited for */
#define MUTEX_OWNER(mutex) ((mutex)->__u.__vi[2])
#define MUTEX_DEPTH(mutex) ((mutex)->__u.__vi[3])

int pthread_mutex_init(pthread_mutex_t *restrict mutex,
		       const pthread_mutexattr_t *restrict attributes)
{
	memset(mutex, 0, sizeof(*mutex));
	if (attributes)
		mutex->__u.__i[0] = attributes->__attr & 3;
	return 0;
}

int pthread_mutex_destroy(pthread_mutex_t *mutex)
{
	return *MUTEX_STATE(mutex) ? EBUSY : 0;
}

/* 0 if the caller is the owner now; EBUSY if another one is. */
static int mutex_take(pthread_mutex_t *mutex)
{
	int type = MUTEX_TYPE(mutex);

	if (!swap_if(MUTEX_STATE(mutex), 0, 1))
		goto taken;
	if (type == PTHREAD_MUTEX_NORMAL || MUTEX_OWNER(mutex) != getpid())
		return EBUSY;
	if (type == PTHREAD_MUTEX_ERRORCHECK)
		return EDEADLK;
	if (MUTEX_DEPTH(mutex) == INT_MAX)
		return EAGAIN;
	MUTEX_DEPTH(mutex)++;
	return 0;
taken:
	if (type != PTHREAD_MUTEX_NORMAL) {
		MUTEX_OWNER(mutex) = getpid();
		MUTEX_DEPTH(mutex) = 0;
	}
	return 0;
}

int __pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	int ret = mutex_take(mutex);

	return ret == EDEADLK ? EBUSY : ret;
}

int __pthread_mutex_timedlock(pthread_mutex_t *restrict mutex,
			      const struct timespec *restrict deadline)
{
	int ret = mutex_take(mutex);

	if (ret != EBUSY)
		return ret;
	/* Say that somebody waits; whoever finds it free that way may have to wake us. */
	while (__sync_lock_test_and_set(MUTEX_STATE(mutex), 2))
		if (futex_wait(MUTEX_STATE(mutex), 2, deadline) == ETIMEDOUT)
			return ETIMEDOUT;
	if (MUTEX_TYPE(mutex) != PTHREAD_MUTEX_NORMAL) {
		MUTEX_OWNER(mutex) = getpid();
		MUTEX_DEPTH(mutex) = 0;
	}
	return 0;
}

int __pthread_mutex_lock(pthread_mutex_t *mutex)
{
	return __pthread_mutex_timedlock(mutex, NULL);
}

int __pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	if (MUTEX_TYPE(mutex) != PTHREAD_MUTEX_NORMAL) {
		if (!*MUTEX_STATE(mutex) || MUTEX_OWNER(mutex) != getpid())
			return EPERM;
		if (MUTEX_DEPTH(mutex)) {
			MUTEX_DEPTH(mutex)--;
			return 0;
		}
		MUTEX_OWNER(mutex) = 0;
	}
	if (__sync_fetch_and_and(MUTEX_STATE(mutex), 0) == 2)
		futex_wake(MUTEX_STATE(mutex), 1);
	return 0;
}

int pthread_mutex_consistent(pthread_mutex_t *mutex)
{
	(void)mutex;
	return EINVAL; /* no mutex is robust */
}

int pthread_mutexattr_init(pthread_mutexattr_t *attributes)
{
	attributes->__attr = 0;
	return 0;
}

int pthread_mutexattr_destroy(pthread_mutexattr_t *attributes)
{
	(void)attributes;
	return 0;
}

int pthread_mutexattr_settype(pthread_mutexattr_t *attributes, int type)
{
	if ((unsigned int)type > PTHREAD_MUTEX_ERRORCHECK)
		return EINVAL;
	attributes->__attr = (attributes->__attr & ~3u) | type;
	return 0;
}

int pthread_mutexattr_setprotocol(pthread_mutexattr_t *attributes, int protocol)
{
	(void)attributes;
	return protocol == PTHREAD_PRIO_NONE ? 0 : ENOTSUP;
}

/* Every lock works between processes. */
int pthread_mutexattr_setpshared(pthread_mutexattr_t *attributes, int shared)
{
	if ((unsigned int)shared > 1)
		return EINVAL;
	attributes->__attr = (attributes->__attr & 0x7fffffffu) | (unsigned int)shared << 31;
	return 0;
}

/* Condition variables: a counter that each signal moves on. */
#define CONDITION_COUNT(condition) (&(condition)->__u.__vi[0])

int pthread_cond_init(pthread_cond_t *restrict condition,
		      const pthread_condattr_t *restrict attributes)
{
	(void)attributes;
	memset(condition, 0, sizeof(*condition));
	return 0;
}

int pthread_cond_destroy(pthread_cond_t *condition)
{
	(void)condition;
	return 0;
}

int __pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
			     const struct timespec *restrict deadline)
{
	int seen = *CONDITION_COUNT(condition);
	int ret = __pthread_mutex_unlock(mutex);

	if (ret)
		return ret;
	/* A wake-up for no reason is allowed, so only the time-out matters. */
	ret = futex_wait(CONDITION_COUNT(condition), seen, deadline);
	__pthread_mutex_lock(mutex);
	return ret == ETIMEDOUT ? ETIMEDOUT : 0;
}

int pthread_cond_wait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex)
{
	return __pthread_cond_timedwait(condition, mutex, NULL);
}

int __private_cond_signal(pthread_cond_t *condition, int count)
{
	__sync_fetch_and_add(CONDITION_COUNT(condition), 1);
	futex_wake(CONDITION_COUNT(condition), count < 0 ? INT_MAX : count);
	return 0;
}

int pthread_cond_signal(pthread_cond_t *condition)
{
	return __private_cond_signal(condition, 1);
}

int pthread_cond_broadcast(pthread_cond_t *condition)
{
	return __private_cond_signal(condition, -1);
}

int pthread_condattr_init(pthread_condattr_t *attributes)
{
	attributes->__attr = 0;
	return 0;
}

int pthread_condattr_destroy(pthread_condattr_t *attributes)
{
	(void)attributes;
	return 0;
}

int pthread_condattr_setclock(pthread_condattr_t *attributes, clockid_t clock)
{
	(void)attributes;
	return clock == CLOCK_REALTIME ? 0 : EINVAL;
}

int pthread_condattr_setpshared(pthread_condattr_t *attributes, int shared)
{
	(void)attributes;
	return (unsigned int)shared > 1 ? EINVAL : 0;
}

/* Read-write locks: how many readers, or -1 for a writer. */
#define RWLOCK_STATE(lock) (&(lock)->__u.__vi[0])

int pthread_rwlock_init(pthread_rwlock_t *restrict lock,
			const pthread_rwlockattr_t *restrict attributes)
{
	(void)attributes;
	memset(lock, 0, sizeof(*lock));
	return 0;
}

int pthread_rwlock_destroy(pthread_rwlock_t *lock)
{
	return *RWLOCK_STATE(lock) ? EBUSY : 0;
}

int pthread_rwlock_tryrdlock(pthread_rwlock_t *lock)
{
	for (;;) {
		int state = *RWLOCK_STATE(lock);

		if (state < 0)
			return EBUSY;
		if (state == INT_MAX)
			return EAGAIN;
		if (swap_if(RWLOCK_STATE(lock), state, state + 1) == state)
			return 0;
	}
}

int pthread_rwlock_trywrlock(pthread_rwlock_t *lock)
{
	return swap_if(RWLOCK_STATE(lock), 0, -1) ? EBUSY : 0;
}

static int rwlock_lock(pthread_rwlock_t *lock, int (*try)(pthread_rwlock_t *),
		       const struct timespec *deadline)
{
	for (;;) {
		int state = *RWLOCK_STATE(lock);
		int ret = try(lock);

		if (ret != EBUSY)
			return ret;
		if (state && futex_wait(RWLOCK_STATE(lock), state, deadline) == ETIMEDOUT)
			return ETIMEDOUT;
	}
}

int pthread_rwlock_timedrdlock(pthread_rwlock_t *restrict lock,
			       const struct timespec *restrict deadline)
{
	return rwlock_lock(lock, pthread_rwlock_tryrdlock, deadline);
}

int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
	return rwlock_lock(lock, pthread_rwlock_tryrdlock, NULL);
}

int pthread_rwlock_timedwrlock(pthread_rwlock_t *restrict lock,
			       const struct timespec *restrict deadline)
{
	return rwlock_lock(lock, pthread_rwlock_trywrlock, deadline);
}

int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	return rwlock_lock(lock, pthread_rwlock_trywrlock, NULL);
}

int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
	int state = *RWLOCK_STATE(lock);

	if (state < 0)
		*RWLOCK_STATE(lock) = 0;
	else
		__sync_fetch_and_sub(RWLOCK_STATE(lock), 1);
	futex_wake(RWLOCK_STATE(lock), INT_MAX);
	return 0;
}

int pthread_rwlockattr_init(pthread_rwlockattr_t *attributes)
{
	memset(attributes, 0, sizeof(*attributes));
	return 0;
}

int pthread_rwlockattr_destroy(pthread_rwlockattr_t *attributes)
{
	(void)attributes;
	return 0;
}

int pthread_rwlockattr_setpshared(pthread_rwlockattr_t *attributes, int shared)
{
	(void)attributes;
	return (unsigned int)shared > 1 ? EINVAL : 0;
}

/* Spin locks give the processor away: the owner may need it. */
int pthread_spin_init(pthread_spinlock_t *lock, int shared)
{
	(void)shared;
	*lock = 0;
	return 0;
}

int pthread_spin_destroy(pthread_spinlock_t *lock)
{
	(void)lock;
	return 0;
}

int pthread_spin_trylock(pthread_spinlock_t *lock)
{
	return swap_if(lock, 0, 1) ? EBUSY : 0;
}

int pthread_spin_lock(pthread_spinlock_t *lock)
{
	while (pthread_spin_trylock(lock))
		sched_yield();
	return 0;
}

int pthread_spin_unlock(pthread_spinlock_t *lock)
{
	__sync_lock_release(lock);
	return 0;
}

/* Barriers: who is there, and how often it opened. */
#define BARRIER_LIMIT(barrier) ((barrier)->__u.__i[0])
#define BARRIER_COUNT(barrier) (&(barrier)->__u.__vi[1])
#define BARRIER_ROUND(barrier) (&(barrier)->__u.__vi[2])

int pthread_barrier_init(pthread_barrier_t *restrict barrier,
			 const pthread_barrierattr_t *restrict attributes, unsigned int count)
{
	(void)attributes;
	if (!count || count > INT_MAX)
		return EINVAL;
	memset(barrier, 0, sizeof(*barrier));
	BARRIER_LIMIT(barrier) = count;
	return 0;
}

int pthread_barrier_destroy(pthread_barrier_t *barrier)
{
	(void)barrier;
	return 0;
}

int pthread_barrier_wait(pthread_barrier_t *barrier)
{
	int round = *BARRIER_ROUND(barrier);

	if (__sync_add_and_fetch(BARRIER_COUNT(barrier), 1) == BARRIER_LIMIT(barrier)) {
		*BARRIER_COUNT(barrier) = 0;
		__sync_fetch_and_add(BARRIER_ROUND(barrier), 1);
		futex_wake(BARRIER_ROUND(barrier), INT_MAX);
		return PTHREAD_BARRIER_SERIAL_THREAD;
	}
	while (*BARRIER_ROUND(barrier) == round)
		futex_wait(BARRIER_ROUND(barrier), round, NULL);
	return 0;
}

/* Semaphores: the value, and how many wait. */
#define SEM_VALUE(sem) (&(sem)->__val[0])
#define SEM_WAITERS(sem) (&(sem)->__val[1])

int sem_init(sem_t *sem, int shared, unsigned int value)
{
	(void)shared;
	if (value > INT_MAX) {
		errno = EINVAL;
		return -1;
	}
	memset((void *)sem, 0, sizeof(*sem));
	*SEM_VALUE(sem) = value;
	return 0;
}

int sem_destroy(sem_t *sem)
{
	(void)sem;
	return 0;
}

int sem_getvalue(sem_t *restrict sem, int *restrict value)
{
	*value = *SEM_VALUE(sem);
	return 0;
}

int sem_post(sem_t *sem)
{
	int value;

	do {
		value = *SEM_VALUE(sem);
		if (value == INT_MAX) {
			errno = EOVERFLOW;
			return -1;
		}
	} while (swap_if(SEM_VALUE(sem), value, value + 1) != value);
	if (*SEM_WAITERS(sem))
		futex_wake(SEM_VALUE(sem), 1);
	return 0;
}

int sem_trywait(sem_t *sem)
{
	int value = *SEM_VALUE(sem);

	while (value > 0) {
		int found = swap_if(SEM_VALUE(sem), value, value - 1);

		if (found == value)
			return 0;
		value = found;
	}
	errno = EAGAIN;
	return -1;
}

int sem_timedwait(sem_t *restrict sem, const struct timespec *restrict deadline)
{
	while (sem_trywait(sem)) {
		int error;

		__sync_fetch_and_add(SEM_WAITERS(sem), 1);
		error = futex_wait(SEM_VALUE(sem), 0, deadline);
		__sync_fetch_and_sub(SEM_WAITERS(sem), 1);
		if (error == EINTR || error == ETIMEDOUT || error == EINVAL) {
			errno = error;
			return -1;
		}
	}
	return 0;
}

int sem_wait(sem_t *sem)
{
	return sem_timedwait(sem, NULL);
}

/* Named semaphores are files that every user maps. */
static int sem_path(char *path, size_t size, const char *name)
{
	while (*name == '/')
		name++;
	if (!*name || strchr(name, '/')) {
		errno = EINVAL;
		return -1;
	}
	if ((size_t)snprintf(path, size, "/dev/shm/sem.%s", name) >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

static sem_t *sem_map(int fd)
{
	sem_t *sem = mmap(NULL, sizeof(*sem), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return sem == MAP_FAILED ? SEM_FAILED : sem;
}

static sem_t *sem_create(const char *path, int flags, mode_t mode, unsigned int value)
{
	char temporary[] = "/dev/shm/.wjsem.XXXXXX";
	sem_t initial, *sem;
	int fd;

	if (sem_init(&initial, 1, value))
		return SEM_FAILED;
	/* Complete before it gets its name, so that nobody opens half of it. */
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return SEM_FAILED;
	sem = SEM_FAILED;
	if (write(fd, (void *)&initial, sizeof(initial)) == sizeof(initial) && !fchmod(fd, mode) &&
	    !link(temporary, path))
		sem = sem_map(fd);
	unlink(temporary);
	close(fd);
	/* Somebody was faster; theirs will do unless the caller said O_EXCL. */
	if (sem == SEM_FAILED && errno == EEXIST && !(flags & O_EXCL)) {
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return SEM_FAILED;
		sem = sem_map(fd);
		close(fd);
	}
	return sem;
}

sem_t *sem_open(const char *name, int flags, ...)
{
	char path[300];
	va_list list;
	mode_t mode;
	unsigned int value;
	sem_t *sem;
	int fd;

	if (sem_path(path, sizeof(path), name))
		return SEM_FAILED;
	fd = flags & O_CREAT && flags & O_EXCL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		sem = sem_map(fd);
		close(fd);
		return sem;
	}
	if (!(flags & O_CREAT))
		return SEM_FAILED;
	va_start(list, flags);
	mode = va_arg(list, mode_t);
	value = va_arg(list, unsigned int);
	va_end(list);
	return sem_create(path, flags, mode, value);
}

int sem_close(sem_t *sem)
{
	return munmap((void *)sem, sizeof(*sem));
}

int sem_unlink(const char *name)
{
	char path[300];

	return sem_path(path, sizeof(path), name) ? -1 : unlink(path);
}

/* Threads: there is one.  Its keys and once-functions work. */
int __pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
		     void *(*start)(void *), void *restrict argument)
{
	(void)thread, (void)attributes, (void)start, (void)argument;
	return EAGAIN;
}

int __pthread_join(pthread_t thread, void **result)
{
	(void)result;
	return thread == pthread_self() ? EDEADLK : ESRCH;
}

int __pthread_detach(pthread_t thread)
{
	return thread == pthread_self() ? 0 : ESRCH;
}

_Noreturn void __pthread_exit(void *result)
{
	(void)result;
	exit(0);
}

int pthread_cancel(pthread_t thread)
{
	return thread == pthread_self() ? 0 : ESRCH;
}

void pthread_testcancel(void)
{
}

int pthread_setcancelstate(int state, int *old)
{
	static int current = PTHREAD_CANCEL_ENABLE;

	if ((unsigned int)state > PTHREAD_CANCEL_DISABLE)
		return EINVAL;
	if (old)
		*old = current;
	current = state;
	return 0;
}

int pthread_setcanceltype(int type, int *old)
{
	static int current = PTHREAD_CANCEL_DEFERRED;

	if ((unsigned int)type > PTHREAD_CANCEL_ASYNCHRONOUS)
		return EINVAL;
	if (old)
		*old = current;
	current = type;
	return 0;
}

/* <pthread.h> makes this a macro. */
#undef pthread_equal
int pthread_equal(pthread_t one, pthread_t other)
{
	return one == other;
}

static struct {
	int used;
	const void *value;
} keys[PTHREAD_KEYS_MAX];

int __pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	(void)destructor; /* for threads that end before the process */
	for (int i = 0; i < PTHREAD_KEYS_MAX; i++) {
		if (keys[i].used)
			continue;
		keys[i].used = 1;
		keys[i].value = NULL;
		*key = i;
		return 0;
	}
	return EAGAIN;
}

int __pthread_key_delete(pthread_key_t key)
{
	if (key >= PTHREAD_KEYS_MAX || !keys[key].used)
		return EINVAL;
	keys[key].used = 0;
	return 0;
}

void *pthread_getspecific(pthread_key_t key)
{
	return key < PTHREAD_KEYS_MAX && keys[key].used ? (void *)keys[key].value : NULL;
}

int pthread_setspecific(pthread_key_t key, const void *value)
{
	if (key >= PTHREAD_KEYS_MAX || !keys[key].used)
		return EINVAL;
	keys[key].value = value;
	return 0;
}

int __pthread_once(pthread_once_t *control, void (*function)(void))
{
	if (!*control) {
		*control = 1;
		function();
	}
	return 0;
}

int pthread_attr_init(pthread_attr_t *attributes)
{
	memset(attributes, 0, sizeof(*attributes));
	return 0;
}

int pthread_attr_destroy(pthread_attr_t *attributes)
{
	(void)attributes;
	return 0;
}

int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
	(void)thread;
	return pthread_attr_init(attributes);
}

int pthread_attr_setdetachstate(pthread_attr_t *attributes, int state)
{
	(void)attributes;
	return (unsigned int)state > 1 ? EINVAL : 0;
}

int pthread_attr_setschedparam(pthread_attr_t *restrict attributes,
			       const struct sched_param *restrict param)
{
	(void)attributes, (void)param;
	return 0;
}

int pthread_attr_setstacksize(pthread_attr_t *attributes, size_t size)
{
	(void)attributes, (void)size;
	return 0;
}

/* What Emscripten's own code asks of its threads. */
int emscripten_has_threading_support(void)
{
	return 0;
}

void emscripten_force_num_logical_cores(int cores)
{
	(void)cores;
}

int emscripten_is_main_runtime_thread(void)
{
	return 1;
}

void emscripten_main_thread_process_queued_calls(void)
{
}

void emscripten_current_thread_process_queued_calls(void)
{
}

int emscripten_futex_wait(volatile void *address, unsigned int value, double milliseconds)
{
	(void)milliseconds;
	return -futex_wait(address, value, NULL);
}

int emscripten_futex_wake(volatile void *address, int count)
{
	return wj_host_syscall_futex(P(address), FUTEX_WAKE, count, 0, 0, 0);
}

/* Locks inside libc, between threads only. */
void __lock(void *lock)
{
	(void)lock;
}

void __unlock(void *lock)
{
	(void)lock;
}

void __wait(volatile int *address, volatile int *waiters, int value, int private)
{
	(void)address, (void)waiters, (void)value, (void)private;
}

#define ALIAS(name, target) \
	extern __typeof__(target) name __attribute__((weak, alias(#target)))

ALIAS(pthread_mutex_lock, __pthread_mutex_lock);
ALIAS(pthread_mutex_unlock, __pthread_mutex_unlock);
ALIAS(pthread_mutex_trylock, __pthread_mutex_trylock);
ALIAS(pthread_mutex_timedlock, __pthread_mutex_timedlock);
ALIAS(pthread_cond_timedwait, __pthread_cond_timedwait);
ALIAS(pthread_create, __pthread_create);
ALIAS(emscripten_builtin_pthread_create, __pthread_create);
ALIAS(pthread_join, __pthread_join);
ALIAS(emscripten_builtin_pthread_join, __pthread_join);
ALIAS(pthread_detach, __pthread_detach);
ALIAS(emscripten_builtin_pthread_detach, __pthread_detach);
ALIAS(thrd_detach, __pthread_detach);
ALIAS(pthread_exit, __pthread_exit);
ALIAS(pthread_key_create, __pthread_key_create);
ALIAS(pthread_key_delete, __pthread_key_delete);
ALIAS(pthread_once, __pthread_once);
