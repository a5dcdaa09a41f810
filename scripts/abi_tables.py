# SPDX-License-Identifier: GPL-2.0-only
"""What the host layer has to know about the C ABI of Emscripten's libc.

Plain data for scripts/gen_abi.py: which headers to include, which types have a
size, which structures have fields, and which constants have a value that the
host reads or writes.  Nothing here is a number; the compilers give those.
"""

from __future__ import annotations

from typing import Final

HEADERS: Final = """
stddef.h stdint.h limits.h errno.h fcntl.h signal.h stdio.h stdlib.h time.h unistd.h poll.h sched.h
setjmp.h dirent.h dlfcn.h grp.h pwd.h netdb.h pthread.h semaphore.h spawn.h syslog.h termios.h
arpa/inet.h net/if.h netinet/in.h netinet/tcp.h netinet/udp.h
sys/epoll.h sys/eventfd.h sys/file.h sys/inotify.h sys/ioctl.h sys/mman.h sys/prctl.h sys/random.h
sys/resource.h sys/select.h sys/signalfd.h sys/socket.h sys/stat.h sys/statfs.h sys/statvfs.h
sys/sysinfo.h sys/time.h sys/timerfd.h sys/times.h sys/types.h sys/uio.h sys/un.h sys/utsname.h
sys/wait.h
""".split()

# Compiled for the guest only: Linux has no such header.
GUEST_HEADERS: Final = ("wasi/api.h",)

# Types that have nothing but a size.
TYPES: Final = """
blkcnt_t blksize_t clock_t clockid_t dev_t fd_set gid_t ino_t int jmp_buf sigjmp_buf long mode_t nfds_t
nlink_t off_t pid_t pthread_mutex_t rlim_t sa_family_t sem_t sigset_t size_t socklen_t suseconds_t
time_t uid_t void*
""".split()

# (name in macros, C type, fields as the C program spells them; [] has no size)
STRUCTS: Final = (
    (
        "stat",
        "struct stat",
        "st_dev st_mode st_nlink st_uid st_gid st_rdev st_size st_blksize st_blocks "
        "st_atim st_mtim st_ctim st_ino",
    ),
    ("dirent", "struct dirent", "d_ino d_off d_reclen d_type d_name"),
    (
        "statfs",
        "struct statfs",
        "f_type f_bsize f_blocks f_bfree f_bavail f_files f_ffree f_fsid f_namelen f_frsize f_flags",
    ),
    ("flock", "struct flock", "l_type l_whence l_start l_len l_pid"),
    ("f_owner_ex", "struct f_owner_ex", "type pid"),
    ("iovec", "struct iovec", "iov_base iov_len"),
    ("timespec", "struct timespec", "tv_sec tv_nsec"),
    ("timeval", "struct timeval", "tv_sec tv_usec"),
    ("timezone", "struct timezone", "tz_minuteswest tz_dsttime"),
    ("itimerval", "struct itimerval", "it_interval it_value"),
    ("itimerspec", "struct itimerspec", "it_interval it_value"),
    (
        "tm",
        "struct tm",
        "tm_sec tm_min tm_hour tm_mday tm_mon tm_year tm_wday tm_yday tm_isdst tm_gmtoff tm_zone",
    ),
    ("tms", "struct tms", "tms_utime tms_stime tms_cutime tms_cstime"),
    ("sigaction", "struct sigaction", "sa_handler sa_mask sa_flags sa_restorer"),
    (
        "siginfo",
        "siginfo_t",
        "si_signo si_errno si_code si_pid si_uid si_status si_utime si_stime si_value si_addr "
        "si_band si_fd si_timerid si_overrun si_ptr si_int",
    ),
    ("stack_t", "stack_t", "ss_sp ss_flags ss_size"),
    (
        "signalfd_siginfo",
        "struct signalfd_siginfo",
        "ssi_signo ssi_errno ssi_code ssi_pid ssi_uid ssi_fd ssi_status",
    ),
    ("epoll_event", "struct epoll_event", "events data"),
    ("pollfd", "struct pollfd", "fd events revents"),
    ("inotify_event", "struct inotify_event", "wd mask cookie len name[]"),
    ("sockaddr", "struct sockaddr", "sa_family sa_data"),
    ("sockaddr_in", "struct sockaddr_in", "sin_family sin_port sin_addr"),
    (
        "sockaddr_in6",
        "struct sockaddr_in6",
        "sin6_family sin6_port sin6_flowinfo sin6_addr sin6_scope_id",
    ),
    ("sockaddr_un", "struct sockaddr_un", "sun_family sun_path"),
    ("sockaddr_storage", "struct sockaddr_storage", "ss_family"),
    (
        "msghdr",
        "struct msghdr",
        "msg_name msg_namelen msg_iov msg_iovlen msg_control msg_controllen msg_flags",
    ),
    ("mmsghdr", "struct mmsghdr", "msg_hdr msg_len"),
    ("cmsghdr", "struct cmsghdr", "cmsg_len cmsg_level cmsg_type"),
    ("ucred", "struct ucred", "pid uid gid"),
    ("linger", "struct linger", "l_onoff l_linger"),
    ("in_pktinfo", "struct in_pktinfo", "ipi_ifindex ipi_spec_dst ipi_addr"),
    ("in6_pktinfo", "struct in6_pktinfo", "ipi6_addr ipi6_ifindex"),
    ("ip_mreq", "struct ip_mreq", "imr_multiaddr imr_interface"),
    ("ipv6_mreq", "struct ipv6_mreq", "ipv6mr_multiaddr ipv6mr_interface"),
    ("tcp_info", "struct tcp_info", "tcpi_state tcpi_rtt tcpi_rttvar tcpi_snd_cwnd tcpi_rcv_space"),
    (
        "addrinfo",
        "struct addrinfo",
        "ai_flags ai_family ai_socktype ai_protocol ai_addrlen ai_addr ai_canonname ai_next",
    ),
    ("hostent", "struct hostent", "h_name h_aliases h_addrtype h_length h_addr_list"),
    ("ifreq", "struct ifreq", "ifr_name ifr_ifindex ifr_flags ifr_addr ifr_mtu"),
    ("ifconf", "struct ifconf", "ifc_len ifc_buf"),
    (
        "passwd",
        "struct passwd",
        "pw_name pw_passwd pw_uid pw_gid pw_gecos pw_dir pw_shell",
    ),
    ("group", "struct group", "gr_name gr_passwd gr_gid gr_mem"),
    (
        "rusage",
        "struct rusage",
        "ru_utime ru_stime ru_maxrss ru_ixrss ru_idrss ru_isrss ru_minflt ru_majflt ru_nswap "
        "ru_inblock ru_oublock ru_msgsnd ru_msgrcv ru_nsignals ru_nvcsw ru_nivcsw",
    ),
    ("rlimit", "struct rlimit", "rlim_cur rlim_max"),
    (
        "sysinfo",
        "struct sysinfo",
        "uptime loads totalram freeram sharedram bufferram totalswap freeswap procs totalhigh "
        "freehigh mem_unit",
    ),
    ("sched_param", "struct sched_param", "sched_priority"),
    ("utsname", "struct utsname", "sysname nodename release version machine domainname"),
    ("winsize", "struct winsize", "ws_row ws_col ws_xpixel ws_ypixel"),
    ("termios", "struct termios", "c_iflag c_oflag c_cflag c_lflag c_line c_cc"),
)

# Structures of WASI, which the guest's libc uses for a few calls.
GUEST_STRUCTS: Final = (
    ("wasi_fdstat", "__wasi_fdstat_t", "fs_filetype fs_flags fs_rights_base fs_rights_inheriting"),
    ("wasi_ciovec", "__wasi_ciovec_t", "buf buf_len"),
)

ERRNO: Final = """
EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK
EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE
EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENOMSG EIDRM
ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT
EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP
EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ
ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT
ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH
ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT
ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM
EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED
EOWNERDEAD ENOTRECOVERABLE ERFKILL EHWPOISON
""".split()

# Groups only to keep the generated header readable: (heading, names).
# A name that one of the two C libraries does not define is left out of what
# is derived from it; the probe asks with #ifdef.
CONSTANTS: Final = (
    (
        "open and fcntl",
        "O_RDONLY O_WRONLY O_RDWR O_ACCMODE O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK "
        "O_NDELAY O_DSYNC O_SYNC O_RSYNC O_DIRECTORY O_NOFOLLOW O_CLOEXEC O_ASYNC O_DIRECT "
        "O_LARGEFILE O_NOATIME O_PATH O_TMPFILE O_EXEC O_SEARCH F_DUPFD F_DUPFD_CLOEXEC F_GETFD "
        "F_SETFD F_GETFL F_SETFL F_GETLK F_SETLK F_SETLKW F_OFD_GETLK F_OFD_SETLK F_OFD_SETLKW "
        "F_GETOWN F_SETOWN F_GETOWN_EX F_SETOWN_EX F_GETSIG F_SETSIG F_SETPIPE_SZ F_GETPIPE_SZ "
        "F_ADD_SEALS F_GET_SEALS F_SETLEASE F_GETLEASE F_NOTIFY F_OWNER_TID F_OWNER_PID "
        "F_OWNER_PGRP FD_CLOEXEC F_RDLCK "
        "F_WRLCK F_UNLCK LOCK_SH LOCK_EX LOCK_UN LOCK_NB SEEK_SET SEEK_CUR SEEK_END SEEK_DATA "
        "SEEK_HOLE R_OK W_OK X_OK F_OK",
    ),
    (
        "*at functions",
        "AT_FDCWD AT_SYMLINK_NOFOLLOW AT_SYMLINK_FOLLOW AT_REMOVEDIR AT_EACCESS AT_NO_AUTOMOUNT "
        "AT_EMPTY_PATH UTIME_NOW UTIME_OMIT",
    ),
    (
        "File types and modes",
        "S_IFMT S_IFSOCK S_IFLNK S_IFREG S_IFBLK S_IFDIR S_IFCHR S_IFIFO S_ISUID S_ISGID S_ISVTX "
        "DT_UNKNOWN DT_FIFO DT_CHR DT_DIR DT_BLK DT_REG DT_LNK DT_SOCK",
    ),
    (
        "Limits",
        "PATH_MAX NAME_MAX IOV_MAX PIPE_BUF NGROUPS_MAX ARG_MAX OPEN_MAX PAGE_SIZE PAGESIZE "
        "FD_SETSIZE SOMAXCONN NSIG _NSIG SSIZE_MAX",
    ),
    (
        "Signals",
        "SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGIOT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV "
        "SIGUSR2 SIGPIPE SIGALRM SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU "
        "SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPOLL SIGPWR SIGSYS "
        "SIG_BLOCK SIG_UNBLOCK SIG_SETMASK SA_NOCLDSTOP SA_NOCLDWAIT SA_SIGINFO SA_ONSTACK "
        "SA_RESTART SA_NODEFER SA_RESETHAND SA_RESTORER SS_ONSTACK SS_DISABLE MINSIGSTKSZ SIGSTKSZ "
        "SI_USER SI_KERNEL SI_QUEUE SI_TIMER SI_MESGQ SI_ASYNCIO SI_SIGIO SI_TKILL CLD_EXITED "
        "CLD_KILLED CLD_DUMPED CLD_TRAPPED CLD_STOPPED CLD_CONTINUED",
    ),
    ("Waiting for children", "WNOHANG WUNTRACED WSTOPPED WEXITED WCONTINUED WNOWAIT P_ALL P_PID P_PGID"),
    (
        "Memory",
        "PROT_NONE PROT_READ PROT_WRITE PROT_EXEC PROT_GROWSDOWN PROT_GROWSUP MAP_SHARED "
        "MAP_PRIVATE MAP_SHARED_VALIDATE MAP_TYPE MAP_FIXED MAP_FIXED_NOREPLACE MAP_ANON "
        "MAP_ANONYMOUS MAP_NORESERVE MAP_GROWSDOWN MAP_DENYWRITE MAP_EXECUTABLE MAP_LOCKED "
        "MAP_POPULATE MAP_NONBLOCK MAP_STACK MAP_HUGETLB MAP_SYNC MREMAP_MAYMOVE MREMAP_FIXED "
        "MS_ASYNC MS_SYNC MS_INVALIDATE MCL_CURRENT MCL_FUTURE MADV_NORMAL MADV_RANDOM "
        "MADV_SEQUENTIAL MADV_WILLNEED MADV_DONTNEED MADV_FREE MADV_REMOVE MADV_DONTFORK "
        "MADV_DOFORK MADV_MERGEABLE MADV_UNMERGEABLE MADV_HUGEPAGE MADV_NOHUGEPAGE MADV_DONTDUMP "
        "MADV_DODUMP MFD_CLOEXEC MFD_ALLOW_SEALING MFD_HUGETLB",
    ),
    (
        "poll",
        "POLLIN POLLPRI POLLOUT POLLERR POLLHUP POLLNVAL POLLRDNORM POLLRDBAND POLLWRNORM "
        "POLLWRBAND POLLMSG POLLRDHUP",
    ),
    (
        "epoll, eventfd, signalfd, timerfd, inotify",
        "EPOLLIN EPOLLPRI EPOLLOUT EPOLLERR EPOLLHUP EPOLLNVAL EPOLLRDNORM EPOLLRDBAND EPOLLWRNORM "
        "EPOLLWRBAND EPOLLMSG EPOLLRDHUP EPOLLEXCLUSIVE EPOLLWAKEUP EPOLLONESHOT EPOLLET "
        "EPOLL_CTL_ADD EPOLL_CTL_DEL EPOLL_CTL_MOD EPOLL_CLOEXEC EFD_SEMAPHORE EFD_CLOEXEC "
        "EFD_NONBLOCK SFD_CLOEXEC SFD_NONBLOCK TFD_CLOEXEC TFD_NONBLOCK TFD_TIMER_ABSTIME "
        "TFD_TIMER_CANCEL_ON_SET IN_CLOEXEC IN_NONBLOCK IN_ACCESS IN_MODIFY IN_ATTRIB "
        "IN_CLOSE_WRITE IN_CLOSE_NOWRITE IN_OPEN IN_MOVED_FROM IN_MOVED_TO IN_CREATE IN_DELETE "
        "IN_DELETE_SELF IN_MOVE_SELF IN_UNMOUNT IN_Q_OVERFLOW IN_IGNORED IN_ONLYDIR "
        "IN_DONT_FOLLOW IN_EXCL_UNLINK IN_MASK_ADD IN_ISDIR IN_ONESHOT",
    ),
    (
        "Sockets",
        "AF_UNSPEC AF_UNIX AF_LOCAL AF_INET AF_INET6 AF_NETLINK AF_PACKET SOCK_STREAM SOCK_DGRAM "
        "SOCK_RAW SOCK_RDM SOCK_SEQPACKET SOCK_CLOEXEC SOCK_NONBLOCK SHUT_RD SHUT_WR SHUT_RDWR "
        "SOL_SOCKET SOL_IP SOL_IPV6 SOL_TCP SOL_UDP SOL_UDPLITE SOL_RAW SOL_NETLINK SO_DEBUG "
        "SO_REUSEADDR SO_TYPE SO_ERROR "
        "SO_DONTROUTE SO_BROADCAST SO_SNDBUF SO_RCVBUF SO_KEEPALIVE SO_OOBINLINE SO_NO_CHECK "
        "SO_PRIORITY SO_LINGER SO_BSDCOMPAT SO_REUSEPORT SO_PASSCRED SO_PEERCRED SO_RCVLOWAT "
        "SO_SNDLOWAT SO_RCVTIMEO SO_SNDTIMEO SO_SNDBUFFORCE SO_RCVBUFFORCE SO_BINDTODEVICE "
        "SO_ATTACH_FILTER SO_DETACH_FILTER SO_PEERNAME SO_TIMESTAMP SO_TIMESTAMPNS SO_TIMESTAMPING "
        "SO_ACCEPTCONN "
        "SO_PEERSEC SO_PASSSEC SO_MARK SO_PROTOCOL SO_DOMAIN SO_RXQ_OVFL SO_PEEK_OFF SO_BUSY_POLL "
        "SO_INCOMING_CPU SO_ZEROCOPY SO_COOKIE SO_INCOMING_NAPI_ID SO_MAX_PACING_RATE "
        "SCM_RIGHTS SCM_CREDENTIALS SCM_TIMESTAMP MSG_OOB MSG_PEEK MSG_DONTROUTE "
        "MSG_CTRUNC MSG_PROXY MSG_TRUNC MSG_DONTWAIT MSG_EOR MSG_WAITALL MSG_FIN MSG_SYN "
        "MSG_CONFIRM MSG_RST MSG_ERRQUEUE MSG_NOSIGNAL MSG_MORE MSG_WAITFORONE MSG_BATCH "
        "MSG_ZEROCOPY MSG_FASTOPEN MSG_CMSG_CLOEXEC",
    ),
    (
        "Internet protocols",
        "IPPROTO_IP IPPROTO_ICMP IPPROTO_TCP IPPROTO_UDP IPPROTO_IPV6 IPPROTO_ICMPV6 IPPROTO_SCTP "
        "IPPROTO_UDPLITE IPPROTO_RAW IP_TOS IP_TTL IP_HDRINCL IP_OPTIONS IP_RECVOPTS IP_PKTINFO "
        "IP_MTU_DISCOVER IP_PMTUDISC_DONT IP_PMTUDISC_WANT IP_PMTUDISC_DO IP_PMTUDISC_PROBE "
        "IP_RECVERR IP_RECVTTL IP_RECVTOS IP_MTU IP_FREEBIND IP_TRANSPARENT "
        "IP_ORIGDSTADDR IP_RECVORIGDSTADDR IP_MULTICAST_IF IP_MULTICAST_TTL IP_MULTICAST_LOOP "
        "IP_ADD_MEMBERSHIP IP_DROP_MEMBERSHIP IP_BIND_ADDRESS_NO_PORT IPV6_UNICAST_HOPS "
        "IPV6_MULTICAST_IF IPV6_MULTICAST_HOPS IPV6_MULTICAST_LOOP IPV6_JOIN_GROUP "
        "IPV6_LEAVE_GROUP IPV6_MTU_DISCOVER IPV6_MTU IPV6_RECVERR IPV6_V6ONLY IPV6_RECVPKTINFO "
        "IPV6_PKTINFO IPV6_RECVTCLASS IPV6_TCLASS IPV6_TRANSPARENT TCP_NODELAY TCP_MAXSEG TCP_CORK "
        "TCP_KEEPIDLE TCP_KEEPINTVL TCP_KEEPCNT TCP_SYNCNT TCP_LINGER2 TCP_DEFER_ACCEPT "
        "TCP_WINDOW_CLAMP TCP_INFO TCP_QUICKACK TCP_CONGESTION TCP_USER_TIMEOUT TCP_FASTOPEN "
        "TCP_FASTOPEN_CONNECT TCP_TIMESTAMP TCP_NOTSENT_LOWAT TCP_REPAIR TCP_ULP UDP_CORK "
        "UDP_SEGMENT UDP_GRO",
    ),
    (
        "getaddrinfo and getnameinfo",
        "AI_PASSIVE AI_CANONNAME AI_NUMERICHOST AI_V4MAPPED AI_ALL AI_ADDRCONFIG AI_NUMERICSERV "
        "NI_NUMERICHOST NI_NUMERICSERV NI_NOFQDN NI_NAMEREQD NI_DGRAM NI_MAXHOST NI_MAXSERV "
        "EAI_BADFLAGS EAI_NONAME EAI_AGAIN EAI_FAIL EAI_FAMILY EAI_SOCKTYPE EAI_SERVICE EAI_MEMORY "
        "EAI_SYSTEM EAI_OVERFLOW EAI_NODATA HOST_NOT_FOUND TRY_AGAIN NO_RECOVERY NO_DATA",
    ),
    (
        "Clocks and timers",
        "CLOCK_REALTIME CLOCK_MONOTONIC CLOCK_PROCESS_CPUTIME_ID CLOCK_THREAD_CPUTIME_ID "
        "CLOCK_MONOTONIC_RAW CLOCK_REALTIME_COARSE CLOCK_MONOTONIC_COARSE CLOCK_BOOTTIME "
        "CLOCK_REALTIME_ALARM CLOCK_BOOTTIME_ALARM CLOCK_TAI TIMER_ABSTIME ITIMER_REAL "
        "ITIMER_VIRTUAL ITIMER_PROF CLOCKS_PER_SEC TZNAME_MAX",
    ),
    (
        "Resources and scheduling",
        "RLIMIT_CPU RLIMIT_FSIZE RLIMIT_DATA RLIMIT_STACK RLIMIT_CORE RLIMIT_RSS RLIMIT_NPROC "
        "RLIMIT_NOFILE RLIMIT_MEMLOCK RLIMIT_AS RLIMIT_LOCKS RLIMIT_SIGPENDING RLIMIT_MSGQUEUE "
        "RLIMIT_NICE RLIMIT_RTPRIO RLIMIT_RTTIME RLIM_INFINITY RUSAGE_SELF RUSAGE_CHILDREN "
        "RUSAGE_THREAD PRIO_PROCESS PRIO_PGRP PRIO_USER SCHED_OTHER SCHED_FIFO SCHED_RR "
        "SCHED_BATCH SCHED_IDLE",
    ),
    (
        "prctl and getrandom",
        "PR_SET_PDEATHSIG PR_GET_PDEATHSIG PR_GET_DUMPABLE PR_SET_DUMPABLE PR_GET_KEEPCAPS "
        "PR_SET_KEEPCAPS PR_SET_NAME PR_GET_NAME PR_SET_NO_NEW_PRIVS PR_GET_NO_NEW_PRIVS "
        "PR_SET_SECCOMP PR_GET_SECCOMP PR_SET_CHILD_SUBREAPER PR_GET_CHILD_SUBREAPER "
        "PR_SET_TIMERSLACK PR_GET_TIMERSLACK PR_CAPBSET_READ PR_CAPBSET_DROP "
        "GRND_NONBLOCK GRND_RANDOM",
    ),
    (
        "ioctl",
        "TCGETS TCSETS TCSETSW TCSETSF TCGETA TCSETA TCSETAW TCSETAF TCSBRK TCXONC TCFLSH TIOCEXCL "
        "TIOCNXCL TIOCSCTTY TIOCGPGRP TIOCSPGRP TIOCOUTQ TIOCSTI TIOCGWINSZ TIOCSWINSZ TIOCINQ "
        "FIONREAD FIONBIO FIOASYNC FIOCLEX FIONCLEX TIOCNOTTY TIOCGSID TIOCGPTN TIOCSPTLCK "
        "SIOCATMARK SIOCGIFCONF SIOCGIFNAME SIOCGIFFLAGS SIOCGIFADDR SIOCGIFBRDADDR SIOCGIFNETMASK "
        "SIOCGIFMTU SIOCGIFHWADDR SIOCGIFINDEX SIOCOUTQ SIOCINQ",
    ),
    (
        "Terminals",
        "NCCS VINTR VQUIT VERASE VKILL VEOF VTIME VMIN VSWTC VSTART VSTOP VSUSP VEOL VREPRINT "
        "VDISCARD VWERASE VLNEXT VEOL2 IGNBRK BRKINT ICRNL IXON IXOFF OPOST ONLCR CSIZE CS8 CREAD "
        "PARENB HUPCL CLOCAL ISIG ICANON ECHO ECHOE ECHOK ECHONL NOFLSH TOSTOP ECHOCTL ECHOKE "
        "IEXTEN CBAUD B9600 B38400 TCSANOW TCSADRAIN TCSAFLUSH TCIFLUSH TCOFLUSH TCIOFLUSH",
    ),
    ("dlopen", "RTLD_LAZY RTLD_NOW RTLD_GLOBAL RTLD_LOCAL"),
    (
        "syslog and posix_spawn",
        "LOG_EMERG LOG_DEBUG LOG_DAEMON POSIX_SPAWN_RESETIDS POSIX_SPAWN_SETPGROUP "
        "POSIX_SPAWN_SETSIGDEF POSIX_SPAWN_SETSIGMASK",
    ),
    (
        "Advice",
        "POSIX_FADV_NORMAL POSIX_FADV_RANDOM POSIX_FADV_SEQUENTIAL POSIX_FADV_WILLNEED "
        "POSIX_FADV_DONTNEED POSIX_FADV_NOREUSE",
    ),
)

# Names that are enumerators, never macros: no #ifdef can find them.
ENUMERATORS: Final = frozenset("P_ALL P_PID P_PGID F_OWNER_TID F_OWNER_PID F_OWNER_PGRP".split())

# Not the same thing in the two C libraries, or not a constant in one of them:
# no use comparing.
NOT_COMPARED: Final = frozenset(
    "PAGE_SIZE PAGESIZE NSIG _NSIG MINSIGSTKSZ SIGSTKSZ SSIZE_MAX NCCS FD_SETSIZE SOMAXCONN "
    "TZNAME_MAX".split()
)

GUEST_CONSTANTS: Final = (
    (
        "WASI",
        "__WASI_FILETYPE_UNKNOWN __WASI_FILETYPE_BLOCK_DEVICE __WASI_FILETYPE_CHARACTER_DEVICE "
        "__WASI_FILETYPE_DIRECTORY __WASI_FILETYPE_REGULAR_FILE __WASI_FILETYPE_SOCKET_DGRAM "
        "__WASI_FILETYPE_SOCKET_STREAM __WASI_FILETYPE_SYMBOLIC_LINK __WASI_FDFLAGS_APPEND "
        "__WASI_FDFLAGS_DSYNC __WASI_FDFLAGS_NONBLOCK __WASI_FDFLAGS_RSYNC __WASI_FDFLAGS_SYNC "
        "__WASI_WHENCE_SET __WASI_WHENCE_CUR __WASI_WHENCE_END __WASI_CLOCKID_REALTIME "
        "__WASI_CLOCKID_MONOTONIC __WASI_CLOCKID_PROCESS_CPUTIME_ID "
        "__WASI_CLOCKID_THREAD_CPUTIME_ID",
    ),
)

# Emscripten 3.1.69 has none of these headers, nor the structures in them.
LATER_MISSING: Final = frozenset(
    "sys/epoll.h sys/eventfd.h sys/inotify.h sys/prctl.h sys/signalfd.h sys/timerfd.h "
    "epoll_event inotify_event signalfd_siginfo".split()
)
# Constants that no host function looks at, and the reserved end of a structure.
LATER_IGNORED: Final = frozenset(
    "SO_TIMESTAMP SO_TIMESTAMPNS SO_TIMESTAMPING SCM_TIMESTAMP SIZEOF_sched_param".split()
)

# WASI preview 1.  Every constant must exist.
WASI_STRUCTS: Final = (
    ("dirent", "__wasi_dirent_t", "d_next d_ino d_namlen d_type"),
    (
        "event",
        "__wasi_event_t",
        "userdata error type fd_readwrite.nbytes fd_readwrite.flags",
    ),
    ("fdstat", "__wasi_fdstat_t", "fs_filetype fs_flags fs_rights_base fs_rights_inheriting"),
    ("filestat", "__wasi_filestat_t", "dev ino filetype nlink size atim mtim ctim"),
    ("prestat", "__wasi_prestat_t", "tag u.dir.pr_name_len"),
    (
        "subscription",
        "__wasi_subscription_t",
        "userdata u.tag u.u.clock.id u.u.clock.timeout u.u.clock.flags u.u.fd_read.file_descriptor",
    ),
)

WASI_CONSTANTS: Final = (
    ("Errors that Linux does not have", "ERRNO_NOTCAPABLE"),
    (
        "Kinds of files",
        "FILETYPE_UNKNOWN FILETYPE_BLOCK_DEVICE FILETYPE_CHARACTER_DEVICE FILETYPE_DIRECTORY "
        "FILETYPE_REGULAR_FILE FILETYPE_SOCKET_DGRAM FILETYPE_SOCKET_STREAM FILETYPE_SYMBOLIC_LINK",
    ),
    ("Flags of descriptors", "FDFLAGS_APPEND FDFLAGS_DSYNC FDFLAGS_NONBLOCK FDFLAGS_RSYNC FDFLAGS_SYNC"),
    ("Flags of path_open", "OFLAGS_CREAT OFLAGS_DIRECTORY OFLAGS_EXCL OFLAGS_TRUNC"),
    ("Flags of paths", "LOOKUPFLAGS_SYMLINK_FOLLOW"),
    ("Which times to set", "FSTFLAGS_ATIM FSTFLAGS_ATIM_NOW FSTFLAGS_MTIM FSTFLAGS_MTIM_NOW"),
    (
        "poll_oneoff",
        "EVENTTYPE_CLOCK EVENTTYPE_FD_READ EVENTTYPE_FD_WRITE EVENTRWFLAGS_FD_READWRITE_HANGUP "
        "SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME",
    ),
    ("Sockets", "RIFLAGS_RECV_PEEK RIFLAGS_RECV_WAITALL ROFLAGS_RECV_DATA_TRUNCATED SDFLAGS_RD SDFLAGS_WR"),
    (
        "Advice",
        "ADVICE_NORMAL ADVICE_SEQUENTIAL ADVICE_RANDOM ADVICE_WILLNEED ADVICE_DONTNEED ADVICE_NOREUSE",
    ),
    (
        "Rights",
        "RIGHTS_FD_DATASYNC RIGHTS_FD_READ RIGHTS_FD_SEEK RIGHTS_FD_FDSTAT_SET_FLAGS RIGHTS_FD_SYNC "
        "RIGHTS_FD_TELL RIGHTS_FD_WRITE RIGHTS_FD_ADVISE RIGHTS_FD_ALLOCATE RIGHTS_PATH_CREATE_DIRECTORY "
        "RIGHTS_PATH_CREATE_FILE RIGHTS_PATH_LINK_SOURCE RIGHTS_PATH_LINK_TARGET RIGHTS_PATH_OPEN "
        "RIGHTS_FD_READDIR RIGHTS_PATH_READLINK RIGHTS_PATH_RENAME_SOURCE RIGHTS_PATH_RENAME_TARGET "
        "RIGHTS_PATH_FILESTAT_GET RIGHTS_PATH_FILESTAT_SET_SIZE RIGHTS_PATH_FILESTAT_SET_TIMES "
        "RIGHTS_FD_FILESTAT_GET RIGHTS_FD_FILESTAT_SET_SIZE RIGHTS_FD_FILESTAT_SET_TIMES "
        "RIGHTS_PATH_SYMLINK RIGHTS_PATH_REMOVE_DIRECTORY RIGHTS_PATH_UNLINK_FILE "
        "RIGHTS_POLL_FD_READWRITE RIGHTS_SOCK_SHUTDOWN RIGHTS_SOCK_ACCEPT",
    ),
    ("Preopened", "PREOPENTYPE_DIR"),
)
