/* SPDX-License-Identifier: MIT */
/* What an AMQP server may send: any frames, in any order, are taken or refused, and do no harm. */
#include <stdlib.h>
#include <string.h>

#include "amqp/internal.h"
#include "fuzz_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

/* A connection that has greeted, published twenty messages and consumes. */
static int make(sl_amqp *amqp, sl_stream **ret_other)
{
    *amqp = (sl_amqp){.frame_max = SL__AMQP_FRAME_MAX, .window = 32, .published = 20, .settled = 4, .prefetch = 5};
    sl_mutex_init(&amqp->writing);
    sl_event_init(&amqp->answered);
    sl_event_init(&amqp->progress);
    sl_event_init(&amqp->delivered);
    amqp->expected = SL__QUEUE_DECLARE_OK;
    amqp->outcomes = sl_calloc(amqp->window, 1);
    if (amqp->outcomes == NULL) {
        return SL_ENOMEM;
    }
    memset(amqp->outcomes + 5, 0x80, 16); /* awaited */
    return sl_stream_memory_pair((size_t)1 << 20, &amqp->stream, ret_other);
}

static void done(sl_amqp *amqp, sl_stream *other)
{
    while (amqp->first != NULL) {
        struct sl__amqp_content *next = amqp->first->next;
        sl__amqp_content_free(amqp->first);
        amqp->first = next;
    }
    sl_free(amqp->incoming.body);
    sl_free(amqp->out.data);
    sl_free(amqp->outcomes);
    sl_stream_close(amqp->stream);
    sl_stream_close(other);
}

/* Frames of the input: type, channel, length (two bytes), payload. */
static int take(void *arg)
{
    struct fuzz_input *input = arg;
    sl_stream *other = NULL;
    static sl_amqp amqp;
    if (make(&amqp, &other) < 0) {
        abort();
    }
    int code = 0;
    for (int frames = 0; code == 0 && input->size_bytes > 0 && frames < 1000; frames++) {
        unsigned type = fuzz_byte(input);
        unsigned channel = fuzz_byte(input);
        size_t size = (size_t)fuzz_byte(input) << 8;
        size |= fuzz_byte(input);
        size = size < input->size_bytes ? size : input->size_bytes;
        struct sl__amqp_in payload = {input->data, input->data + size, false};
        code = sl__amqp_take_frame(&amqp, type, channel, &payload);
        input->data += size;
        input->size_bytes -= size;
        if (amqp.settled > amqp.published || amqp.queued > amqp.prefetch) {
            abort();
        }
    }
    done(&amqp, other);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = {data, size_bytes};
    fuzz_run(take, &input);
    return 0;
}
