// SPDX-License-Identifier: GPL-2.0-only
/* Users and groups, and becoming another one. */

#include <grp.h>
#include <pwd.h>

#include "transcript.h"

static void show_user(const char *what, const struct passwd *user)
{
	if (!user)
		say("%s: none", what);
	else
		say("%s: %s %d %d %s %s", what, user->pw_name, (int)user->pw_uid,
		    (int)user->pw_gid, user->pw_dir, user->pw_shell);
}

static void show_group(const char *what, const struct group *group)
{
	if (!group)
		say("%s: none", what);
	else
		say("%s: %s %d", what, group->gr_name, (int)group->gr_gid);
}

static void look_up(void)
{
	struct passwd user, *found;
	struct group group, *found_group;
	char buffer[1024];
	int error;

	show_user("root", getpwnam("root"));
	show_user("0", getpwuid(0));
	show_user("nobody", getpwnam("nobody"));
	show_user("no such name", getpwnam("no-such-user"));
	show_user("no such number", getpwuid(3999999999u));
	show_group("root", getgrnam("root"));
	show_group("0", getgrgid(0));
	show_group("no such name", getgrnam("no-such-group"));

	error = getpwnam_r("root", &user, buffer, sizeof(buffer), &found);
	say("getpwnam_r: %s, found %d", error_name(error), found == &user);
	show_user("it", &user);
	error = getpwnam_r("root", &user, buffer, 3, &found);
	say("small buffer: %s, found %d", error_name(error), found != NULL);
	error = getpwuid_r(3999999999u, &user, buffer, sizeof(buffer), &found);
	say("nobody's number: %s, found %d", error_name(error), found != NULL);
	error = getgrgid_r(0, &group, buffer, sizeof(buffer), &found_group);
	say("getgrgid_r: %s %s", error_name(error), group.gr_name);
}

static void all(void)
{
	const struct passwd *user;
	const struct group *group;
	int users = 0, roots = 0, members = 0, again = 0;

	setpwent();
	while ((user = getpwent())) {
		users++;
		roots += user->pw_uid == 0;
	}
	endpwent();
	while (getpwent())
		again++;
	endpwent();
	say("users: some %d, the same number again %d, roots %d", users > 5, users == again,
	    roots);
	setgrent();
	users = 0;
	while ((group = getgrent())) {
		users++;
		for (char **name = group->gr_mem; *name; name++)
			members++;
	}
	endgrent();
	say("groups: some %d, members can be counted %d", users > 5, members >= 0);
}

static void memberships(void)
{
	gid_t groups[64];
	int count = 64, few = 0;

	say("getgrouplist: %d", getgrouplist("root", 12345, groups, &count) == count);
	say("its group is in it: %d", count > 0 && groups[0] == 12345);
	say("too small: %d", getgrouplist("root", 12345, groups, &few));
	say("says how many: %d", few == count);
}

/* As a server does: groups, then group, then user, and no way back. */
static void become(void)
{
	const struct passwd *nobody = getpwnam("nobody");
	uid_t real, effective, saved;
	gid_t groups[8];
	pid_t pid;

	if (getuid() != 0) {
		say("not root, cannot: %s", outcome(setuid(0)));
		return;
	}
	pid = MUST(fork());
	if (pid) {
		say("it %s", ended(reap(pid)));
		say("parent is still root: %d", getuid() == 0);
		return;
	}
	MUST(initgroups("nobody", nobody->pw_gid));
	say("groups: %ld", MUST(getgroups(8, groups)));
	say("first right: %d", groups[0] == nobody->pw_gid);
	MUST(setgroups(2, (gid_t[]){ 5, 6 }));
	say("groups: %ld", MUST(getgroups(8, groups)));
	say("first: %d", (int)groups[0]);
	MUST(setegid(7));
	say("effective: %d %d", (int)getegid(), (int)getgid());
	MUST(setgid(nobody->pw_gid));
	MUST(seteuid(nobody->pw_uid));
	MUST(getresuid(&real, &effective, &saved));
	say("ids: %d %d %d", (int)real, (int)effective, (int)saved);
	MUST(seteuid(0));
	MUST(setuid(nobody->pw_uid));
	MUST(getresuid(&real, &effective, &saved));
	say("ids: %d %d %d", (int)real, (int)effective, (int)saved);
	say("back to root: %s", outcome(setuid(0)));
	say("a root file: %s", outcome(open("/etc/shadow", O_RDONLY)));
	_exit(0);
}

int main(void)
{
	look_up();
	all();
	memberships();
	become();
	say("end");
	return 0;
}
