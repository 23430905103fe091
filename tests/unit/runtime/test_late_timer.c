/* SPDX-License-Identifier: MIT */
/*
 * The loop's wait on a busy machine: the thread may be away, between setting libuv's timer and polling, for
 * longer than the timer has. libuv then fires the timer before it polls; the poll must still not last.
 */
#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "sl_conformance.h"
#include "sluice/signal.h"

#define ALARM_SECONDS 20

typedef int (*timer_start_fn)(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout_ms, uint64_t repeat_ms);

static unsigned late;

/* Takes the place of libuv's: after the start the thread is away until the time is over. */
int uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout_ms, uint64_t repeat_ms)
{
    timer_start_fn start;
    void *symbol = dlsym(RTLD_NEXT, "uv_timer_start");
    memcpy(&start, &symbol, sizeof start);
    int code = start(timer, callback, timeout_ms, repeat_ms);
    uint64_t until = uv_hrtime() + (timeout_ms + 2) * 1000000;
    while (timeout_ms < 100 && uv_hrtime() < until) {
    }
    late++;
    return code;
}

C_TEST_REAL_FEW(a_timer_that_is_over_before_the_poll, "a late poll does not wait for ever", "")
{
    const int number = SIGUSR2;
    sl_signals *signals = NULL; /* a handle: without any, libuv does not wait at all */
    CHECK_EQ(sl_signals_open(&number, 1, &signals), 0);
    late = 0;
    (void)alarm(ALARM_SECONDS); /* the loop would sleep for good */
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(3)), 0);
    }
    (void)alarm(0);
    sl_signals_close(signals);
    CHECK(late > 0);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(a_timer_that_is_over_before_the_poll))
