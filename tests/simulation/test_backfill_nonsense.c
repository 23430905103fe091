/* SPDX-License-Identifier: MIT */
/* A venue that answers requests for history with what is none: kept for people, tried again, and put aside in the end. */
#include <stdio.h>
#include <string.h>

#include "program_rig.h"
#include "scratch_folder.h"
#include "sl_test.h"
#include "sluice/runtime.h"

static int answer(void *arg, sl_http_exchange *exchange)
{
    static const char list[] = "{\"symbols\":[{\"symbol\":\"AUSDT\",\"status\":\"TRADING\",\"baseAsset\":\"A\","
                               "\"quoteAsset\":\"USDT\",\"filters\":[]}]}";
    static const char *const nonsense[] = {"", "[[[[[[", "{\"a\":1}", "[{\"a\":\"x\",\"p\":true}]",
                                           "<html>\xff</html>"};
    struct program_rig *rig = arg;
    uint64_t *asked = rig->arg;
    if (strstr(sl_http_target(exchange->request), "exchangeInfo") != NULL) {
        return sl_http_respond(exchange, 200, "application/json", list, sizeof list - 1);
    }
    const char *body = nonsense[(*asked)++ % 5];
    return sl_http_respond(exchange, 200, "application/json", body, strlen(body));
}

static int until_put_aside(struct program_rig *rig)
{
    const uint64_t *asked = rig->arg;
    struct sl_service_look look = {.degraded = false};
    for (int tries = 0; tries < 3600 && !look.degraded; tries++) {
        const struct sl_program_service *service = program_rig_service(rig, "p");
        SL_TRY(sl_sleep(SL_SECONDS(1)));
        if (service != NULL) {
            (void)sl_service_look(service, &look);
        }
    }
    uint64_t bad = sl_dead_letters_get_stats(sl_program_dead_letters(rig->parts))->bad;
    print_message("%d answers, %d dead letters\n", (int)*asked, (int)bad);
    return look.degraded && *asked >= 5 && bad == *asked ? 0 : SL_EINTERNAL;
}

static void nonsense_is_kept_and_put_aside(void **state)
{
    (void)state;
    char config[PROGRAM_RIG_CONFIG_BYTES];
    uint64_t asked = 0;
    struct scratch_folder folder = scratch_folder_make();
    (void)snprintf(config, sizeof config,
                   "services: { p: { kind: backfill, venue: binance, sinks: [out], instruments: [\"*\"], "
                   "from: \"2024-08-08T20:00:00Z\", to: \"2024-08-08T20:30:00Z\", state: \"%s/jobs\" } }\n"
                   "sinks: { out: { kind: websocket, listen: \"127.0.0.1:7001\" } }\n",
                   folder.path);
    struct program_rig rig = {.venue = SL_VENUE_BINANCE_SPOT,
                              .instruments = 1,
                              .config = config,
                              .answer = answer,
                              .arg = &asked,
                              .conduct = until_put_aside};
    assert_int_equal(program_rig_run(&rig), 0);
    scratch_folder_remove(&folder);
}

SL_TEST_MAIN(cmocka_unit_test(nonsense_is_kept_and_put_aside))
