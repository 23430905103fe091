/* SPDX-License-Identifier: MIT */
/* The chain around each request of a client: retry, hedging, breaker, limiters, bulkhead, attempt timeout. */
#include "sluice/policy.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "chain.h"
#include "sluice/log_record.h"
#include "sluice/runtime.h"

#define NAME_BYTES 32
#define PROBLEM_BYTES 160

/* A request that has failed for so long is told of, and again each time it took twice as long. */
#define TOLD_AFTER SL_SECONDS(10)

struct policy {
    sl_policy base; /* first: what the client sees */
    struct sl_policy_options options;
    sl_retry_budget budget;
    sl_breaker breaker;
    sl_bulkhead bulkhead;
    struct sl_policy_info info; /* what was counted */
    char name[NAME_BYTES];
    char problem[PROBLEM_BYTES]; /* of the last attempt that failed; "": the last one did not */
};

/* One request to be made, over all its attempts. */
struct run {
    struct policy *policy;
    const struct sl_http_call *call;
    sl_retry retry;
    sl_time limited_ns;
    uint32_t number;    /* of the attempt */
    sl_time tell_after; /* since it began; 0: TOLD_AFTER */
};

/* One attempt. */
struct trial {
    struct run *run;
    sl_response *response;
    sl_error *error; /* of one that ran in a task of its own */
    struct sl_outcome outcome;
    int code;
    bool refused; /* by the policy: nothing was tried */
};

/* What an attempt holds while it is under way. */
struct entry {
    sl_limiter *limiters[SL_POLICY_LIMITERS_MAX];
    sl_permit permits[SL_POLICY_LIMITERS_MAX];
    size_t permitted;
    sl_bulkhead_place place;
    sl_breaker_pass pass;
    bool placed, passed;
};

/* ---- the gates ---- */

static int ask_breaker(struct policy *policy, sl_breaker_pass *ret_pass)
{
    sl_time now = sl_now();
    sl_time probe_at = now;
    if (sl_breaker_admit(&policy->breaker, now, ret_pass, &probe_at) == 0) {
        return 0;
    }
    policy->info.refused_breaker++;
    return sl_fail(SL_EBREAKER, "%s: the circuit breaker is open for another %" PRId64 " ms", policy->name,
                   (probe_at - now) / SL_MILLISECONDS(1));
}

static void give_back_permits(struct entry *entry)
{
    while (entry->permitted > 0) {
        entry->permitted--;
        (void)sl_limiter_refund(entry->limiters[entry->permitted], &entry->permits[entry->permitted]);
    }
}

static int pass_limiters(const struct run *run, struct entry *entry)
{
    struct policy *policy = run->policy;
    const sl_request *request = run->call->request;
    int priority = request->priority + (run->number > 1); /* who was refused does not go to the end */
    for (size_t i = 0; i < SL_POLICY_LIMITERS_MAX && policy->options.limiters[i] != NULL; i++) {
        sl_limiter *limiter = policy->options.limiters[i];
        int code = sl_limiter_acquire(limiter, request->cost == 0 ? 1 : request->cost,
                                      priority > 0 ? SL_PRIORITY_HIGH : (enum sl_priority)priority, &entry->permits[i]);
        if (code < 0) {
            give_back_permits(entry);
            policy->info.refused_limiter += code != SL_ECANCELED;
            return code;
        }
        entry->limiters[i] = limiter;
        entry->permitted = i + 1;
    }
    return 0;
}

static int take_place(struct policy *policy, struct entry *entry)
{
    int code = sl_bulkhead_enter(&policy->bulkhead, &entry->place);
    policy->info.refused_bulkhead += code == SL_EBUSY;
    entry->placed = code == 0;
    return code;
}

/* A permit and a place: who has to wait for the place gives the permit back, and comes again with the place. */
static int wait_for_turn(const struct run *run, struct entry *entry)
{
    struct policy *policy = run->policy;
    SL_TRY(pass_limiters(run, entry));
    if (policy->options.no_bulkhead) {
        return 0;
    }
    entry->placed = sl_bulkhead_try_enter(&policy->bulkhead, &entry->place) == 0;
    if (entry->placed) {
        return 0;
    }
    give_back_permits(entry);
    SL_TRY(take_place(policy, entry));
    return pass_limiters(run, entry);
}

static void leave(struct policy *policy, struct entry *entry, int code)
{
    if (entry->placed) {
        sl_bulkhead_leave(&policy->bulkhead, &entry->place, code);
    }
}

static int enter(struct run *run, struct entry *entry)
{
    struct policy *policy = run->policy;
    sl_time before = sl_now();
    if (!policy->options.no_breaker) {
        sl_breaker_pass asked;
        SL_TRY(ask_breaker(policy, &asked));
        sl_breaker_done(&policy->breaker, &asked, SL_CALL_CANCELLED, before);
    }
    int code = wait_for_turn(run, entry);
    sl_time waited = sl_now() - before;
    run->limited_ns += waited;
    policy->info.limited_ns += waited;
    if (code == 0 && !policy->options.no_breaker) {
        code = ask_breaker(policy, &entry->pass);
        entry->passed = code == 0;
    }
    if (code < 0) {
        give_back_permits(entry);
        leave(policy, entry, SL_ECANCELED);
        return code;
    }
    entry->place.began = sl_now(); /* waits are no part of what the call took */
    return 0;
}

/* ---- one attempt ---- */

static const char *header_of(const void *message, const char *name)
{
    return sl_response_header(message, name);
}

static int within_timeout(const struct run *run, struct sl_http_attempt *made)
{
    sl_time timeout = run->retry.policy.attempt_timeout;
    if (timeout == SL_NEVER) {
        return sl_http_attempt_make(run->call, made);
    }
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope, &(struct sl_scope_options){.name = "attempt", .timeout = timeout}));
    int code = sl_http_attempt_make(run->call, made);
    int closed = sl__close_plainly(&scope, code);
    return code == SL_ECANCELED && closed == SL_ETIMEDOUT
               ? sl_fail(closed, "an attempt took longer than %" PRId64 " ms", timeout / SL_MILLISECONDS(1))
               : closed;
}

/* Reads the answer as the limiters and the retry see it. */
static void judge(struct trial *trial, const struct entry *entry)
{
    struct sl_outcome *outcome = &trial->outcome;
    const sl_response *response = trial->response;
    struct sl_response_facts facts = {.header = header_of, .message = response};
    if (response == NULL) {
        return;
    }
    facts.status = outcome->status = sl_response_status(response);
    if (!trial->run->call->request->stream) {
        facts.body = sl_response_body(response, &facts.body_bytes);
    }
    const char *wish = sl_response_header(response, "Retry-After");
    outcome->retry_after = wish == NULL ? SL_UNKNOWN : sl_retry_after_parse(wish, sl_now_wall());
    outcome->has_retry_after = outcome->retry_after >= 0;
    outcome->limited = outcome->status == 429;
    for (size_t i = 0; i < entry->permitted; i++) {
        bool refused = sl_limiter_report(entry->limiters[i], &entry->permits[i], &facts);
        outcome->limited = outcome->limited || refused;
    }
    trial->run->policy->info.limited += outcome->limited;
}

static enum sl_breaker_outcome breaker_outcome(const struct trial *trial)
{
    if (trial->code < 0) {
        return sl__call_failed(trial->code) ? SL_CALL_FAILED : SL_CALL_CANCELLED;
    }
    if (trial->outcome.limited) {
        return SL_CALL_CANCELLED; /* says nothing about its health */
    }
    return trial->outcome.status >= 500 ? SL_CALL_FAILED : SL_CALL_SUCCEEDED;
}

static void attempt(struct trial *trial)
{
    struct run *run = trial->run;
    struct policy *policy = run->policy;
    struct entry entry = {.permitted = 0};
    struct sl_http_attempt made = {.response = NULL};
    trial->code = enter(run, &entry);
    trial->refused = trial->code < 0;
    if (trial->refused) {
        return;
    }
    policy->info.attempts++;
    trial->code = within_timeout(run, &made);
    trial->response = made.response;
    trial->outcome = (struct sl_outcome){.code = trial->code < 0 ? trial->code : 0,
                                         .idempotent = run->call->repeatable,
                                         .unsent = trial->code < 0 && made.unsent,
                                         .body_gone = run->call->request->body_next != NULL && !made.unsent};
    judge(trial, &entry);
    if (entry.passed) {
        sl_breaker_done(&policy->breaker, &entry.pass, breaker_outcome(trial), sl_now());
    }
    leave(policy, &entry, trial->outcome.status == 503 ? SL_ETIMEDOUT : trial->code); /* 503: overloaded */
}

static bool may_pass_away(const struct trial *trial)
{
    return trial->code < 0 ? sl_retryable_code(trial->code)
                           : trial->outcome.limited || sl_retryable_status(trial->outcome.status);
}

/* ---- hedging ---- */

struct race {
    struct trial trials[SL_HEDGE_ATTEMPTS_MAX];
    uint32_t last; /* the newest that has ended */
};

static int run_trial(void *arg, uint32_t number)
{
    struct race *race = arg;
    struct trial *trial = &race->trials[number - 1];
    trial->run->policy->info.hedges += number > 1;
    attempt(trial);
    if (trial->code == SL_ECANCELED) {
        return SL_ECANCELED;
    }
    trial->error = trial->code < 0 ? sl_error_ref(sl_error_last()) : NULL;
    if (trial->refused && number > 1) {
        return SL_EAGAIN; /* a second request that may not go does not harm the first */
    }
    race->last = number;
    return may_pass_away(trial) ? SL_EAGAIN : trial->code;
}

static bool is_fatal(int code)
{
    return code != SL_EAGAIN;
}

static void hedged(struct trial *ret_trial)
{
    struct run *run = ret_trial->run;
    struct sl_hedge_policy hedge = run->policy->options.hedge;
    struct race race = {.last = 0};
    uint32_t winner = 0;
    hedge.nested = true;
    for (size_t i = 0; i < SL_HEDGE_ATTEMPTS_MAX; i++) {
        race.trials[i].run = run;
    }
    int code = sl_hedge_call(&hedge, run->retry.budget, run_trial, &race, is_fatal, &winner);
    winner = winner == 0 ? race.last : winner;
    run->policy->info.hedges_won += code == 0 && winner > 1;
    bool decided = code != SL_ECANCELED && winner != 0;
    for (uint32_t i = 0; i < SL_HEDGE_ATTEMPTS_MAX; i++) {
        struct trial *trial = &race.trials[i];
        if (decided && i + 1 == winner) {
            *ret_trial = *trial;
            if (trial->code < 0) {
                (void)sl_fail(trial->code, "%s", sl_error_message(trial->error));
            }
            ret_trial->error = NULL;
        } else {
            sl_response_free(trial->response);
        }
        sl_error_unref(trial->error);
    }
    if (!decided) { /* cancelled, or there was no memory for a task */
        ret_trial->code = code;
        ret_trial->refused = true;
    }
}

/* ---- the whole ---- */

/* "3 attempts in 950 ms, 400 ms of them between attempts and 120 ms for limits: 503, SL_ECONNRESET, 429" */
static void tell(const struct run *run, char *text, size_t text_bytes)
{
    char history[SL__HISTORY_BYTES];
    const sl_retry *retry = &run->retry;
    sl__retry_history(retry, history, sizeof history);
    (void)snprintf(text, text_bytes,
                   "%" PRIu32 " attempt%s in %" PRId64 " ms, %" PRId64 " ms of them between attempts and %" PRId64
                   " ms for limits%s%s",
                   retry->history_count, retry->history_count == 1 ? "" : "s",
                   (sl_now() - retry->began) / SL_MILLISECONDS(1), retry->waited / SL_MILLISECONDS(1),
                   run->limited_ns / SL_MILLISECONDS(1), history[0] == '\0' ? "" : ": ", history);
}

/* "GET https://venue.example/path", without the query, which may hold secrets */
static void name_call(const struct run *run, char *text, size_t text_bytes)
{
    const char *url = run->call->url;
    (void)snprintf(text, text_bytes, "%s %.*s", run->call->method, (int)strcspn(url, "?"), url);
}

/* The last attempt failed, or was refused, and there will be no other. */
static int end_badly(struct run *run, enum sl_verdict verdict, const struct trial *trial)
{
    char what[128], story[SL__HISTORY_BYTES + 128], wish[64] = "";
    struct sl_policy_info *info = &run->policy->info;
    bool final = trial->refused || verdict == SL_VERDICT_FATAL;
    if (final && run->retry.history_count <= 1 && !(trial->refused && run->retry.history_count == 1)) {
        return trial->code; /* with its own story */
    }
    name_call(run, what, sizeof what);
    tell(run, story, sizeof story);
    if (trial->outcome.has_retry_after && !final) {
        (void)snprintf(wish, sizeof wish, "; the server asks to wait for %" PRId64 " ms",
                       trial->outcome.retry_after / SL_MILLISECONDS(1));
    }
    if (final) {
        return sl_fail_because(trial->code, "%s: after %s", what, story);
    }
    int code = verdict == SL_VERDICT_NO_BUDGET ? SL_EBUDGET : SL_EGAVEUP;
    *(code == SL_EBUDGET ? &info->no_budget : &info->gave_up) += 1;
    const char *reason = sl__retry_reason(verdict);
    return trial->code < 0 ? sl_fail_because(code, "%s: %s after %s%s", what, reason, story, wish)
                           : sl_fail(code, "%s: %s after %s%s", what, reason, story, wish);
}

/* There will be another attempt: who waits for it, for ever perhaps, does not hear why. */
static void note_failure(struct run *run, const struct trial *trial)
{
    struct policy *policy = run->policy;
    sl_time lasts = sl_now() - run->retry.began;
    if (trial->code < 0) {
        (void)snprintf(policy->problem, sizeof policy->problem, "%s", sl_error_message(sl_error_last()));
    } else {
        (void)snprintf(policy->problem, sizeof policy->problem, "HTTP status %d", trial->outcome.status);
    }
    if (lasts >= (run->tell_after == 0 ? TOLD_AFTER : run->tell_after)) {
        char what[128];
        run->tell_after = 2 * lasts;
        name_call(run, what, sizeof what);
        sl_log_with(SL_LOG_WARNING, "a request fails again and again", sl_field_text("policy", policy->name),
                    sl_field_text("request", what), sl_field_uint("attempts", run->number),
                    sl_field_text("problem", policy->problem));
    }
}

static int interrupted(const struct run *run)
{
    tell(run, run->call->story, run->call->story_bytes);
    return SL_ECANCELED;
}

static int attempts(struct run *run, sl_response **ret_response)
{
    struct policy *policy = run->policy;
    for (run->number = 1;; run->number++) {
        struct trial trial = {.run = run};
        sl_time delay = 0;
        policy->info.retries += run->number > 1;
        if (policy->options.hedge.delay > 0 && run->call->repeatable) {
            hedged(&trial);
        } else {
            attempt(&trial);
        }
        if (trial.code == SL_ECANCELED) {
            return interrupted(run);
        }
        enum sl_verdict verdict = trial.refused
                                      ? SL_VERDICT_FATAL
                                      : sl_retry_next(&run->retry, &trial.outcome, sl_random_unit(), sl_now(), &delay);
        if (trial.response != NULL && (verdict == SL_VERDICT_DONE || verdict == SL_VERDICT_FATAL)) {
            policy->problem[0] = '\0';
            *ret_response = trial.response;
            return 0;
        }
        if (verdict == SL_VERDICT_AGAIN) {
            note_failure(run, &trial);
        }
        sl_response_free(trial.response);
        if (verdict != SL_VERDICT_AGAIN) {
            return end_badly(run, verdict, &trial);
        }
        sl_time before = sl_now();
        int code = sl_sleep(delay);
        policy->info.retry_ns += sl_now() - before;
        if (code < 0) {
            return code == SL_ECANCELED ? interrupted(run) : code;
        }
    }
}

static int policy_call(sl_policy *base, const struct sl_http_call *call, sl_response **ret_response)
{
    struct policy *policy = (struct policy *)base;
    struct run run = {.policy = policy, .call = call};
    struct sl_retry_policy retry = policy->options.retry;
    sl_time now = sl_now();
    sl_time deadline = sl_effective_deadline(); /* the fetch's, or one further out */
    SL_TRY(sl_checkpoint_if_cancelled());
    retry.total = deadline == SL_NEVER ? SL_NEVER : deadline > now ? deadline - now : 1;
    SL_TRY(sl_retry_begin(&run.retry, &retry, policy->options.no_budget ? NULL : &policy->budget, now));
    policy->info.calls++;
    int code = attempts(&run, ret_response);
    *(code == 0 ? &policy->info.answered : code == SL_ECANCELED ? &policy->info.cancelled : &policy->info.failed) += 1;
    return code;
}

/* ---- making and changing ---- */

static struct sl_bulkhead_options bulkhead_of(const struct sl_policy_options *options)
{
    struct sl_bulkhead_options bulkhead = options->bulkhead;
    if (bulkhead.concurrency.initial == 0) {
        bulkhead.concurrency.initial = SL_HTTP_CLIENT_CONNECTIONS;
        bulkhead.max_wait = bulkhead.max_wait == 0 ? SL_NEVER : bulkhead.max_wait;
    }
    return bulkhead;
}

/* Looks at all of it before anything is changed. */
static int check(const struct sl_policy_options *options)
{
    sl_retry retry;
    sl_retry_budget budget;
    sl_hedge hedge;
    sl_breaker breaker;
    sl_bulkhead bulkhead;
    struct sl_bulkhead_options places = bulkhead_of(options);
    SL_TRY(sl_retry_begin(&retry, &options->retry, NULL, 0));
    SL_TRY(sl_retry_budget_init(&budget, &options->budget));
    SL_TRY(sl_hedge_begin(&hedge, &options->hedge, NULL, true, 0));
    SL_TRY(sl_breaker_init(&breaker, &options->breaker));
    return sl_bulkhead_init(&bulkhead, &places);
}

static void take_options(struct policy *policy, const struct sl_policy_options *options)
{
    sl_time total = options->retry.total;
    policy->options = *options;
    policy->options.name = NULL;
    policy->base.total_timeout = total == 0 ? SL_SECONDS(60) : total;
}

int sl_policy_create(const struct sl_policy_options *options, sl_policy **ret_policy)
{
    SL_TRY(check(options));
    struct sl_bulkhead_options places = bulkhead_of(options);
    struct policy *policy = sl_calloc(1, sizeof *policy);
    if (policy == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a policy");
    }
    const char *name = options->name == NULL ? "policy" : options->name;
    memcpy(policy->name, name, strnlen(name, NAME_BYTES - 1));
    policy->base.call = policy_call;
    take_options(policy, options);
    int code = sl_retry_budget_init(&policy->budget, &options->budget);
    code = code < 0 ? code : sl_breaker_init(&policy->breaker, &options->breaker);
    code = code < 0 ? code : sl_bulkhead_init(&policy->bulkhead, &places);
    assert(code == 0); /* checked above */
    *ret_policy = &policy->base;
    return code;
}

int sl_policy_change(sl_policy *base, const struct sl_policy_options *options)
{
    struct policy *policy = (struct policy *)base;
    SL_TRY(check(options));
    struct sl_bulkhead_options places = bulkhead_of(options);
    take_options(policy, options);
    int code = sl_retry_budget_change(&policy->budget, &options->budget);
    code = code < 0 ? code : sl_breaker_change(&policy->breaker, &options->breaker);
    code = code < 0 ? code : sl_bulkhead_change(&policy->bulkhead, &places);
    assert(code == 0); /* checked above */
    return code;
}

void sl_policy_free(sl_policy *base)
{
    struct policy *policy = (struct policy *)base;
    assert(policy == NULL || policy->bulkhead.places.borrowed == 0);
    sl_free(policy);
}

void sl_policy_info(const sl_policy *base, struct sl_policy_info *ret_info)
{
    const struct policy *policy = (const struct policy *)base;
    *ret_info = policy->info;
    ret_info->name = policy->name;
    ret_info->problem = policy->problem;
    if (!policy->options.no_breaker) {
        ret_info->breaker = sl_breaker_look(&policy->breaker, sl_now());
        ret_info->breaker_until = ret_info->breaker == SL_BREAKER_OPEN ? policy->breaker.open_until : 0;
    }
    if (!policy->options.no_bulkhead) {
        ret_info->places = (uint32_t)policy->bulkhead.places.total;
        ret_info->taken = (uint32_t)policy->bulkhead.places.borrowed;
        ret_info->waiting = policy->bulkhead.waiting;
    }
}
