/* SPDX-License-Identifier: MIT */
/* The task tree as text and JSON. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/memory.h"

static int sleeper(void *arg)
{
    (void)arg;
    return sl_sleep(SL_SECONDS(100));
}

static int worker(void *arg)
{
    SL_SCOPE(connection, .timeout = SL_SECONDS(50), .move_on = true);
    SL_TRY(sl_spawn(&connection, sleeper, arg, .name = "read \"quoted\""));
    return sl_scope_wait(&connection);
}

static int count(const char *text, const char *what)
{
    int found = 0;
    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what)) {
        found++;
    }
    return found;
}

C_TEST_SIMULATED(the_tree_tells_who_waits_for_what, "name, parent, state, what it waits for and since when", "")
{
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, worker, NULL), 0);
    CHECK_EQ(sl_spawn(&scope, sleeper, NULL, .daemon = true), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(3)), 0);
    char *text = sl_tree_text();
    CHECK(text != NULL);
    CHECK(strstr(text, "main #1 running") != NULL);
    CHECK(strstr(text, "\n  worker #2 parked on children for 3.000 s") != NULL);
    CHECK(strstr(text, ", in scope connection\n") != NULL);
    CHECK(strstr(text, "\n    read \"quoted\" #") != NULL);
    CHECK(strstr(text, "parked on sleep for 3.000 s") != NULL);
    CHECK(strstr(text, ", daemon") != NULL);
    CHECK_EQ(count(text, "\n"), 4);
    sl_free(text);
    char *json = sl_tree_json();
    CHECK(json != NULL);
    CHECK_EQ(json[0], '[');
    CHECK_EQ(count(json, "\"id\":"), 4);
    CHECK_EQ(count(json, "},\n{\"id\":"), 3);
    CHECK(strstr(json, "{\"id\":2,\"parent\":1,\"name\":\"worker\",\"state\":\"parked\",\"wait\":\"children\","
                       "\"wait_seconds\":3.000000,\"scope\":\"connection\",\"cancelled\":false") != NULL);
    CHECK(strstr(json, "\"name\":\"read \\\"quoted\\\"\"") != NULL);
    CHECK(strstr(json, "\"daemon\":true") != NULL);
    sl_free(json);
    sl_scope_cancel(&scope, NULL);
    return sl_scope_wait(&scope);
}

C_TEST(paths_and_names, "a path is the names from the main task down; it is cut like snprintf() would", "")
{
    char path[64];
    CHECK_EQ(sl_task_path(sl_task_self(), path, sizeof path), 4);
    CHECK_STRING(path, "main");
    CHECK_EQ(sl_task_rename("a name that is longer than thirty-one bytes"), 0);
    CHECK_STRING(sl_task_name(sl_task_self()), "a name that is longer than thir");
    CHECK_EQ(sl_task_path(sl_task_self(), path, 6), 31);
    CHECK_STRING(path, "a nam");
    CHECK_EQ(sl_task_path(sl_task_self(), NULL, 0), 31);
    CHECK_EQ(sl_task_path((sl_task_ref){NULL, 0}, path, sizeof path), 0);
    CHECK_STRING(path, "");
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(the_tree_tells_who_waits_for_what), cmocka_unit_test(paths_and_names))
