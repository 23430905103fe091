/* SPDX-License-Identifier: MIT */
/*
 * `kind: receive` in the simulated world: what each of its keys does, what a restart forgets, and clients who want to have
 * all of its memory, connections or names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ingest/receive/receive.h"
#include "market/event_read.h"
#include "program_rig.h"
#include "receive_client.h"
#include "scratch_folder.h"
#include "sl_test.h"
#include "sluice/fetch.h"
#include "sluice/runtime.h"
#include "sluice/ws.h"
#include "tls_certificates.h"

#define WS_URL "ws://" RECEIVE_CLIENT_LISTEN "/ingest"
#define HTTP_URL "http://" RECEIVE_CLIENT_LISTEN "/ingest"

struct receiver {
    struct program_rig rig; /* the first member */
    int (*act)(struct receiver *receiver);
    sl_http_client *http;
    char config[PROGRAM_RIG_CONFIG_BYTES];
};

#define EXPECT_EQ(got, wanted)                                                                                         \
    do {                                                                                                               \
        long long got_value = (long long)(got), wanted_value = (long long)(wanted);                                    \
        if (got_value == SL_ECANCELED) {                                                                               \
            return SL_ECANCELED;                                                                                       \
        }                                                                                                              \
        if (got_value != wanted_value) {                                                                               \
            return sl_fail(SL_EINTERNAL, "%s:%d: %s is %lld, expected %lld", __FILE__, __LINE__, #got, got_value,      \
                           wanted_value);                                                                              \
        }                                                                                                              \
    } while (0)

static struct sl_receive_stats stats_of(const struct receiver *receiver)
{
    struct sl_receive_stats stats = {.port = 0};
    const struct sl_program_service *service = program_rig_service(&receiver->rig, "p");
    if (service == NULL || !sl_receive_get_stats(service, &stats)) {
        stats.port = 0;
    }
    return stats;
}

static int until_it_listens(const struct receiver *receiver)
{
    while (stats_of(receiver).port == 0) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(10)));
    }
    return 0;
}

static int conduct(struct program_rig *rig)
{
    struct receiver *receiver = (struct receiver *)rig;
    SL_TRY(until_it_listens(receiver));
    return receiver->act(receiver);
}

/* With a sink of its own, and whatever it wants as `arg`. */
static void play_into(const char *sink, const char *keys, int (*act)(struct receiver *receiver), void *arg)
{
    struct receiver *receiver = calloc(1, sizeof *receiver);
    assert_non_null(receiver);
    int size = snprintf(receiver->config, sizeof receiver->config,
                        "services: { p: { kind: receive, listen: \"" RECEIVE_CLIENT_LISTEN "\", sinks: [out]%s } }\n"
                        "sinks: { out: { %s } }\n",
                        keys, sink);
    assert_in_range(size, 1, sizeof receiver->config - 1);
    receiver->rig = (struct program_rig){
        .venue = SL_VENUE_OKX, .instruments = 1, .config = receiver->config, .arg = arg, .conduct = conduct};
    receiver->act = act;
    assert_int_equal(program_rig_run(&receiver->rig), 0);
    free(receiver);
}

static void play(const char *keys, int (*act)(struct receiver *receiver))
{
    play_into("kind: websocket, listen: \"127.0.0.1:7001\"", keys, act, NULL);
}

static int post(const struct receiver *receiver, int id)
{
    char event[RECEIVE_CLIENT_EVENT_BYTES];
    sl_auto(sl_http_client) *http = NULL;
    (void)receiver;
    SL_TRY(sl_http_client_open(NULL, &http));
    return receive_client_post(http, receive_client_trade(event, id), NULL, 0, NULL, 0);
}

static int post_signed(const struct receive_client_signature *signature, const char *event, const char *time_header,
                       const char *header, const char *key_header)
{
    sl_auto(sl_http_client) *http = NULL;
    const struct sl_http_field headers[] = {
        {time_header, signature->time}, {header, signature->text}, {key_header, "two"}};
    SL_TRY(sl_http_client_open(NULL, &http));
    return receive_client_post(http, event, headers, 3, NULL, 0);
}

/* ---- keys ---- */

static int only_messages(struct receiver *receiver)
{
    sl_auto(sl_ws) *ws = NULL;
    EXPECT_EQ(post(receiver, 1), 405);
    EXPECT_EQ(sl_ws_connect(WS_URL, &ws), 0);
    return 0;
}

static int only_posts(struct receiver *receiver)
{
    sl_auto(sl_ws) *ws = NULL;
    EXPECT_EQ(sl_ws_connect(WS_URL, &ws), SL_EPROTO);
    EXPECT_EQ(post(receiver, 1), 200);
    return 0;
}

/* Of a text some events may be good. */
static int good_and_bad(struct receiver *receiver)
{
    char event[RECEIVE_CLIENT_EVENT_BYTES], text[2 * RECEIVE_CLIENT_EVENT_BYTES];
    sl_auto(sl_http_client) *http = NULL;
    SL_TRY(sl_http_client_open(NULL, &http));
    (void)snprintf(text, sizeof text, "%s\n{}\n", receive_client_trade(event, 1));
    EXPECT_EQ(receive_client_post(http, text, NULL, 0, NULL, 0), 207);
    EXPECT_EQ(receive_client_post(http, "{}\n{}\n", NULL, 0, NULL, 0), 422);
    EXPECT_EQ(stats_of(receiver).accepted, 1);
    EXPECT_EQ(stats_of(receiver).refused, 3);
    return 0;
}

static void one_bad_event_harms_no_other(void **state)
{
    (void)state;
    play("", good_and_bad);
}

static void posts_and_messages_can_be_refused(void **state)
{
    (void)state;
    play(", post: false", only_messages);
    play(", websocket: false", only_posts);
}

static int two_at_once(struct receiver *receiver)
{
    sl_auto(sl_ws) *first = NULL;
    sl_auto(sl_ws) *second = NULL;
    EXPECT_EQ(sl_ws_connect(WS_URL, &first), 0);
    EXPECT_EQ(sl_ws_connect(WS_URL, &second), 0);
    int status = post(receiver, 1);
    EXPECT_EQ(status == SL_ECONNRESET || status == SL_EOF, 1);
    sl_ws_free(second);
    second = NULL;
    SL_TRY(sl_sleep(SL_SECONDS(1)));
    EXPECT_EQ(post(receiver, 1), 200);
    return 0;
}

static void more_connections_are_cut(void **state)
{
    (void)state;
    play(", max_connections: 2", two_at_once);
}

/* Of three the first is forgotten. */
static int remember_two(struct receiver *receiver)
{
    for (int id = 1; id <= 3; id++) {
        EXPECT_EQ(post(receiver, id), 200);
    }
    EXPECT_EQ(post(receiver, 3), 200);
    EXPECT_EQ(stats_of(receiver).repeated, 1);
    EXPECT_EQ(post(receiver, 1), 200);
    EXPECT_EQ(stats_of(receiver).repeated, 1);
    EXPECT_EQ(stats_of(receiver).accepted, 4);
    return 0;
}

static int remember_three(struct receiver *receiver)
{
    for (int id = 1; id <= 6; id++) {
        EXPECT_EQ(post(receiver, (id - 1) % 3 + 1), 200);
    }
    EXPECT_EQ(stats_of(receiver).accepted, 3);
    EXPECT_EQ(stats_of(receiver).repeated, 3);
    return 0;
}

static int remember_nothing(struct receiver *receiver)
{
    EXPECT_EQ(post(receiver, 1), 200);
    EXPECT_EQ(post(receiver, 1), 200);
    EXPECT_EQ(stats_of(receiver).accepted, 2);
    return 0;
}

static void so_many_are_remembered(void **state)
{
    (void)state;
    play(", remember: 2", remember_two);
    play(", remember: 3", remember_three);
    play(", remember: 0", remember_nothing);
}

static int sign_elsewhere(struct receiver *receiver)
{
    char event[RECEIVE_CLIENT_EVENT_BYTES];
    struct receive_client_signature signature;
    (void)receive_client_trade(event, 1);
    SL_TRY(receive_client_sign(event, &signature));
    EXPECT_EQ(post_signed(&signature, event, "X-Timestamp", "X-Signature", "X-Key-Id"), 401);
    EXPECT_EQ(post_signed(&signature, event, "X-When", "X-Signature", "X-Who"), 401);
    EXPECT_EQ(post_signed(&signature, event, "X-Timestamp", "X-Sealed", "X-Who"), 401);
    EXPECT_EQ(post_signed(&signature, event, "X-When", "X-Sealed", "X-Key-Id"), 401); /* which of the two? */
    EXPECT_EQ(post_signed(&signature, event, "X-When", "X-Sealed", "X-Who"), 200);
    EXPECT_EQ(stats_of(receiver).strangers, 4);
    return 0;
}

static void headers_have_the_names_that_are_configured(void **state)
{
    (void)state;
    play(", hmac: { keys: { one: another secret of all, two: " RECEIVE_CLIENT_KEY " }, header: X-Sealed, "
         "timestamp_header: X-When, key_header: X-Who }",
         sign_elsewhere);
}

static int post_by_tls(bool certificate)
{
    char event[RECEIVE_CLIENT_EVENT_BYTES];
    const struct tls_identity *client = tls_identity(TLS_CLIENT);
    struct sl_tls_options options = {.ca_pem = tls_identity(TLS_CA)->certificate};
    if (certificate) {
        options.certificate_pem = client->certificate;
        options.key_pem = client->key;
    }
    sl_auto(sl_tls_config) *tls = NULL;
    sl_auto(sl_http_client) *http = NULL;
    sl_auto(sl_response) *response = NULL;
    SL_TRY(sl_tls_config_open(&options, &tls));
    SL_TRY(sl_http_client_open(&(struct sl_http_client_options){.tls = tls}, &http));
    sl_request request = {.method = "POST",
                          .url = "https://" RECEIVE_CLIENT_LISTEN "/ingest",
                          .body = receive_client_trade(event, 1),
                          .body_bytes = strlen(event)};
    SL_TRY(sl_fetch(http, &request, &response));
    return sl_response_status(response);
}

static int show_certificates(struct receiver *receiver)
{
    EXPECT_EQ(post_by_tls(true), 200);
    EXPECT_EQ(post_by_tls(false) < 0, 1);
    EXPECT_EQ(stats_of(receiver).accepted, 1);
    return 0;
}

static void clients_show_certificates_where_they_must(void **state)
{
    (void)state;
    char keys[1024];
    char certificate[256], key[256], authority[256];
    (void)snprintf(certificate, sizeof certificate, "%s", tls_identity_file(TLS_SERVER, false));
    (void)snprintf(key, sizeof key, "%s", tls_identity_file(TLS_SERVER, true));
    (void)snprintf(authority, sizeof authority, "%s", tls_identity_file(TLS_CA, false));
    (void)snprintf(keys, sizeof keys, ", tls: { certificate: \"%s\", key: \"%s\", client_ca: \"%s\" }", certificate,
                   key, authority);
    play(keys, show_certificates);
}

/* ---- a sink without room ---- */

static int post_two(int first, int second)
{
    char events[2][RECEIVE_CLIENT_EVENT_BYTES], text[2 * RECEIVE_CLIENT_EVENT_BYTES + 2];
    sl_auto(sl_http_client) *http = NULL;
    SL_TRY(sl_http_client_open(NULL, &http));
    (void)snprintf(text, sizeof text, "%s\n%s\n", receive_client_trade(events[0], first),
                   second == 0 ? "{}" : receive_client_trade(events[1], second));
    return receive_client_post(http, text, NULL, 0, NULL, 0);
}

/* The sink's folder is a file at first. */
static int fill(struct receiver *receiver)
{
    int status = 200, id = 0, full = 2;
    while (status == 200 && id < 1000) {
        status = post(receiver, ++id);
    }
    EXPECT_EQ(status, 503);
    EXPECT_EQ(stats_of(receiver).accepted, id - 1);
    EXPECT_EQ(stats_of(receiver).full, 1);
    EXPECT_EQ(post_two(1, id), 503); /* not wholly: the first one is known */
    EXPECT_EQ(stats_of(receiver).full, 2);
    EXPECT_EQ(post_two(1, 0), 207); /* what is known, or no event, needs no room */
    EXPECT_EQ(stats_of(receiver).full, 2);
    EXPECT_EQ(unlink(receiver->rig.arg), 0);
    EXPECT_EQ(mkdir(receiver->rig.arg, 0700), 0);
    for (status = 503; status == 503 && full < 1000; full += status == 503) {
        SL_TRY(sl_sleep(SL_SECONDS(1)));
        status = post(receiver, id);
    }
    EXPECT_EQ(status, 200);
    EXPECT_EQ(stats_of(receiver).full, full);
    EXPECT_EQ(stats_of(receiver).accepted, id);
    return 0;
}

static void texts_without_room_are_counted(void **state)
{
    (void)state;
    char sink[SCRATCH_PATH_MAX + 80], path[SCRATCH_PATH_MAX + 16];
    struct scratch_folder folder = scratch_folder_make();
    (void)snprintf(path, sizeof path, "%s/sub", folder.path);
    (void)snprintf(sink, sizeof sink, "kind: file, path: \"%s/out\", queue: 16, batch: 4, when_full: block", path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fclose(file);
    play_into(sink, "", fill, path);
    scratch_folder_remove(&folder);
}

/* ---- after a start ---- */

static int begin_anew(struct receiver *receiver)
{
    SL_TRY(sl_program_pause(receiver->rig.parts, "p", true));
    SL_TRY(sl_program_pause(receiver->rig.parts, "p", false));
    return until_it_listens(receiver);
}

/* Nobody remembers the signature any more, and still it is not taken again. */
static int send_again_after_a_start(struct receiver *receiver)
{
    char event[RECEIVE_CLIENT_EVENT_BYTES];
    struct receive_client_signature signature;
    (void)receive_client_trade(event, 1);
    SL_TRY(receive_client_sign(event, &signature));
    EXPECT_EQ(post_signed(&signature, event, "X-Timestamp", "X-Signature", "X-Key-Id"), 200);
    EXPECT_EQ(post_signed(&signature, event, "X-Timestamp", "X-Signature", "X-Key-Id"), 409);
    EXPECT_EQ(stats_of(receiver).replays, 1);
    SL_TRY(begin_anew(receiver));
    EXPECT_EQ(post_signed(&signature, event, "X-Timestamp", "X-Signature", "X-Key-Id"), 401);
    SL_TRY(receive_client_sign(event, &signature)); /* at once: the second of the start was waited for */
    EXPECT_EQ(post_signed(&signature, event, "X-Timestamp", "X-Signature", "X-Key-Id"), 200);
    return 0;
}

static void a_start_forgets_no_signature(void **state)
{
    (void)state;
    play(", hmac: { keys: { two: " RECEIVE_CLIENT_KEY " } }", send_again_after_a_start);
}

/* ---- who wants all of it ---- */

#define GREEDY 80
#define GREEDY_BYTES ((size_t)1 << 20)

/* Nearly all of a large body, and then nothing more; how the connection ended does not matter. */
static int be_greedy(void *arg)
{
    static char piece[64 * 1024];
    sl_auto(sl_stream) *stream = NULL;
    char head[128];
    (void)arg;
    int size =
        snprintf(head, sizeof head, "POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", GREEDY_BYTES);
    int code = sl_connect("127.0.0.1", 7200, &stream);
    code = code == 0 ? sl_stream_write(stream, head, (size_t)size) : code;
    for (size_t sent = 0; code == 0 && sent + sizeof piece < GREEDY_BYTES; sent += sizeof piece) {
        code = sl_stream_write(stream, piece, sizeof piece);
    }
    struct sl_view view;
    code = code == 0 ? sl_stream_peek(stream, 1, &view) : code;
    return code == SL_ECANCELED ? code : 0;
}

/* All of them together have no more memory than is said, who sends little is served, and in the end all are gone. */
static int withstand_the_greedy(struct receiver *receiver)
{
    SL_SCOPE(scope, .name = "greedy");
    for (int at = 0; at < GREEDY; at++) {
        SL_TRY(sl_spawn(&scope, be_greedy, NULL, .name = "greedy"));
    }
    SL_TRY(sl_sleep(SL_SECONDS(5)));
    size_t held = stats_of(receiver).bodies_bytes;
    EXPECT_EQ(held > SL_RECEIVE_BODIES_BYTES / 2 && held <= SL_RECEIVE_BODIES_BYTES, 1);
    EXPECT_EQ(post(receiver, 1), 200);
    SL_TRY(sl_sleep(SL_SECONDS(10) + (sl_time)(GREEDY_BYTES / SL_RECEIVE_BODY_RATE) * SL_SECONDS(1)));
    EXPECT_EQ(stats_of(receiver).bodies_bytes, 0);
    EXPECT_EQ(stats_of(receiver).connections, 0);
    return sl_scope_wait(&scope);
}

static void many_large_bodies_take_no_more_than_their_room(void **state)
{
    (void)state;
    play(", max_body: 1MiB", withstand_the_greedy);
}

/* A byte every few seconds, of the head or of the body. */
static int trickle(void *arg)
{
    const char *text = arg;
    sl_auto(sl_stream) *stream = NULL;
    int code = sl_connect("127.0.0.1", 7200, &stream);
    for (int at = 0; code == 0 && at < 1000; at++) {
        code = sl_stream_write(stream, text[0] == '\0' ? " " : text, 1);
        text += text[0] != '\0';
        code = code == 0 && text[0] == '\0' ? sl_sleep(SL_SECONDS(3)) : code;
    }
    return code == SL_ECANCELED ? code : code < 0 ? 0 : SL_EINTERNAL; /* it must have been cut */
}

static int withstand_the_slow(struct receiver *receiver)
{
    static const char *const beginnings[] = {
        "P", "POST /ingest HTTP/1.1\r\nX: ", "POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
        "POST /ingest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n"};
    SL_SCOPE(scope, .name = "slow");
    for (size_t at = 0; at < 40; at++) {
        SL_TRY(sl_spawn(&scope, trickle, (void *)beginnings[at % 4], .name = "slow"));
    }
    SL_TRY(sl_sleep(SL_SECONDS(2)));
    EXPECT_EQ(post(receiver, 1) < 0, 1); /* they have all connections */
    SL_TRY(sl_sleep(SL_SECONDS(30)));
    EXPECT_EQ(stats_of(receiver).connections, 0);
    EXPECT_EQ(post(receiver, 1), 200);
    return sl_scope_wait(&scope);
}

static void slow_clients_are_cut(void **state)
{
    (void)state;
    play(", max_connections: 40", withstand_the_slow);
}

SL_TEST_MAIN(cmocka_unit_test(many_large_bodies_take_no_more_than_their_room), cmocka_unit_test(slow_clients_are_cut),
             cmocka_unit_test(posts_and_messages_can_be_refused), cmocka_unit_test(one_bad_event_harms_no_other),
             cmocka_unit_test(more_connections_are_cut), cmocka_unit_test(so_many_are_remembered),
             cmocka_unit_test(headers_have_the_names_that_are_configured),
             cmocka_unit_test(clients_show_certificates_where_they_must),
             cmocka_unit_test(texts_without_room_are_counted), cmocka_unit_test(a_start_forgets_no_signature))
