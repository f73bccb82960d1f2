/* attack_calls.h: system calls that a hostile plugin makes in the middle of a batch, one row each:
 * the name and its arguments. hostile.so makes the call, the suite expects its name in the cause.
 *
 * SECRET is a path outside, HOST and WITNESS are process ids, ROOM is memory of its own. */
#ifndef SANDBOX_SELFTEST_ATTACK_CALLS_H
#define SANDBOX_SELFTEST_ATTACK_CALLS_H

/* clang-format off */
#define ATTACK_CALL_TABLE(X)                                                                       \
    /* files */                                                                                    \
    X(openat, AT_FDCWD, SECRET, O_RDONLY, 0, 0, 0)                                                 \
    X(openat2, AT_FDCWD, SECRET, ROOM, 24, 0, 0)                                                   \
    X(unlinkat, AT_FDCWD, SECRET, 0, 0, 0, 0)                                                      \
    X(renameat2, AT_FDCWD, SECRET, AT_FDCWD, SECRET, 0, 0)                                         \
    X(linkat, AT_FDCWD, SECRET, AT_FDCWD, SECRET, 0, 0)                                            \
    X(symlinkat, SECRET, AT_FDCWD, SECRET, 0, 0, 0)                                                \
    X(mkdirat, AT_FDCWD, SECRET, 0700, 0, 0, 0)                                                    \
    X(mknodat, AT_FDCWD, SECRET, 0600, 0, 0, 0)                                                    \
    X(fchmodat, AT_FDCWD, SECRET, 0777, 0, 0, 0)                                                   \
    X(fchownat, AT_FDCWD, SECRET, 0, 0, 0, 0)                                                      \
    X(utimensat, AT_FDCWD, SECRET, 0, 0, 0, 0)                                                     \
    X(truncate, SECRET, 0, 0, 0, 0, 0)                                                             \
    X(ftruncate, 1, 0, 0, 0, 0, 0)                                                                 \
    X(pwrite64, 1, ROOM, 1, 0, 0, 0)                                                               \
    X(statfs, SECRET, ROOM, 0, 0, 0, 0)                                                            \
    X(setxattr, SECRET, SECRET, ROOM, 1, 0, 0)                                                     \
    X(getdents64, 1, ROOM, 100, 0, 0, 0)                                                           \
    X(chdir, SECRET, 0, 0, 0, 0, 0)                                                                \
    X(chroot, SECRET, 0, 0, 0, 0, 0)                                                               \
    X(mount, SECRET, SECRET, SECRET, 0, 0, 0)                                                      \
    X(umount2, SECRET, 0, 0, 0, 0, 0)                                                              \
    X(pivot_root, SECRET, SECRET, 0, 0, 0, 0)                                                      \
    X(open_tree, AT_FDCWD, SECRET, 0, 0, 0, 0)                                                     \
    X(fsopen, SECRET, 0, 0, 0, 0, 0)                                                               \
    X(name_to_handle_at, AT_FDCWD, SECRET, ROOM, ROOM, 0, 0)                                       \
    X(open_by_handle_at, 0, ROOM, 0, 0, 0, 0)                                                      \
    X(io_uring_setup, 8, ROOM, 0, 0, 0, 0)                                                         \
    X(io_uring_enter, 3, 1, 0, 0, 0, 0)                                                            \
    X(io_uring_register, 3, 0, 0, 0, 0, 0)                                                         \
    X(sendfile, 4, 8, 0, 1, 0, 0)                                                                  \
    X(splice, 3, 0, 4, 0, 1, 0)                                                                    \
    X(vmsplice, 4, ROOM, 1, 0, 0, 0)                                                               \
    X(copy_file_range, 3, 0, 4, 0, 1, 0)                                                           \
    X(inotify_init1, 0, 0, 0, 0, 0, 0)                                                             \
    X(fanotify_init, 0, 0, 0, 0, 0, 0)                                                             \
    /* network */                                                                                  \
    X(socket, AF_INET, SOCK_STREAM, 0, 0, 0, 0)                                                    \
    X(socketpair, AF_UNIX, SOCK_STREAM, 0, ROOM, 0, 0)                                             \
    X(connect, 3, ROOM, 16, 0, 0, 0)                                                               \
    X(bind, 3, ROOM, 16, 0, 0, 0)                                                                  \
    X(listen, 3, 1, 0, 0, 0, 0)                                                                    \
    X(accept4, 3, 0, 0, 0, 0, 0)                                                                   \
    X(sendto, 3, ROOM, 1, 0, ROOM, 16)                                                             \
    X(sendmmsg, 3, ROOM, 1, 0, 0, 0)                                                               \
    X(setsockopt, 3, 1, 1, ROOM, 4, 0)                                                             \
    X(shutdown, 3, 2, 0, 0, 0, 0)                                                                  \
    /* processes */                                                                                \
    X(clone, SIGCHLD, 0, 0, 0, 0, 0)                                                               \
    X(execve, SECRET, 0, 0, 0, 0, 0)                                                               \
    X(execveat, 8, ROOM, 0, 0, AT_EMPTY_PATH, 0)                                                   \
    X(ptrace, 16 /* ATTACH */, HOST, 0, 0, 0, 0)                                                   \
    X(process_vm_readv, HOST, ROOM, 1, ROOM, 1, 0)                                                 \
    X(process_vm_writev, HOST, ROOM, 1, ROOM, 1, 0)                                                \
    X(process_madvise, 3, ROOM, 1, 4, 0, 0)                                                        \
    X(kcmp, HOST, WITNESS, 0, 0, 0, 0)                                                             \
    X(kill, HOST, SIGKILL, 0, 0, 0, 0)                                                             \
    X(tkill, WITNESS, SIGKILL, 0, 0, 0, 0)                                                         \
    X(tgkill, WITNESS, WITNESS, SIGKILL, 0, 0, 0)                                                  \
    X(rt_sigqueueinfo, WITNESS, SIGTERM, ROOM, 0, 0, 0)                                            \
    X(pidfd_open, WITNESS, 0, 0, 0, 0, 0)                                                          \
    X(pidfd_getfd, 3, 3, 0, 0, 0, 0)                                                               \
    X(pidfd_send_signal, 3, SIGKILL, 0, 0, 0, 0)                                                   \
    X(wait4, -1, 0, 0, 0, 0, 0)                                                                    \
    X(setsid, 0, 0, 0, 0, 0, 0)                                                                    \
    X(setpgid, 0, 0, 0, 0, 0, 0)                                                                   \
    X(unshare, 0x10000000, 0, 0, 0, 0, 0)                                                          \
    X(setns, 3, 0, 0, 0, 0, 0)                                                                     \
    /* the walls themselves */                                                                     \
    X(prctl, 4 /* DUMPABLE */, 1, 0, 0, 0, 0)                                                      \
    X(seccomp, 1, 0, ROOM, 0, 0, 0)                                                                \
    X(landlock_create_ruleset, ROOM, 8, 0, 0, 0, 0)                                                \
    X(landlock_restrict_self, 3, 0, 0, 0, 0, 0)                                                    \
    X(capset, ROOM, ROOM, 0, 0, 0, 0)                                                              \
    X(setuid, 0, 0, 0, 0, 0, 0)                                                                    \
    X(setresuid, 0, 0, 0, 0, 0, 0)                                                                 \
    X(setresgid, 0, 0, 0, 0, 0, 0)                                                                 \
    X(setgroups, 0, 0, 0, 0, 0, 0)                                                                 \
    X(prlimit64, 0, 7, ROOM, 0, 0, 0)                                                              \
    X(setrlimit, 7, ROOM, 0, 0, 0, 0)                                                              \
    X(personality, 0x0040000, 0, 0, 0, 0, 0)                                                       \
    X(sched_setaffinity, 0, 8, ROOM, 0, 0, 0)                                                      \
    X(sched_setscheduler, 0, 1, ROOM, 0, 0, 0)                                                     \
    X(setpriority, 0, 0, -20, 0, 0, 0)                                                             \
    X(ioprio_set, 1, 0, 0, 0, 0, 0)                                                                \
    /* memory and code */                                                                          \
    X(memfd_create, SECRET, 0, 0, 0, 0, 0)                                                         \
    X(memfd_secret, 0, 0, 0, 0, 0, 0)                                                              \
    X(mmap, 0, 4096, 7, 0x22, -1, 0)                                                               \
    X(mprotect, PAGE, 4096, 5, 0, 0, 0)                                                            \
    X(pkey_mprotect, PAGE, 4096, 7, -1, 0, 0)                                                      \
    X(remap_file_pages, PAGE, 4096, 0, 0, 0, 0)                                                    \
    X(userfaultfd, 0, 0, 0, 0, 0, 0)                                                               \
    X(shmget, 1, 4096, 01600, 0, 0, 0)                                                             \
    X(semget, 1, 1, 01600, 0, 0, 0)                                                                \
    X(msgget, 1, 01600, 0, 0, 0, 0)                                                                \
    X(mq_open, SECRET, 2, 0, 0, 0, 0)                                                              \
    X(mlock, PAGE, 4096, 0, 0, 0, 0)                                                               \
    X(mlockall, 3, 0, 0, 0, 0, 0)                                                                  \
    X(move_pages, HOST, 1, ROOM, 0, ROOM, 0)                                                       \
    X(mbind, PAGE, 4096, 1, ROOM, 1, 0)                                                            \
    /* the kernel */                                                                               \
    X(keyctl, 0, -1, 0, 0, 0, 0)                                                                   \
    X(add_key, SECRET, SECRET, ROOM, 1, -1, 0)                                                     \
    X(request_key, SECRET, SECRET, 0, -1, 0, 0)                                                    \
    X(bpf, 0, ROOM, 8, 0, 0, 0)                                                                    \
    X(perf_event_open, ROOM, 0, -1, -1, 0, 0)                                                      \
    X(init_module, ROOM, 1, SECRET, 0, 0, 0)                                                       \
    X(finit_module, 8, SECRET, 0, 0, 0, 0)                                                         \
    X(delete_module, SECRET, 0, 0, 0, 0, 0)                                                        \
    X(kexec_load, 0, 0, 0, 0, 0, 0)                                                                \
    X(reboot, 0, 0, 0, 0, 0, 0)                                                                    \
    X(swapon, SECRET, 0, 0, 0, 0, 0)                                                               \
    X(acct, SECRET, 0, 0, 0, 0, 0)                                                                 \
    X(syslog, 3, ROOM, 100, 0, 0, 0)                                                               \
    X(sethostname, SECRET, 4, 0, 0, 0, 0)                                                          \
    X(settimeofday, ROOM, 0, 0, 0, 0, 0)                                                           \
    X(clock_settime, 0, ROOM, 0, 0, 0, 0)                                                          \
    X(adjtimex, ROOM, 0, 0, 0, 0, 0)                                                               \
    X(quotactl, 0, SECRET, 0, 0, 0, 0)                                                             \
    X(nfsservctl, 0, 0, 0, 0, 0, 0)                                                                \
    /* descriptors without end */                                                                  \
    X(dup, 0, 0, 0, 0, 0, 0)                                                                       \
    X(dup3, 0, 40, 0, 0, 0, 0)                                                                     \
    X(fcntl, 0, 0 /* DUPFD */, 0, 0, 0, 0)                                                         \
    X(pipe2, ROOM, 0, 0, 0, 0, 0)                                                                  \
    X(eventfd2, 0, 0, 0, 0, 0, 0)                                                                  \
    X(epoll_create1, 0, 0, 0, 0, 0, 0)                                                             \
    X(timerfd_create, 0, 0, 0, 0, 0, 0)                                                            \
    X(signalfd4, -1, ROOM, 8, 0, 0, 0)

/* Calls that only x86-64 has. */
#if defined(__x86_64__)
#define ATTACK_CALL_X86_TABLE(X)                                                                   \
    X(open, SECRET, O_RDONLY, 0, 0, 0, 0)                                                          \
    X(creat, SECRET, 0600, 0, 0, 0, 0)                                                             \
    X(unlink, SECRET, 0, 0, 0, 0, 0)                                                               \
    X(rename, SECRET, SECRET, 0, 0, 0, 0)                                                          \
    X(fork, 0, 0, 0, 0, 0, 0)                                                                      \
    X(vfork, 0, 0, 0, 0, 0, 0)                                                                     \
    X(pipe, ROOM, 0, 0, 0, 0, 0)                                                                   \
    X(dup2, 0, 40, 0, 0, 0, 0)                                                                     \
    X(arch_prctl, 0x1002, ROOM, 0, 0, 0, 0)                                                        \
    X(modify_ldt, 0, ROOM, 16, 0, 0, 0)                                                            \
    X(iopl, 3, 0, 0, 0, 0, 0)                                                                      \
    X(ioperm, 0, 1, 1, 0, 0, 0)                                                                    \
    X(uselib, SECRET, 0, 0, 0, 0, 0)
#else
#define ATTACK_CALL_X86_TABLE(X)
#endif
/* clang-format on */

#endif
