/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* A process that is held at a point of what it does, instruction by instruction: what processes
 * share without a lock must be right wherever another one stands, or was killed. */
#ifndef STEP_H
#define STEP_H

#include <check.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* So many points of a function are tried at most, evenly spread: for each, a process does all that
 * comes before. */
#define STEP_POINTS 60

/* Makes one more instruction. False at the end of what the process does. */
static inline bool step_once(pid_t pid)
{
    int status;

    ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSTOPPED(status));
    return WSTOPSIG(status) == SIGTRAP;
}

static inline void step_kill(pid_t pid)
{
    int status;

    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
}

/* Starts a process that calls fn, and holds it after so many instructions, or at the end. -1 if
 * none can be held here: an emulator of processors has no ptrace(2), and with ThreadSanitizer the
 * instructions are too many. */
static inline pid_t step_hold(void (*fn)(void), unsigned instructions)
{
    int status;
    pid_t pid;

#ifdef __SANITIZE_THREAD__
    return -1;
#endif
    ck_assert_int_ge(pid = fork(), 0);
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0) {
            kill(getpid(), SIGSTOP);
            fn();
            kill(getpid(), SIGSTOP);
        }
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status))
        return -1;
    ck_assert(WIFSTOPPED(status));
    for (unsigned i = 0; i < instructions && step_once(pid); i++)
        ;
    return pid;
}

/* Lets it go on to its end. */
static inline void step_release(pid_t pid)
{
    int status;

    ck_assert_int_eq(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    step_kill(pid);
}

/* So many instructions fn takes; 0 where none can be held. It has been called before, so that
 * what it calls is bound. */
static inline unsigned step_length(void (*fn)(void))
{
    pid_t pid = step_hold(fn, 0);
    unsigned n = 0;

    if (pid < 0)
        return 0;
    while (step_once(pid))
        n++;
    step_kill(pid);
    return n;
}

#endif
