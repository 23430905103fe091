/* SPDX-License-Identifier: MIT */
/*
 * Says which task overflowed its stack before the process aborts. A signal's disposition belongs to the
 * process, so the handler is installed once and stays; it hands on every fault that is not ours.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define ALTERNATE_STACK_BYTES ((size_t)64 * 1024)

static struct sigaction previous_segv, previous_bus;

/* Only async-signal-safe calls from here on. */
static void say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void say_number(size_t number)
{
    char digits[24];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    say(&digits[at]);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    sl_task *task = sl__self();
    if (task != NULL && sl__stack_guards(task->stack, info->si_addr)) {
        say("sluice: task '");
        say(task->name);
        say("' (id ");
        say_number((size_t)task->id);
        say(") overflowed its stack of ");
        say_number((size_t)((char *)(task + 1) - (char *)sl__stack_bottom(task->stack)));
        say(" bytes; spawn it with a larger .stack_bytes\n");
        abort();
    }
    const struct sigaction *previous = number == SIGBUS ? &previous_bus : &previous_segv;
    if ((previous->sa_flags & SA_SIGINFO) != 0 && previous->sa_sigaction != NULL) {
        previous->sa_sigaction(number, info, context);
    } else if (previous->sa_handler != SIG_DFL && previous->sa_handler != SIG_IGN) {
        previous->sa_handler(number);
    } else {
        (void)signal(number, SIG_DFL); /* the fault comes again and ends the process */
    }
}

static void install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGSEGV, &action, &previous_segv);
    (void)sigaction(SIGBUS, &action, &previous_bus);
}

/* The handler cannot run on the stack that overflowed: each thread with a runtime needs another one. */
int sl__overflow_guard_open(sl_runtime *runtime)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, install);
    stack_t old;
    if (sigaltstack(NULL, &old) == 0 && (old.ss_flags & SS_DISABLE) == 0) {
        return 0; /* the thread has one already */
    }
    void *memory = mmap(NULL, ALTERNATE_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return SL_ENOMEM;
    }
    stack_t stack = {.ss_sp = memory, .ss_size = ALTERNATE_STACK_BYTES, .ss_flags = 0};
    if (sigaltstack(&stack, NULL) != 0) {
        (void)munmap(memory, ALTERNATE_STACK_BYTES);
        return SL_ENOMEM;
    }
    runtime->alternate_stack = memory;
    return 0;
}

void sl__overflow_guard_close(sl_runtime *runtime)
{
    if (runtime->alternate_stack == NULL) {
        return;
    }
    stack_t off = {.ss_sp = NULL, .ss_size = 0, .ss_flags = SS_DISABLE};
    (void)sigaltstack(&off, NULL);
    (void)munmap(runtime->alternate_stack, ALTERNATE_STACK_BYTES);
    runtime->alternate_stack = NULL;
}
