/* SPDX-License-Identifier: MIT */
/*
 * Jobs that survive their workers: each counts to four and keeps how far it has come. Without arguments the queue is in
 * this process; with the URL of a Redis and a name, several of these share it: kill one, and another goes on where it was.
 */
#include <stdio.h>
#include <string.h>

#include "sluice/runtime.h"
#include "sluice/work_queue.h"

struct worker {
    const char *url, *name;
};

/* Returning an error is enough: it is tried again, from the last checkpoint on, until its attempts are used up. */
static int count(void *arg, sl_job *job)
{
    const struct worker *worker = arg;
    char done[2] = {*sl_job_progress(job) == '\0' ? '0' : *sl_job_progress(job), '\0'};
    while (done[0] < '4') {
        if (strcmp(sl_job_key(job), "fog") == 0) {
            return sl_fail(SL_EPROTO, "it cannot be counted");
        }
        SL_TRY(sl_sleep(SL_MILLISECONDS(worker->url == NULL ? 1 : 100)));
        done[0]++;
        (void)printf("%s: %s counted to %s\n", worker->name, sl_job_key(job), done);
        SL_TRY(sl_job_checkpoint(job, done));
    }
    (void)printf("%s: %s are done, failures: %u\n", worker->name, sl_job_key(job), sl_job_failures(job));
    return 0;
}

static int run(void *arg)
{
    struct worker *worker = arg;
    SL_SCOPE(scope, .name = "worker");
    struct sl_work_options options = {.attempts = 3, .backoff = {.initial = SL_NO_BACKOFF}, .lease = SL_SECONDS(2)};
    if (worker->url != NULL) {
        options.backend = SL_WORK_REDIS;
        SL_TRY(sl_redis_open(&scope, &(struct sl_redis_options){.url = worker->url}, &options.redis));
    }
    sl_work *work = NULL;
    SL_TRY(sl_work_open(&scope, &options, &work));
    static const char *const keys[] = {"sheep", "goats", "fog"}; /* every worker adds them; they are done once */
    for (size_t i = 0; i < 3; i++) {
        SL_TRY(sl_work_add(work, &(struct sl_job_spec){.key = keys[i]}, NULL));
    }
    SL_TRY(sl_work_run(work, &(struct sl_work_run){.on_job = count, .arg = worker, .until_empty = true}));
    return sl_scope_wait(&scope);
}

int main(int argc, char **argv)
{
    struct worker worker = {argc > 1 ? argv[1] : NULL, argc > 2 ? argv[2] : "worker"};
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    return sl_main(run, &worker);
}

/* Output:
worker: sheep counted to 1
worker: sheep counted to 2
worker: sheep counted to 3
worker: sheep counted to 4
worker: sheep are done, failures: 0
worker: goats counted to 1
worker: goats counted to 2
worker: goats counted to 3
worker: goats counted to 4
worker: goats are done, failures: 0
*/
