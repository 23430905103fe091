/* SPDX-License-Identifier: MIT */
/* Events from others: the server, who may, what becomes of a text. See receive.h. */
#include "ingest/receive/receive.h"

#include <stdio.h>
#include <string.h>

#include "ingest/program/program.h"
#include "ingest/receive/receive_auth.h"
#include "ingest/receive/seen.h"
#include "market/event_read.h"
#include "sluice/http.h"
#include "sluice/json_write.h"
#include "sluice/log_record.h"
#include "sluice/rate_limit.h"
#include "sluice/runtime.h"
#include "sluice/ws.h"

#define ADDRESS_BYTES 80

/* Events after which others have their turn. */
#define EVENTS_AT_ONCE 256

/* From a stop to the cut of what still runs; and what saying goodbye may take. */
#define STOP_GRACE SL_SECONDS(2)
#define GOODBYE SL_SECONDS(1)

/* service->life */
struct receive {
    struct sl_program_service *service;
    sl_config *config; /* that it began with, whose texts the server has */
    sl_listener *listener;
    sl_tls_config *tls;
    sl_event_reader *reader;
    sl_mutex lock; /* one text at a time is read */
    sl_seen *events, *signatures;
    int64_t since_ns; /* signatures of an earlier time are not known here, and not taken */
    sl_rate_table *rates;
    struct sl_config_rate rate; /* that `rates` is made of */
    struct sl_http_counts counts;
    struct sl_receive_stats stats;
};

static const struct sl_conf_receive *conf_of(const struct receive *receive)
{
    return receive->service->variant->value;
}

/* ---- one text ---- */

/* What became of it. */
struct reply {
    int status;
    size_t accepted, repeated, refused;
    size_t untaken_from;   /* with 503: the first item that was not taken */
    sl_time retry_after;   /* 0: not said */
    const char *error;     /* of the text as a whole; NULL: none */
    sl_json_writer errors; /* an array of what was refused */
};

static void note(struct reply *reply, const struct sl_event_problem *problem)
{
    if (reply->refused++ >= SL_RECEIVE_PROBLEMS) {
        return;
    }
    sl_json_writer *out = &reply->errors;
    sl_json_begin_object(out);
    sl_json_put_key_uint64(out, "item", problem->item);
    sl_json_put_key_uint64(out, "offset", problem->offset_bytes);
    sl_json_put_key_text(out, "path", problem->path);
    sl_json_put_key_text(out, "problem", problem->text);
    sl_json_end_object(out);
}

/* What names the event, if anything does: its own numbers, its sender's stamp, or its place in a batch with a key: 1, 0. */
static int identify(const sl_market_event *event, sl_stamp stamp, const char *batch_key, size_t item,
                    struct sl_seen_key *ret_key)
{
    char text[SL_EVENT_IDENTITY_MAX + SL_RECEIVE_KEY_BYTES + 32], other[SL_EVENT_IDENTITY_MAX];
    size_t size = sl_event_identity(event, stamp, text);
    bool stamped = stamp.run != 0 || stamp.number != 0;
    (void)sl_event_identity(event, (sl_stamp){stamp.run + 1, stamp.number}, other);
    if (!stamped && strcmp(text, other) != 0) {
        if (batch_key == NULL) {
            return 0;
        }
        int length = snprintf(text, sizeof text, "batch:%s#%zu", batch_key, item);
        size = length < 0 ? 0 : (size_t)length;
    }
    SL_TRY(sl_seen_key_of(text, size, ret_key));
    return 1;
}

/* One good item: 1 it is done with, 0 there is no room for it. */
static int take_event(struct receive *receive, struct reply *reply, const sl_market_event *event, sl_stamp stamp,
                      const char *batch_key)
{
    struct sl_event_problem problem = *sl_event_reader_problem(receive->reader);
    struct sl_seen_key key;
    int named = identify(event, stamp, batch_key, problem.item, &key);
    SL_TRY(named);
    if (named > 0 && sl_seen_has(receive->events, key)) {
        reply->repeated++;
        return 1;
    }
    int room = sl_fanout_has_room(receive->service->fanout, event);
    if (room == SL_EMSGSIZE) {
        problem.path[0] = '\0';
        (void)snprintf(problem.text, sizeof problem.text, "too large for the queue of a sink");
        note(reply, &problem);
        return 1;
    }
    if (room != 1) {
        return 0;
    }
    sl__service_saw(receive->service, event);
    SL_TRY(sl__service_give(receive->service, event));
    reply->accepted++;
    SL_TRY(named > 0 ? sl_seen_add(receive->events, key, sl_now(), 0) : 0);
    return 1;
}

/* The first problem of a text goes to the dead letters, for those who run this; its sender gets all of them. */
static void bury(struct receive *receive, const char *text, size_t size_bytes)
{
    const struct sl_event_problem *problem = sl_event_reader_problem(receive->reader);
    char reason[sizeof problem->path + sizeof problem->text + 4];
    (void)snprintf(reason, sizeof reason, "%s%s%s", problem->path, problem->path[0] == '\0' ? "" : ": ", problem->text);
    struct sl_bad_message bad = {.text = text,
                                 .size_bytes = size_bytes,
                                 .receive_time_ns = sl_now_wall(),
                                 .code = SL_EPROTO,
                                 .problem = reason,
                                 .like = "no event"};
    sl__service_bad(receive->service, &bad);
}

static int take_items(struct receive *receive, struct reply *reply, const char *text, size_t size_bytes,
                      const char *batch_key)
{
    sl_market_event event;
    sl_stamp stamp;
    int code = 1;
    sl_event_reader_open(receive->reader, text, size_bytes, sl_now_wall());
    for (size_t done = 0; (code = sl_event_reader_next(receive->reader, &event, &stamp)) != 0; done++) {
        if (code == SL_EPROTO) {
            if (reply->refused == 0) {
                bury(receive, text, size_bytes);
            }
            note(reply, sl_event_reader_problem(receive->reader));
        } else {
            code = code < 0 ? code : take_event(receive, reply, &event, stamp, batch_key);
            if (code <= 0) {
                reply->untaken_from = sl_event_reader_problem(receive->reader)->item;
                break;
            }
        }
        if (done % EVENTS_AT_ONCE == EVENTS_AT_ONCE - 1) {
            SL_TRY(sl_checkpoint());
        }
    }
    if (code == 0 && reply->accepted + reply->repeated + reply->refused == 0 && reply->untaken_from == SIZE_MAX) {
        reply->error = "no event in it";
    }
    return code == SL_ENOMEM ? 0 : code; /* what was not taken for want of memory may come again */
}

static void judge(struct receive *receive, struct reply *reply)
{
    size_t good = reply->accepted + reply->repeated;
    if (reply->untaken_from != SIZE_MAX) {
        reply->status = 503;
        reply->retry_after = SL_RECEIVE_RETRY;
        receive->stats.full++;
    } else if (reply->error != NULL) {
        reply->status = 400;
    } else {
        reply->status = reply->refused == 0 ? 200 : good == 0 ? 422 : 207;
    }
    receive->stats.accepted += reply->accepted;
    receive->stats.repeated += reply->repeated;
    receive->stats.refused += reply->refused;
}

/* A signature is good for one text; one that was not taken may come again with it. */
static bool may_sign(struct receive *receive, struct reply *reply, struct sl_seen_key signature, sl_time keep)
{
    if (signature.words[0] == 0 && signature.words[1] == 0) {
        return true;
    }
    if (sl_seen_has(receive->signatures, signature)) {
        *reply = (struct reply){.status = 409, .error = "this signature has been used", .errors = reply->errors};
        receive->stats.replays++;
        return false;
    }
    if (sl_seen_is_full(receive->signatures, sl_now(), keep)) {
        *reply = (struct reply){
            .status = 503, .error = "too many signatures", .retry_after = SL_RECEIVE_RETRY, .errors = reply->errors};
        return false;
    }
    return true;
}

static int take_locked(struct receive *receive, struct reply *reply, const char *text, size_t size_bytes,
                       const char *batch_key, struct sl_seen_key signature)
{
    const struct sl_conf_hmac *hmac = conf_of(receive)->hmac;
    sl_time keep = hmac == NULL ? 0 : 2 * hmac->tolerance; /* the configuration may be another one later */
    if (!may_sign(receive, reply, signature, keep)) {
        return 0;
    }
    SL_TRY(take_items(receive, reply, text, size_bytes, batch_key));
    judge(receive, reply);
    if (keep > 0 && reply->status != 503 && (signature.words[0] != 0 || signature.words[1] != 0)) {
        return sl_seen_add(receive->signatures, signature, sl_now(), keep);
    }
    return 0;
}

/* One text of a request or message. Waits for others', and as sinks do. */
static int take_text(struct receive *receive, struct reply *reply, const char *text, size_t size_bytes,
                     const char *batch_key, struct sl_seen_key signature)
{
    receive->stats.requests++;
    receive->stats.bytes += size_bytes;
    SL_TRY(sl_mutex_lock(&receive->lock));
    int code = take_locked(receive, reply, text, size_bytes, batch_key, signature);
    (void)sl_mutex_unlock(&receive->lock);
    return code;
}

/* ---- answers ---- */

static void begin(struct reply *reply)
{
    *reply = (struct reply){.untaken_from = SIZE_MAX};
    sl_json_writer_init(&reply->errors, 0);
    sl_json_begin_array(&reply->errors);
}

/* {"status":207,"accepted":2,"repeated":0,"refused":1,"errors":[...]} */
static int write_reply(struct reply *reply, sl_json_writer *out, sl_json_text *ret_text)
{
    sl_json_text errors;
    sl_json_end_array(&reply->errors);
    SL_TRY(sl_json_writer_finish(&reply->errors, &errors));
    sl_json_begin_object(out);
    sl_json_put_key_uint64(out, "status", (size_t)reply->status);
    if (reply->error != NULL) {
        sl_json_put_key_text(out, "error", reply->error);
    } else {
        sl_json_put_key_uint64(out, "accepted", reply->accepted);
        sl_json_put_key_uint64(out, "repeated", reply->repeated);
        sl_json_put_key_uint64(out, "refused", reply->refused);
        sl_json_put_key(out, "errors");
        sl_json_put_json(out, errors.data, errors.size_bytes);
    }
    if (reply->untaken_from != SIZE_MAX && reply->status == 503) {
        sl_json_put_key_uint64(out, "untaken_from", reply->untaken_from);
    }
    if (reply->retry_after > 0) {
        sl_json_put_key_uint64(out, "retry_after", (size_t)((reply->retry_after + SL_SECONDS(1) - 1) / SL_SECONDS(1)));
    }
    sl_json_end_object(out);
    return sl_json_writer_finish(out, ret_text);
}

static int respond(sl_http_exchange *exchange, struct reply *reply)
{
    sl_json_writer out;
    sl_json_text text = {"", 0};
    char seconds[24];
    sl_json_writer_init(&out, 0);
    int code = write_reply(reply, &out, &text);
    (void)snprintf(seconds, sizeof seconds, "%lld",
                   (long long)((reply->retry_after + SL_SECONDS(1) - 1) / SL_SECONDS(1)));
    const struct sl_http_field retry = {"Retry-After", seconds}, challenge = {"WWW-Authenticate", "Bearer"};
    const struct sl_http_field *header = reply->retry_after > 0 ? &retry : reply->status == 401 ? &challenge : NULL;
    struct sl_http_answer answer = {.status = reply->status,
                                    .content_type = "application/json",
                                    .headers = header,
                                    .header_count = header != NULL,
                                    .body = text.data,
                                    .body_bytes = text.size_bytes};
    code = code == 0 ? sl_http_respond_with(exchange, &answer) : code;
    sl_json_writer_free(&out);
    return code;
}

/* ---- who may ---- */

static const char *header_of(const void *message, const char *name)
{
    return sl_http_header(message, name);
}

/* A changed rate counts from now on. */
static int keep_rates(struct receive *receive)
{
    struct sl_config_rate wanted = conf_of(receive)->rate;
    if (receive->rates != NULL && wanted.count == receive->rate.count && wanted.period == receive->rate.period) {
        return 0;
    }
    /* A client may send what its period allows all at once. */
    struct sl_rate rate = {.count = wanted.count, .period = wanted.period, .burst = wanted.count, .bucket = true};
    sl_rate_table *table = NULL;
    SL_TRY(sl_rate_table_create(&rate, 1, SL_RECEIVE_ADDRESSES, sl_random(), &table));
    sl_rate_table_free(receive->rates);
    receive->rates = table;
    receive->rate = wanted;
    return 0;
}

/* Without the port. */
static size_t address_of(const sl_stream *stream, char address[ADDRESS_BYTES])
{
    sl_stream_peer(stream, address, ADDRESS_BYTES);
    const char *colon = strrchr(address, ':');
    return colon == NULL ? strlen(address) : (size_t)(colon - address);
}

/* Whether an address may ask once more; the answer when not. */
static int check_rate(struct receive *receive, const sl_stream *stream, struct reply *reply)
{
    char address[ADDRESS_BYTES];
    sl_time when = 0, now = sl_now();
    size_t size = address_of(stream, address);
    SL_TRY(keep_rates(receive));
    int code = sl_rate_table_try(receive->rates, address, size, 1, now, &when);
    if (code == SL_EAGAIN) {
        receive->stats.too_fast++;
        reply->status = 429;
        reply->error = "too many requests of this address";
        reply->retry_after = when > now ? when - now : 1;
    }
    return code == SL_EAGAIN ? 0 : code;
}

static int check_claim(struct receive *receive, const sl_http_exchange *exchange, struct reply *reply,
                       struct sl_seen_key *ret_signature)
{
    struct sl_receive_claim claim = {.header = header_of, .message = exchange->request};
    claim.body = sl_http_body(exchange->request, &claim.body_bytes);
    int code =
        sl_receive_admit(conf_of(receive), &claim, sl_now_wall(), receive->since_ns, ret_signature, &reply->error);
    if (code == SL_EINVAL) {
        receive->stats.strangers++;
        reply->status = 401;
        return 0;
    }
    reply->error = NULL;
    return code;
}

/* ---- POST ---- */

/* A key that is cut off could be another one's, and its events would be taken for repeats. */
static const char *batch_key_of(const sl_http_exchange *exchange, struct reply *reply)
{
    const char *key = sl_http_header(exchange->request, "Idempotency-Key");
    size_t size = key == NULL ? 1 : strlen(key);
    if (size == 0 || size > SL_RECEIVE_KEY_BYTES) {
        reply->status = 400;
        reply->error = "Idempotency-Key: one of 1 to 255 bytes is expected";
    }
    return key;
}

static int take_request(struct receive *receive, const sl_http_exchange *exchange, struct reply *reply)
{
    struct sl_seen_key signature = {{0, 0}};
    size_t size = 0;
    SL_TRY(check_rate(receive, exchange->stream, reply));
    if (reply->status == 0) {
        SL_TRY(check_claim(receive, exchange, reply, &signature));
    }
    const char *batch_key = reply->status == 0 ? batch_key_of(exchange, reply) : NULL;
    if (reply->status != 0) {
        return 0;
    }
    const char *body = sl_http_body(exchange->request, &size);
    return take_text(receive, reply, body, size, batch_key, signature);
}

static int on_post(void *arg, sl_http_exchange *exchange)
{
    struct reply reply;
    begin(&reply);
    int code = take_request(arg, exchange, &reply);
    code = code == 0 ? respond(exchange, &reply) : code;
    sl_json_writer_free(&reply.errors);
    return code;
}

/* ---- WebSocket ---- */

static int answer_message(struct receive *receive, sl_ws *ws, const struct sl_ws_message *message)
{
    struct reply reply;
    sl_json_writer out;
    sl_json_text text;
    begin(&reply);
    sl_json_writer_init(&out, 0);
    int code = check_rate(receive, sl_ws_stream(ws), &reply);
    if (code == 0 && reply.status == 0) {
        code = take_text(receive, &reply, message->data, message->size_bytes, NULL, (struct sl_seen_key){{0, 0}});
    }
    code = code == 0 ? write_reply(&reply, &out, &text) : code;
    code = code == 0 ? sl_ws_send(ws, SL_WS_TEXT, text.data, text.size_bytes) : code;
    sl_json_writer_free(&out);
    sl_json_writer_free(&reply.errors);
    return code;
}

/* It is told that we go, whatever it does. */
static void say_goodbye(sl_ws *ws)
{
    SL_SCOPE(shield, .name = "goodbye", .shield = true, .timeout = GOODBYE);
    (void)sl_scope_close(&shield, sl_ws_send_close(ws, 1001, "going away"));
}

static int serve_session(struct receive *receive, sl_ws *ws)
{
    struct sl_ws_message message;
    int code = 0;
    receive->stats.sessions++;
    while (code == 0 && (code = sl_ws_receive(ws, &message)) == 0) {
        code = answer_message(receive, ws, &message);
    }
    receive->stats.sessions--;
    if (code == SL_ECANCELED) {
        say_goodbye(ws);
    }
    return code == SL_ECANCELED || code == SL_ENOMEM ? code : 0; /* how a client ends is its own business */
}

static int on_upgrade(void *arg, sl_http_exchange *exchange)
{
    struct receive *receive = arg;
    struct reply reply;
    struct sl_seen_key signature = {{0, 0}};
    begin(&reply);
    int code = check_rate(receive, exchange->stream, &reply);
    code = code == 0 && reply.status == 0 ? check_claim(receive, exchange, &reply, &signature) : code;
    const struct sl_conf_hmac *hmac = conf_of(receive)->hmac;
    if (code == 0 && reply.status == 0 && hmac != NULL && may_sign(receive, &reply, signature, 2 * hmac->tolerance)) {
        code = sl_seen_add(receive->signatures, signature, sl_now(), 2 * hmac->tolerance);
    }
    if (code == 0 && reply.status != 0) {
        code = respond(exchange, &reply);
        sl_json_writer_free(&reply.errors);
        return code;
    }
    sl_json_writer_free(&reply.errors);
    sl_auto(sl_ws) *ws = NULL;
    struct sl_ws_options options = {.message_bytes_max = conf_of(receive)->max_body_bytes};
    SL_TRY(code);
    SL_TRY(sl_ws_accept_with(exchange, &options, &ws));
    return serve_session(receive, ws);
}

/* ---- its life ---- */

/*
 * Signed times are whole seconds: that in which an earlier life may still have taken signatures has to be over. What was
 * signed in it, or before, could be a repeat.
 */
static int wait_for_own_second(struct receive *receive)
{
    int64_t now = sl_now_wall(), into = now % SL_SECONDS(1);
    receive->since_ns = into == 0 ? now : now - into + SL_SECONDS(1);
    return sl_sleep(receive->since_ns - now);
}

static int open_all(struct receive *receive, char host[SL_CONF_HOST_MAX])
{
    const struct sl_conf_receive *conf = conf_of(receive);
    uint16_t port = 0;
    if (!sl_conf_listen_parse(conf->listen, host, &port)) {
        return sl_fail(SL_EINVAL, "services.%s.listen: '%s' is no address", receive->service->name, conf->listen);
    }
    SL_TRY(sl_event_reader_new(conf->max_body_bytes, sl_conf_receive_venue(conf), &receive->reader));
    SL_TRY(sl_seen_new(conf->remember, &receive->events));
    SL_TRY(sl_seen_new(conf->hmac == NULL ? 0 : SL_RECEIVE_SIGNATURES, &receive->signatures));
    SL_TRY(keep_rates(receive));
    if (conf->tls != NULL) {
        SL_TRY(sl__server_tls(conf->tls, &receive->tls));
    }
    SL_TRY(conf->hmac == NULL ? 0 : wait_for_own_second(receive));
    SL_TRY(sl_listener_open(host, port, &receive->listener));
    receive->stats.port = sl_listener_port(receive->listener);
    sl_log_with(SL_LOG_INFO, "takes events", sl_field_text("service", receive->service->name),
                sl_field_text("address", host), sl_field_int("port", receive->stats.port),
                sl_field_text("guard", conf->hmac != NULL      ? "signature"
                                       : conf->api_key != NULL ? "API key"
                                                               : "none: only this machine reaches it"));
    return 0;
}

static int serve(struct receive *receive)
{
    char host[SL_CONF_HOST_MAX];
    SL_TRY(open_all(receive, host));
    receive->service->life = receive;
    const struct sl_conf_receive *conf = conf_of(receive);
    size_t four = 4 * (size_t)conf->max_body_bytes;
    size_t bodies = four > SL_RECEIVE_BODIES_BYTES ? four : SL_RECEIVE_BODIES_BYTES;
    struct sl_http_route routes[2];
    size_t count = 0;
    if (conf->post) {
        routes[count++] =
            (struct sl_http_route){.method = "POST", .pattern = conf->path, .handler = on_post, .arg = receive};
    }
    if (conf->websocket) {
        routes[count++] =
            (struct sl_http_route){.method = "GET", .pattern = conf->path, .handler = on_upgrade, .arg = receive};
    }
    struct sl_http_server_options options = {.routes = routes,
                                             .route_count = count,
                                             .tls = receive->tls,
                                             .counts = &receive->counts,
                                             .connections_max = conf->max_connections,
                                             .body_bytes_max = conf->max_body_bytes,
                                             .bodies_bytes_max = bodies,
                                             .body_rate = SL_RECEIVE_BODY_RATE,
                                             .stop_grace = STOP_GRACE};
    return sl_http_serve_with(receive->listener, &options);
}

static int run(void *arg)
{
    struct sl_program_service *service = arg;
    struct receive *receive = sl_calloc(1, sizeof *receive);
    if (receive == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a service");
    }
    receive->service = service;
    receive->config = sl_config_ref(service->config);
    sl_mutex_init(&receive->lock);
    int code = serve(receive);
    sl__program_life_gone(service);
    service->life = NULL;
    sl_listener_close(receive->listener);
    sl_tls_config_free(receive->tls);
    sl_event_reader_free(receive->reader);
    sl_seen_free(receive->events);
    sl_seen_free(receive->signatures);
    sl_rate_table_free(receive->rates);
    sl_config_unref(receive->config);
    sl_free(receive);
    return code;
}

/* ---- looking ---- */

bool sl_receive_get_stats(const struct sl_program_service *service, struct sl_receive_stats *ret_stats)
{
    const struct receive *receive = service->kind == &sl__receive_kind ? service->life : NULL;
    if (receive == NULL) {
        return false;
    }
    *ret_stats = receive->stats;
    ret_stats->connections = receive->counts.open;
    ret_stats->bodies_bytes = receive->counts.bodies_bytes;
    ret_stats->instruments = sl_event_reader_instruments(receive->reader);
    return true;
}

static void look(const struct sl_program_service *service, struct sl_service_look *ret_look)
{
    const struct receive *receive = service->life;
    *ret_look = (struct sl_service_look){.works = true,
                                         .messages = receive->stats.requests,
                                         .bytes = receive->stats.bytes,
                                         .bad = receive->stats.refused,
                                         .connections = receive->counts.open,
                                         .live = receive->counts.open};
}

static void collect(const struct sl_program_service *service, const struct sl_label *labels, sl_scrape *scrape)
{
    struct sl_receive_stats stats;
    if (!sl_receive_get_stats(service, &stats)) {
        return;
    }
    const struct {
        const char *result;
        uint64_t value;
    } events[] = {{"accepted", stats.accepted}, {"repeated", stats.repeated}, {"refused", stats.refused}},
      turned_away[] = {
          {"stranger", stats.strangers}, {"replay", stats.replays}, {"rate", stats.too_fast}, {"full", stats.full}};
    sl_scrape_counter(scrape, "sluice_receive_requests_total", "Requests and messages with events.", labels,
                      stats.requests);
    for (size_t at = 0; at < sizeof events / sizeof events[0]; at++) {
        sl_scrape_counter(scrape, "sluice_receive_events_total", "Events that were sent to us.",
                          SL_LABELS({"service", service->name}, {"result", events[at].result}), events[at].value);
    }
    for (size_t at = 0; at < sizeof turned_away / sizeof turned_away[0]; at++) {
        sl_scrape_counter(scrape, "sluice_receive_turned_away_total", "Requests that were not, or not wholly, taken.",
                          SL_LABELS({"service", service->name}, {"reason", turned_away[at].result}),
                          turned_away[at].value);
    }
    sl_scrape_gauge(scrape, "sluice_receive_instruments",
                    "Instruments that senders have named; events of more than 65536 are refused.", labels,
                    (double)stats.instruments);
    sl_scrape_gauge(scrape, "sluice_receive_connections", "Connections open now.", labels, (double)stats.connections);
}

const struct sl_service_kind sl__receive_kind = {.run = run, .look = look, .collect = collect};
