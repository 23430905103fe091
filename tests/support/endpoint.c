/* SPDX-License-Identifier: MIT */
/* See endpoint.h. */
#include "endpoint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "shell_run.h"
#include "sl_test.h"

const char *endpoint_get(int port, const char *path, int *ret_status)
{
    char line[256];
    const char *output = NULL;
    (void)snprintf(line, sizeof line, "curl -s --max-time 20 -w '%%{http_code}' http://127.0.0.1:%d%s", port, path);
    assert_int_equal(shell_run(line, &output), 0);
    size_t length = strlen(output);
    *ret_status = length < 3 ? 0 : (int)strtod(output + length - 3, NULL);
    return output;
}

double metric_in(const char *text, const char *name, const char *part)
{
    double sum = 0;
    bool some = false;
    size_t length = strlen(name);
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        size_t bytes = strcspn(line, "\n");
        const char *found = strstr(line, part);
        if (strncmp(line, name, length) == 0 && (line[length] == '{' || line[length] == ' ') && found != NULL &&
            found < line + bytes) {
            const char *value = line + bytes;
            while (value[-1] != ' ') {
                value--;
            }
            sum += strtod(value, NULL);
            some = true;
        }
    }
    return some ? sum : -1;
}

double endpoint_metric(int port, const char *name, const char *part)
{
    int status = 0;
    const char *text = endpoint_get(port, "/metrics", &status);
    assert_int_equal(status, 200);
    return metric_in(text, name, part);
}

void memory_counts(void)
{
    char options[512];
    const char *own = getenv("ASAN_OPTIONS");
    (void)snprintf(options, sizeof options, "%s:quarantine_size_mb=1:thread_local_quarantine_size_kb=64",
                   own == NULL ? "" : own);
    assert_int_equal(setenv("ASAN_OPTIONS", options, 1), 0);
}

long memory_of(pid_t pid, const char *what)
{
    char path[64], line[256];
    double value = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, what, strlen(what)) == 0) {
            value = strtod(line + strlen(what), NULL);
        }
    }
    (void)fclose(file);
    return (long)value;
}
