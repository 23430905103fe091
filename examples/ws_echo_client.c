/* SPDX-License-Identifier: MIT */
/* The client that WebSocket test suites ask for: runs every case of a server by echoing.   ws_echo_client URL */
#include <stdio.h>

#include "sluice/sluice.h"

static int open_at(const char *base, const char *target, sl_ws **ret_ws)
{
    char url[512];
    (void)snprintf(url, sizeof url, "%s%s", base, target);
    return sl_ws_connect_with(&(struct sl_ws_options){.url = url, .deflate = {.on = true}}, ret_ws);
}

static int count_cases(const char *base, int64_t *ret_count)
{
    sl_auto(sl_ws) *ws = NULL;
    struct sl_ws_message message;
    SL_TRY(open_at(base, "/getCaseCount", &ws));
    SL_TRY(sl_ws_receive(ws, &message));
    SL_TRY(sl_json_text_int64((sl_json_text){message.data, message.size_bytes}, ret_count));
    return sl_ws_close(ws, 1000, "thanks");
}

/* Many cases break the protocol on purpose: how one ends is for the server to judge. */
static int run_case(const char *base, int64_t number)
{
    sl_auto(sl_ws) *ws = NULL;
    char target[64];
    (void)snprintf(target, sizeof target, "/runCase?case=%lld&agent=sluice", (long long)number);
    SL_TRY(open_at(base, target, &ws));
    struct sl_ws_message message;
    int code = 0;
    while (code == 0 && (code = sl_ws_receive(ws, &message)) == 0) {
        code = sl_ws_send(ws, message.kind, message.data, message.size_bytes);
    }
    return code == SL_ECANCELED ? code : 0;
}

static int run_all(void *base)
{
    int64_t count = 0;
    SL_TRY(count_cases(base, &count));
    for (int64_t i = 1; i <= count; i++) {
        SL_TRY(run_case(base, i));
    }
    (void)printf("%lld cases\n", (long long)count);
    sl_auto(sl_ws) *ws = NULL;
    struct sl_ws_message message;
    SL_TRY(open_at(base, "/updateReports?agent=sluice", &ws));
    return sl_ws_receive(ws, &message) == SL_ECANCELED ? SL_ECANCELED : 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: ws_echo_client URL\n");
        return 2;
    }
    return sl_main(run_all, argv[1]);
}
