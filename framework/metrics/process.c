/* SPDX-License-Identifier: MIT */
/* What the runtime and the process say of themselves. The names of process_... are those of all Prometheus clients. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "metrics.h"
#include "sluice/runtime.h"

#define STAT_BYTES 1024
/* Counting more descriptors than this would hold up the loop: it is an estimate from below then. */
#define DESCRIPTORS_COUNTED_MAX 20000

static void collect_tasks(sl_scrape *scrape, const struct sl_statistics *now)
{
    static const char name[] = "sluice_runtime_tasks";
    static const char help[] = "Tasks, by state.";
    size_t all = now->tasks + now->system_tasks;
    size_t running = sl_current() != NULL ? 1 : 0;
    size_t parked = all > now->runnable + running ? all - now->runnable - running : 0;
    sl_scrape_gauge(scrape, name, help, SL_LABELS({"state", "running"}), (double)running);
    sl_scrape_gauge(scrape, name, help, SL_LABELS({"state", "ready"}), (double)now->runnable);
    sl_scrape_gauge(scrape, name, help, SL_LABELS({"state", "parked"}), (double)parked);
    sl_scrape_counter(scrape, "sluice_runtime_tasks_started_total", "Tasks that were started.", NULL, now->spawned);
    sl_scrape_counter(scrape, "sluice_runtime_restarts_total", "Restarts of supervised tasks.", NULL, now->restarts);
    sl_scrape_counter(scrape, "sluice_runtime_steps_total", "Switches into a task.", NULL, now->steps);
}

static void collect_loop(sl_scrape *scrape, const struct sl_statistics *now)
{
    sl_scrape_counter(scrape, "sluice_runtime_polls_total", "Polls of the event loop.", NULL, now->polls);
    sl_scrape_counter(scrape, "sluice_runtime_hogs_total", "Times that a task held the loop too long.", NULL,
                      now->hogs);
    sl_scrape_histogram(scrape, "sluice_runtime_turn_seconds",
                        "How long tasks ran between two polls of the event loop.", NULL, now->turns);
    sl_scrape_histogram(scrape, "sluice_runtime_timer_lag_seconds", "How long after its time each timer was called.",
                        NULL, now->lateness);
    sl_scrape_gauge(scrape, "sluice_runtime_timers", "Timers that are armed.", NULL, (double)now->timers);
    sl_scrape_gauge(scrape, "sluice_runtime_offloads", "Worker threads that run something.", NULL,
                    (double)now->offloads);
    sl_scrape_gauge(scrape, "sluice_runtime_posts", "Calls from other threads that wait.", NULL,
                    (double)now->posts_queued);
}

static void collect_memory(sl_scrape *scrape, const struct sl_statistics *now)
{
    sl_scrape_gauge(scrape, "sluice_runtime_stacks_mapped", "Stacks of tasks, in use or not.", NULL,
                    (double)now->stacks_mapped);
    sl_scrape_gauge(scrape, "sluice_runtime_stacks_idle", "Stacks that no task uses.", NULL,
                    (double)now->stacks_pooled);
    sl_scrape_gauge(scrape, "sluice_runtime_allocations_held", "Allocations that are held.", NULL,
                    (double)sl_memory_held());
    sl_scrape_counter(scrape, "sluice_runtime_allocations_total", "Allocations since the start.", NULL,
                      (uint64_t)sl_memory_asked());
}

static double count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    double count = -3; /* ".", ".." and this one */
    while (folder != NULL && count < DESCRIPTORS_COUNTED_MAX && readdir(folder) != NULL) {
        count++;
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return count < 0 ? 0 : count;
}

/* Field `number` (from 1) of /proc/self/stat; the name of the program, field 2, may have spaces. */
static double stat_field(const char *stat, int number)
{
    const char *at = strrchr(stat, ')');
    for (int field = 2; at != NULL && field < number; field++) {
        at = strchr(at + 1, ' ');
    }
    return at == NULL ? 0 : strtod(at, NULL);
}

static size_t read_file(const char *path, char *text, size_t room)
{
    FILE *file = fopen(path, "re");
    size_t bytes = file == NULL ? 0 : fread(text, 1, room - 1, file);
    if (file != NULL) {
        (void)fclose(file);
    }
    text[bytes] = '\0';
    return bytes;
}

static double start_time(double ticks_since_boot)
{
    struct timespec wall;
    struct timespec boot;
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    double up = (double)boot.tv_sec + (double)boot.tv_nsec / 1e9;
    double started = ticks_since_boot / (double)sysconf(_SC_CLK_TCK);
    return (double)(int64_t)(((double)wall.tv_sec + (double)wall.tv_nsec / 1e9 - up + started) * 100) / 100;
}

static void collect_process(sl_scrape *scrape)
{
    char stat[STAT_BYTES];
    struct rusage usage;
    struct rlimit limit;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        sl_time spent = SL_SECONDS(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                        SL_MICROSECONDS(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
        sl_scrape_counter_time(scrape, "process_cpu_seconds_total", "Processor time, user and system.", NULL, spent);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        sl_scrape_gauge(scrape, "process_max_fds", "Descriptors that may be open.", NULL, (double)limit.rlim_cur);
    }
    sl_scrape_gauge(scrape, "process_open_fds", "Descriptors that are open.", NULL, count_descriptors());
    if (read_file("/proc/self/stat", stat, sizeof stat) > 0) {
        sl_scrape_gauge(scrape, "process_virtual_memory_bytes", "Virtual memory.", NULL, stat_field(stat, 23));
        sl_scrape_gauge(scrape, "process_resident_memory_bytes", "Resident memory.", NULL,
                        stat_field(stat, 24) * (double)sysconf(_SC_PAGESIZE));
        sl_scrape_gauge(scrape, "process_start_time_seconds", "When the process began, since 1970.", NULL,
                        start_time(stat_field(stat, 22)));
    }
}

static void collect(void *arg, sl_scrape *scrape)
{
    struct sl_statistics now;
    (void)arg;
    if (sl_statistics_get(&now) == 0) {
        collect_tasks(scrape, &now);
        collect_loop(scrape, &now);
        collect_memory(scrape, &now);
    }
    collect_process(scrape);
}

int sl_metrics_add_runtime(sl_metrics *metrics)
{
    return sl_metrics_add(metrics, collect, NULL);
}
