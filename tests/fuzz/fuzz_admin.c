/* SPDX-License-Identifier: MIT */
/*
 * Requests to the admin endpoint. The first byte chooses how the bytes are cut, and whether the token stands in the
 * requests. Without the token no action runs and, with guard_reads, no view is written.
 */
#include "fuzz_run.h"
#include "sluice/admin.h"
#include "sluice/simulation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

#define TOKEN "fuzzing-token-is-long"

struct guarded {
    bool may_act, may_read;
};

static void view(void *arg, sl_json_writer *out)
{
    const struct guarded *guarded = arg;
    if (!guarded->may_read) {
        abort();
    }
    sl_json_put_uint64(out, 1);
}

static int act(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    const struct guarded *guarded = arg;
    char text[16];
    if (!guarded->may_act) {
        abort();
    }
    int code = sl_admin_param(request, "feed", text, sizeof text);
    if (code == 0) {
        sl_json_put_text(out, "yes");
    }
    return code;
}

/* Events last until somebody ends them. */
static int read_some(void *arg)
{
    SL_SCOPE(limit, .timeout = SL_SECONDS(30), .move_on = true);
    return sl_scope_close(&limit, fuzz_drain(arg));
}

static bool has_token(const struct fuzz_input *input)
{
    return input->size_bytes >= sizeof TOKEN - 1 &&
           memmem(input->data, input->size_bytes, TOKEN, sizeof TOKEN - 1) != NULL;
}

static int session(void *arg)
{
    struct fuzz_input *input = arg;
    uint8_t choice = fuzz_byte(input);
    struct guarded guarded = {.may_act = has_token(input), .may_read = (choice & 1) == 0 || has_token(input)};
    struct fuzz_writer writer = {.chunk_bytes = choice >> 1};
    writer.input = *input;
    SL_TRY(sl_network_simulate());
    sl_auto(sl_metrics) *metrics = NULL;
    sl_auto(sl_admin) *admin = NULL;
    SL_TRY(sl_metrics_open(NULL, &metrics));
    SL_TRY(sl_admin_open(&(struct sl_admin_options){.port = 80, .token = TOKEN, .guard_reads = (choice & 1) != 0},
                         &admin));
    SL_TRY(sl_admin_add(admin, "/api/a", view, &guarded));
    SL_TRY(sl_admin_add_action(admin, "/api/ctl/b", act, &guarded));
    SL_SCOPE(scope, .timeout = FUZZ_PATIENCE);
    SL_TRY(sl_spawn(&scope, sl_admin_run, admin, .daemon = true));
    SL_TRY(sl_connect("127.0.0.1", 80, &writer.stream));
    sl_auto(sl_stream) *stream = writer.stream;
    {
        SL_SCOPE(client, .timeout = FUZZ_PATIENCE);
        SL_TRY(sl_spawn(&client, fuzz_write, &writer));
        SL_TRY(sl_spawn(&client, read_some, stream));
        SL_TRY(sl_scope_wait(&client));
    }
    sl_stream_close(stream);
    stream = NULL;
    return sl_scope_wait(&scope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = {data, size_bytes};
    fuzz_run(session, &input);
    return 0;
}
