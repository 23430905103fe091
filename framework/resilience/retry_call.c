/* SPDX-License-Identifier: MIT */
/* Retries and hedges for tasks. */
#include <inttypes.h>
#include <stdio.h>

#include "chain.h"
#include "sluice/runtime.h"

/* "503, SL_ECONNRESET, ..., 503" */
void sl__retry_history(const sl_retry *retry, char *text, size_t text_bytes)
{
    size_t length = 0;
    uint32_t kept = retry->history_count < SL_RETRY_HISTORY ? retry->history_count : SL_RETRY_HISTORY;
    text[0] = '\0';
    for (uint32_t i = 0; i < kept; i++) {
        bool gap = i + 1 == SL_RETRY_HISTORY && retry->history_count > SL_RETRY_HISTORY;
        const char *between = i == 0 ? "" : (gap ? ", ..., " : ", ");
        int entry = retry->history[i];
        int added = entry < 0 ? snprintf(text + length, text_bytes - length, "%s%s", between, sl_error_name(entry))
                              : snprintf(text + length, text_bytes - length, "%s%d", between, entry);
        if (added < 0 || (size_t)added >= text_bytes - length) {
            return;
        }
        length += (size_t)added;
    }
}

const char *sl__retry_reason(enum sl_verdict verdict)
{
    static const char *const reasons[] = {[SL_VERDICT_EXHAUSTED] = "no attempts left",
                                          [SL_VERDICT_TOO_LATE] = "the next would come too late",
                                          [SL_VERDICT_REFUSED] = "the server asks not to try again",
                                          [SL_VERDICT_NO_BUDGET] = "the budget for retries is used up"};
    return reasons[verdict];
}

static int give_up(const sl_retry *retry, enum sl_verdict verdict, bool has_cause)
{
    char story[SL__HISTORY_BYTES];
    sl__retry_history(retry, story, sizeof story);
    int code = verdict == SL_VERDICT_NO_BUDGET ? SL_EBUDGET : SL_EGAVEUP;
    sl_time now = sl_now();
    int64_t elapsed_ms = (now - retry->began) / SL_MILLISECONDS(1);
    int64_t waited_ms = retry->waited / SL_MILLISECONDS(1);
    const char *plural = retry->history_count == 1 ? "" : "s";
    if (has_cause) {
        return sl_fail_because(code,
                               "%s after %" PRIu32 " attempt%s in %" PRId64 " ms, %" PRId64 " of them waiting: %s",
                               sl__retry_reason(verdict), retry->history_count, plural, elapsed_ms, waited_ms, story);
    }
    return sl_fail(code, "%s after %" PRIu32 " attempt%s in %" PRId64 " ms, %" PRId64 " of them waiting: %s",
                   sl__retry_reason(verdict), retry->history_count, plural, elapsed_ms, waited_ms, story);
}

int sl__close_plainly(sl_scope *scope, int code)
{
    bool failed = code < 0 && code != SL_ECANCELED;
    int closed = sl_scope_close(scope, code == SL_ECANCELED ? code : 0);
    return failed || closed == 0 ? code : closed;
}

/* One attempt within its own time. */
static int attempt_once(const sl_retry *retry, sl_attempt_fn fn, void *arg, struct sl_attempt *attempt)
{
    sl_time timeout = retry->policy.attempt_timeout;
    if (timeout == SL_NEVER) {
        return fn(arg, attempt);
    }
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope, &(struct sl_scope_options){.name = "attempt", .timeout = timeout}));
    return sl__close_plainly(&scope, fn(arg, attempt));
}

static int attempts(sl_retry *retry, sl_attempt_fn fn, void *arg)
{
    for (uint32_t number = 1;; number++) {
        struct sl_attempt attempt = {.number = number, .outcome = {.idempotent = true}};
        int code = attempt_once(retry, fn, arg, &attempt);
        if (code < 0) {
            attempt.outcome.code = code;
        }
        sl_time delay;
        enum sl_verdict verdict = sl_retry_next(retry, &attempt.outcome, sl_random_unit(), sl_now(), &delay);
        if (verdict == SL_VERDICT_DONE || verdict == SL_VERDICT_FATAL) {
            return code < 0 || attempt.outcome.code >= 0 ? code : attempt.outcome.code;
        }
        if (verdict != SL_VERDICT_AGAIN) {
            return give_up(retry, verdict, attempt.outcome.code < 0);
        }
        SL_TRY(sl_sleep(delay));
    }
}

int sl_retry_call(const struct sl_retry_policy *policy, sl_retry_budget *budget, sl_attempt_fn fn, void *arg)
{
    sl_retry retry;
    SL_TRY(sl_checkpoint_if_cancelled());
    SL_TRY(sl_retry_begin(&retry, policy, budget, sl_now()));
    if (retry.policy.total == SL_NEVER) {
        return attempts(&retry, fn, arg);
    }
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope, &(struct sl_scope_options){.name = "retry", .timeout = retry.policy.total}));
    return sl__close_plainly(&scope, attempts(&retry, fn, arg));
}

/* ---- hedging ---- */

struct race {
    sl_hedge hedge;
    sl_hedge_fn fn;
    void *arg;
    bool (*is_fatal)(int code);
    sl_task *waits; /* the caller, while it is parked */
    uint32_t started, winner;
    int code;
    bool over;
};

struct runner {
    struct race *race;
    uint32_t number;
};

static void wake_caller(struct race *race)
{
    sl_task *task = race->waits;
    race->waits = NULL;
    if (task != NULL) {
        sl_unpark(task, 0);
    }
}

static int run(void *arg)
{
    const struct runner *runner = arg;
    struct race *race = runner->race;
    int code = race->fn(race->arg, runner->number);
    if (race->over || code == SL_ECANCELED) {
        return 0; /* a loser; its failure concerns nobody */
    }
    race->code = code;
    if (code >= 0) {
        race->winner = runner->number;
        race->over = true;
        sl_retry_budget_result(race->hedge.policy.nested ? NULL : race->hedge.budget, false);
    } else {
        bool fatal = race->is_fatal != NULL && race->is_fatal(code);
        race->over = sl_hedge_failed(&race->hedge, fatal, sl_now());
    }
    wake_caller(race);
    return 0;
}

static bool stop_waiting(sl_task *task, void *object)
{
    (void)task;
    ((struct race *)object)->waits = NULL;
    return true;
}

/* Until a request has ended or the next is due. */
static int wait_for_news(struct race *race)
{
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope,
                         &(struct sl_scope_options){.name = "hedge", .deadline = race->hedge.next, .move_on = true}));
    race->waits = sl_current();
    return sl_scope_close(&scope, sl_park(stop_waiting, race, "hedged call"));
}

static int run_race(sl_scope *scope, struct race *race, struct runner *runners)
{
    for (;;) {
        while (race->started < race->hedge.sent) {
            struct runner *runner = &runners[race->started++];
            *runner = (struct runner){.race = race, .number = race->started};
            SL_TRY(sl_spawn(scope, run, runner, .name = "hedge"));
        }
        if (race->over) {
            return 0;
        }
        SL_TRY(wait_for_news(race));
        if (race->over) {
            return 0;
        }
        if (!sl_hedge_send(&race->hedge, sl_now()) && race->hedge.failed == race->hedge.sent &&
            race->hedge.next == SL_NEVER) {
            return 0; /* no budget for another, and none is under way */
        }
    }
}

int sl_hedge_call(const struct sl_hedge_policy *policy, sl_retry_budget *budget, sl_hedge_fn fn, void *arg,
                  bool (*is_fatal)(int code), uint32_t *ret_winner)
{
    struct race race = {.fn = fn, .arg = arg, .is_fatal = is_fatal};
    struct runner runners[SL_HEDGE_ATTEMPTS_MAX];
    SL_TRY(sl_checkpoint_if_cancelled());
    SL_TRY(sl_hedge_begin(&race.hedge, policy, budget, true, sl_now()));
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope, &(struct sl_scope_options){.name = "hedged call"}));
    int code = run_race(&scope, &race, runners);
    race.over = true;
    (void)sl_scope_cancel(&scope, "another request has won");
    code = sl_scope_close(&scope, code);
    if (code < 0) {
        return code;
    }
    if (race.winner != 0) {
        if (ret_winner != NULL) {
            *ret_winner = race.winner;
        }
        return race.code;
    }
    return race.code < 0 ? sl_fail(race.code, "all %" PRIu32 " requests failed", race.hedge.sent) : SL_EINTERNAL;
}
