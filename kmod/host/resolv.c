// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stub resolver; see wj_resolv.h.
 *
 * One lookup opens a fresh connected UDP socket per server that it comes to ask: the
 * kernel picks a random port and drops what comes from elsewhere.  Servers are asked one
 * after the other, but an earlier one may still answer until the lookup ends.
 */
#include "wj_resolv.h"

#define NS_PER_MS		1000000ull
#define UDP_BUFFER		4096
#define EDNS_PAYLOAD		1232	/* fits in one packet everywhere (DNS flag day 2020) */
#define DATAGRAMS_PER_TURN	16
#define RCODE_NOTIMP		4

/* ---- /etc/resolv.conf ---- */

static void set_search(struct wj_resolv_conf *conf, struct wj_str words, u32 max)
{
	struct wj_str word;

	conf->search_count = 0;
	while (conf->search_count < max && wj_next_word(&words, &word)) {
		if (word.n > 1 && word.p[word.n - 1] == '.')
			word.n--;
		if (wj_str_copy(conf->search[conf->search_count], WJ_DNS_TEXT_SIZE, word))
			conf->search_count++;
	}
}

/* "name:number", at most `max`. */
static void take_limited(struct wj_str option, const char *name, u32 max, u32 *ret)
{
	struct wj_str value;
	u32 number;

	if (!wj_cut(&option, ':', &value) || !wj_str_is(option, name) ||
	    !wj_parse_u32(value, 0xffffffffu, &number))
		return;
	*ret = number < max ? number : max;
}

static void set_options(struct wj_resolv_conf *conf, struct wj_str words)
{
	u32 seconds = conf->timeout_ms / 1000;
	struct wj_str word;

	/* glibc's limits */
	while (wj_next_word(&words, &word)) {
		take_limited(word, "ndots", 15, &conf->ndots);
		take_limited(word, "timeout", 30, &seconds);
		take_limited(word, "attempts", 5, &conf->attempts);
		conf->rotate |= wj_str_is(word, "rotate");
		conf->edns |= wj_str_is(word, "edns0");
		conf->tcp_only |= wj_str_is(word, "use-vc");
		conf->no_aaaa |= wj_str_is(word, "no-aaaa");
	}
	conf->timeout_ms = (seconds ? seconds : 1) * 1000;
	if (!conf->attempts)
		conf->attempts = 1;
}

static int add_server(struct wj_process *p, struct wj_resolv_conf *conf, struct wj_str text,
		      u16 port)
{
	struct wj_address *server = &conf->server[conf->server_count];
	int r;

	if (conf->server_count == WJ_RESOLV_SERVERS)
		return 0;
	r = wj_address_from_text(p, text, server);
	server->port = port;
	if (r > 0)
		conf->server_count++;
	return wj_is_restart(r) ? r : 0;
}

int wj_resolv_conf_read(struct wj_process *p, const struct wj_resolver *resolver,
			struct wj_resolv_conf *ret)
{
	u16 port = resolver->port ? resolver->port : WJ_DNS_PORT;
	struct wj_lines lines;
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->ndots = 1;
	ret->attempts = 2;
	ret->timeout_ms = 5000;
	r = wj_lines_open(&lines, p, resolver->conf_path ? resolver->conf_path : WJ_RESOLV_PATH,
			  0, WJ_RESOLV_FILE_MAX);
	if (r && r != -ENOENT && r != -ENOTDIR && r != -EACCES && r != -EINVAL)
		return r;
	if (!r) {
		struct wj_str line, key, value;
		char *text;

		while ((r = wj_lines_next(&lines, &text, &line.n)) > 0) {
			line.p = text;
			/* Comments start a line. */
			if (!wj_next_word(&line, &key) || *key.p == '#' || *key.p == ';')
				continue;
			if (wj_str_is(key, "search"))
				set_search(ret, line, WJ_RESOLV_SEARCH);
			else if (wj_str_is(key, "domain"))
				set_search(ret, line, 1);
			else if (wj_str_is(key, "options"))
				set_options(ret, line);
			else if (wj_str_is(key, "nameserver") && wj_next_word(&line, &value))
				r = add_server(p, ret, value, port);
			if (r < 0)
				break;
		}
		wj_lines_close(&lines);
		if (r < 0)
			return r;
	}
	if (!ret->server_count)
		add_server(p, ret, wj_str_of("127.0.0.1"), port);
	if (resolver->timeout_ms)
		ret->timeout_ms = resolver->timeout_ms;
	return 0;
}

/* ---- A lookup ---- */

struct question {
	struct wj_resolv_answer *answer;
	u8 text[WJ_DNS_QUERY_MAX];
	size_t size;
	u16 id;
	bool done;
	bool edns;
	u32 failed;			/* bit per server that would not answer this round */
	bool servfail, timeout;		/* why, over all rounds */
};

struct lookup {
	struct wj_process *p;
	const struct wj_resolv_conf *conf;
	const u8 *name;
	struct question question[2];
	u32 count;
	int fd[WJ_RESOLV_SERVERS];
	u8 buf[UDP_BUFFER];
};

/* Errors that have nothing to do with the server. */
static bool is_fatal(long r)
{
	return wj_is_restart(r) || r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -EFAULT;
}

static void build(struct lookup *l, struct question *q)
{
	q->size = wj_dns_query_build(q->text, q->id, l->name, q->answer->type,
				     q->edns ? EDNS_PAYLOAD : 0);
}

static void finish(struct lookup *l, struct question *q, const u8 *message, size_t size, u8 rcode)
{
	struct wj_dns_records *records = &q->answer->records;

	wj_dns_records_read(message, size, l->name, q->answer->type, records);
	if (records->count)
		q->answer->status = WJ_RESOLV_FOUND;
	else
		q->answer->status = rcode == WJ_DNS_NXDOMAIN ? WJ_RESOLV_NXDOMAIN :
				    WJ_RESOLV_NODATA;
	q->done = true;
}

/* The whole answer cannot be had: some of the addresses are better than none. */
static void finish_truncated(struct lookup *l, struct question *q, size_t size)
{
	struct wj_dns_records *records = &q->answer->records;

	wj_dns_records_read(l->buf, size, l->name, q->answer->type, records);
	if (!records->count)
		return;
	q->answer->status = WJ_RESOLV_FOUND;
	q->done = true;
}

static void refuse(struct question *q, u32 server, u8 rcode)
{
	q->failed |= 1u << server;
	q->servfail |= rcode == WJ_DNS_SERVFAIL;
}

/* 1 when the socket is ready for `events`, 0 when it is too late. */
static int wait_until(struct lookup *l, int fd, u16 events, u64 deadline)
{
	struct wj_poll_fd poll = { .fd = fd, .events = events };
	u64 now;
	long r;

	for (;;) {
		r = wj_now(l->p, false, &now);
		if (r)
			return (int)r;
		if (now >= deadline)
			return 0;
		r = wj_poll_fds(l->p, &poll, 1, deadline - now);
		if (r)
			return r > 0 ? 1 : (int)r;
	}
}

static int connect_stream(struct lookup *l, int fd, u32 server, u64 deadline)
{
	long r = wj_connect(l->p, fd, &l->conf->server[server]);

	if (r != -EINPROGRESS)
		return (int)r;
	r = wait_until(l, fd, WJ_POLLOUT, deadline);
	if (r <= 0)
		return r ? (int)r : -ETIMEDOUT;
	return wj_socket_error(l->p, fd);
}

/* Sends or receives exactly `size` bytes. */
static int transfer(struct lookup *l, int fd, u8 *data, size_t size, bool out, u64 deadline)
{
	while (size) {
		long r = out ? wj_send(l->p, fd, data, size) :
			       wj_receive_stream(l->p, fd, data, size);

		if (!r)
			return -ECONNRESET;
		if (r > 0) {
			if ((size_t)r > size)
				return -EIO;
			data += r;
			size -= (size_t)r;
			continue;
		}
		if (r != -EAGAIN)
			return (int)r;
		r = wait_until(l, fd, out ? WJ_POLLOUT : WJ_POLLIN, deadline);
		if (r <= 0)
			return r ? (int)r : -ETIMEDOUT;
	}
	return 0;
}

/* A question and its answer, each after two bytes of size (RFC 1035 section 4.2.2). */
static int exchange(struct lookup *l, struct question *q, u32 server, int fd, u64 deadline)
{
	u8 *message = NULL;
	u8 length[2] = { (u8)(q->size >> 8), (u8)q->size };
	u8 rcode = 0;
	size_t size;
	int r;

	r = connect_stream(l, fd, server, deadline);
	if (!r)
		r = transfer(l, fd, length, sizeof(length), true, deadline);
	if (!r)
		r = transfer(l, fd, q->text, q->size, true, deadline);
	if (!r)
		r = transfer(l, fd, length, sizeof(length), false, deadline);
	if (r)
		return r;
	size = (size_t)length[0] << 8 | length[1];
	message = wj_alloc(size + 1);
	if (!message)
		return -ENOMEM;
	r = transfer(l, fd, message, size, false, deadline);
	if (!r) {
		/* Truncated even so: what there is will do. */
		enum wj_dns_check check = wj_dns_check(message, size, q->id, l->name,
						       q->answer->type, &rcode);

		if (check == WJ_DNS_ANSWER || check == WJ_DNS_TRUNCATED)
			finish(l, q, message, size, rcode);
		else
			refuse(q, server, check == WJ_DNS_REFUSED ? rcode : WJ_DNS_FORMERR);
	}
	wj_free(message);
	return r;
}

static int ask_tcp(struct lookup *l, struct question *q, u32 server)
{
	u64 deadline;
	int r = wj_now(l->p, false, &deadline);
	long fd;

	if (r)
		return r;
	deadline += l->conf->timeout_ms * NS_PER_MS;
	fd = wj_socket(l->p, l->conf->server[server].family, WJ_SOCK_STREAM, WJ_IPPROTO_TCP);
	if (fd < 0) {
		r = (int)fd;
	} else {
		r = exchange(l, q, server, (int)fd, deadline);
		wj_close(l->p, (int)fd);
	}
	if (is_fatal(r))
		return r;
	if (r) {
		q->failed |= 1u << server;
		q->timeout = true;
	}
	return 0;
}

static int handle(struct lookup *l, u32 server, size_t size)
{
	bool cut = size > sizeof(l->buf);
	u32 i;

	if (cut)
		size = sizeof(l->buf);
	for (i = 0; i < l->count; i++) {
		struct question *q = &l->question[i];
		enum wj_dns_check check;
		u8 rcode = 0;

		if (q->done)
			continue;
		check = wj_dns_check(l->buf, size, q->id, l->name, q->answer->type, &rcode);
		if (check == WJ_DNS_FOREIGN)
			continue;
		if (check == WJ_DNS_TRUNCATED || (check == WJ_DNS_ANSWER && cut)) {
			int r = ask_tcp(l, q, server);

			if (!r && !q->done)
				finish_truncated(l, q, size);
			return r;
		}
		if (check == WJ_DNS_ANSWER) {
			finish(l, q, l->buf, size, rcode);
			return 0;
		}
		if (q->edns && (rcode == WJ_DNS_FORMERR || rcode == RCODE_NOTIMP)) {
			/* The server may not know EDNS. */
			long r;

			q->edns = false;
			build(l, q);
			r = wj_send(l->p, l->fd[server], q->text, q->size);
			if (r >= 0 || is_fatal(r))
				return r < 0 ? (int)r : 0;
		}
		refuse(q, server, rcode);
		return 0;
	}
	return 0;
}

static void fail_all(struct lookup *l, u32 server)
{
	u32 i;

	for (i = 0; i < l->count; i++) {
		if (l->question[i].done)
			continue;
		l->question[i].failed |= 1u << server;
		l->question[i].timeout = true;
	}
}

/* Is there a question that this server might still answer? */
static bool is_waiting(const struct lookup *l, u32 server)
{
	u32 i;

	for (i = 0; i < l->count; i++)
		if (!l->question[i].done && !(l->question[i].failed & 1u << server))
			return true;
	return false;
}

static bool is_done(const struct lookup *l)
{
	u32 i;

	for (i = 0; i < l->count; i++)
		if (!l->question[i].done)
			return false;
	return true;
}

/* Opens the server's socket, if need be, and sends what is not answered yet. */
static int send_questions(struct lookup *l, u32 server)
{
	long r;
	u32 i;

	if (l->fd[server] < 0) {
		r = wj_socket(l->p, l->conf->server[server].family, WJ_SOCK_DGRAM,
			      WJ_IPPROTO_UDP);
		if (r < 0)
			return (int)r;
		l->fd[server] = (int)r;
		r = wj_connect(l->p, l->fd[server], &l->conf->server[server]);
		if (r < 0) {
			wj_close(l->p, l->fd[server]);
			l->fd[server] = -1;
			return (int)r;
		}
	}
	for (i = 0; i < l->count; i++) {
		struct question *q = &l->question[i];

		if (q->done)
			continue;
		r = wj_send(l->p, l->fd[server], q->text, q->size);
		/* The first call after an ICMP error reports that and sends nothing. */
		if (r == -ECONNREFUSED)
			r = wj_send(l->p, l->fd[server], q->text, q->size);
		if (r < 0)
			return (int)r;
	}
	return 0;
}

static int receive(struct lookup *l, u32 server)
{
	u32 i;

	for (i = 0; i < DATAGRAMS_PER_TURN && !is_done(l); i++) {
		long r = wj_receive_datagram(l->p, l->fd[server], l->buf, sizeof(l->buf));
		int err;

		if (r == -EAGAIN)
			break;
		if (is_fatal(r))
			return (int)r;
		if (r < 0) {
			/* An error that stays would keep poll from waiting. */
			wj_close(l->p, l->fd[server]);
			l->fd[server] = -1;
			fail_all(l, server);
			break;
		}
		err = handle(l, server, (size_t)r);
		if (err)
			return err;
	}
	return 0;
}

static int wait_for_answers(struct lookup *l, u32 server)
{
	struct wj_poll_fd poll[WJ_RESOLV_SERVERS];
	u64 now, deadline;
	u32 i;
	int r = wj_now(l->p, false, &now);

	deadline = now + l->conf->timeout_ms * NS_PER_MS;
	while (!r && is_waiting(l, server) && now < deadline) {
		for (i = 0; i < WJ_RESOLV_SERVERS; i++) {
			poll[i].fd = l->fd[i];
			poll[i].events = WJ_POLLIN;
		}
		r = (int)wj_poll_fds(l->p, poll, WJ_RESOLV_SERVERS, deadline - now);
		if (r < 0)
			return r;
		for (i = 0, r = 0; i < WJ_RESOLV_SERVERS && !r; i++)
			if (poll[i].ready)
				r = receive(l, i);
		if (!r)
			r = wj_now(l->p, false, &now);
	}
	if (r)
		return r;
	if (is_waiting(l, server))
		for (i = 0; i < l->count; i++)
			l->question[i].timeout |= !l->question[i].done;
	return 0;
}

static int ask_server(struct lookup *l, u32 server)
{
	u32 i;
	int r;

	if (l->conf->tcp_only) {
		for (i = 0; i < l->count; i++) {
			r = l->question[i].done ? 0 : ask_tcp(l, &l->question[i], server);
			if (r)
				return r;
		}
		return 0;
	}
	r = send_questions(l, server);
	if (is_fatal(r))
		return r;
	if (r) {
		fail_all(l, server);
		return 0;
	}
	return wait_for_answers(l, server);
}

static int run(struct lookup *l, u32 first)
{
	u32 n = l->conf->server_count, round, i;

	for (round = 0; round < l->conf->attempts; round++) {
		for (i = 0; i < l->count; i++)
			l->question[i].failed = 0;
		for (i = 0; i < n; i++) {
			int r = ask_server(l, (first + i) % n);

			if (r || is_done(l))
				return r;
		}
	}
	for (i = 0; i < l->count; i++) {
		struct question *q = &l->question[i];

		if (q->done)
			continue;
		q->answer->status = q->timeout ? WJ_RESOLV_TIMEOUT :
				    q->servfail ? WJ_RESOLV_SERVFAIL : WJ_RESOLV_REFUSED;
	}
	return 0;
}

int wj_resolv_query(struct wj_process *p, struct wj_resolver *resolver,
		    const struct wj_resolv_conf *conf, const u8 *name,
		    struct wj_resolv_answer *answer, u32 count)
{
	struct lookup *l;
	u16 id[2];
	u32 i;
	int r;

	if (count > 2)
		return -EINVAL;
	l = wj_alloc(sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->p = p;
	l->conf = conf;
	l->name = name;
	l->count = count;
	for (i = 0; i < WJ_RESOLV_SERVERS; i++)
		l->fd[i] = -1;
	r = wj_random_bytes(p, id, sizeof(id));
	if (!r) {
		id[1] ^= id[0] == id[1];
		for (i = 0; i < count; i++) {
			l->question[i].answer = &answer[i];
			l->question[i].id = id[i];
			l->question[i].edns = conf->edns;
			build(l, &l->question[i]);
		}
		r = run(l, conf->rotate ? resolver->rotation % conf->server_count : 0);
	}
	for (i = 0; i < WJ_RESOLV_SERVERS; i++)
		wj_close(p, l->fd[i]);
	wj_free(l);
	return r;
}

/* ---- Hosts ---- */

/* Of the two types: found if one is; what says most about the name otherwise. */
static enum wj_resolv_status combine(enum wj_resolv_status a, enum wj_resolv_status b)
{
	static const enum wj_resolv_status order[] = {
		WJ_RESOLV_FOUND, WJ_RESOLV_TIMEOUT, WJ_RESOLV_SERVFAIL, WJ_RESOLV_REFUSED,
		WJ_RESOLV_NODATA,
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(order); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return WJ_RESOLV_NXDOMAIN;
}

/* host, or host.domain; the result's kind is in *status. */
static int query_host(struct wj_process *p, struct wj_resolver *resolver,
		      const struct wj_resolv_conf *conf, struct wj_str host,
		      const char *domain, bool v4, bool v6, struct wj_resolv_answer answer[2],
		      char canonical[WJ_DNS_TEXT_SIZE], enum wj_resolv_status *status)
{
	char text[WJ_DNS_TEXT_SIZE];
	u8 name[WJ_DNS_NAME_MAX];
	struct wj_str full = { text, host.n };
	size_t n = strlen(domain);
	u32 i;
	int r;

	*status = WJ_RESOLV_NXDOMAIN;
	if (host.n + 1 + n >= sizeof(text))
		return 0;
	memcpy(text, host.p, host.n);
	if (n) {
		text[host.n] = '.';
		memcpy(text + host.n + 1, domain, n);
		full.n += 1 + n;
	}
	if (!wj_dns_name_from_text(full, name))
		return 0;
	for (i = 0; i < 2; i++) {
		answer[i].type = i ? WJ_DNS_AAAA : WJ_DNS_A;
		answer[i].status = WJ_RESOLV_NODATA;
		answer[i].records.count = 0;
	}
	v6 = v6 && !conf->no_aaaa;
	if (v4 || v6)
		r = wj_resolv_query(p, resolver, conf, name, answer + !v4, (u32)v4 + v6);
	else
		r = 0;
	if (r)
		return r;
	*status = v4 && v6 ? combine(answer[0].status, answer[1].status) : answer[!v4].status;
	if (*status != WJ_RESOLV_FOUND)
		return 0;
	i = !answer[0].records.count;
	/* A name that no host can have is not shown. */
	if (!wj_dns_name_to_text(answer[i].records.canonical, canonical))
		wj_str_copy(canonical, WJ_DNS_TEXT_SIZE, full);
	return 0;
}

/* What ends the search: an answer, and failures that would only be met again. */
static bool is_final(enum wj_resolv_status status)
{
	return status == WJ_RESOLV_FOUND || status == WJ_RESOLV_TIMEOUT ||
	       status == WJ_RESOLV_REFUSED;
}

static int search(struct wj_process *p, struct wj_resolver *resolver,
		  const struct wj_resolv_conf *conf, struct wj_str host, bool v4, bool v6,
		  struct wj_resolv_answer answer[2], char canonical[WJ_DNS_TEXT_SIZE],
		  enum wj_resolv_status *status)
{
	bool absolute = host.p[host.n - 1] == '.', nodata = false, servfail = false;
	enum wj_resolv_status as_is = WJ_RESOLV_NXDOMAIN;
	bool first, tried = false;
	u32 dots = 0, i;
	size_t k;
	int r;

	if (absolute)
		host.n--;
	for (k = 0; k < host.n; k++)
		dots += host.p[k] == '.';
	first = absolute || dots >= conf->ndots;
	for (i = 0; i <= conf->search_count; i++) {
		if (first && !tried) {
			r = query_host(p, resolver, conf, host, "", v4, v6, answer, canonical,
				       status);
			tried = true;
			as_is = *status;
			if (r || absolute || is_final(*status))
				return r;
			nodata |= *status == WJ_RESOLV_NODATA;
			servfail |= *status == WJ_RESOLV_SERVFAIL;
		}
		if (i == conf->search_count)
			break;
		r = query_host(p, resolver, conf, host, conf->search[i], v4, v6, answer,
			       canonical, status);
		if (r || is_final(*status))
			return r;
		nodata |= *status == WJ_RESOLV_NODATA;
		servfail |= *status == WJ_RESOLV_SERVFAIL;
	}
	if (!tried) {
		r = query_host(p, resolver, conf, host, "", v4, v6, answer, canonical, &as_is);
		if (r || is_final(as_is)) {
			*status = as_is;
			return r;
		}
	}
	/* What the name itself gave says more than what was tried for its sake. */
	if (as_is == WJ_RESOLV_NXDOMAIN && nodata)
		as_is = WJ_RESOLV_NODATA;
	else if (as_is == WJ_RESOLV_NXDOMAIN && servfail)
		as_is = WJ_RESOLV_SERVFAIL;
	*status = as_is;
	return 0;
}

int wj_resolv_host(struct wj_process *p, struct wj_resolver *resolver, struct wj_str host,
		   bool v4, bool v6, struct wj_resolv_answer answer[2],
		   char canonical[WJ_DNS_TEXT_SIZE], enum wj_resolv_status *status)
{
	struct wj_resolv_conf *conf;
	int r;

	*status = WJ_RESOLV_NXDOMAIN;
	if (!host.n)
		return 0;
	conf = wj_alloc(sizeof(*conf));
	if (!conf)
		return -ENOMEM;
	r = wj_resolv_conf_read(p, resolver, conf);
	if (!r)
		r = search(p, resolver, conf, host, v4, v6, answer, canonical, status);
	resolver->rotation++;
	wj_free(conf);
	return r;
}
