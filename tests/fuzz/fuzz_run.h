/* SPDX-License-Identifier: MIT */
/* For fuzz targets of code that waits: a run in the simulated world for each input. */
#ifndef SL_FUZZ_RUN_H
#define SL_FUZZ_RUN_H

#include <stdlib.h>
#include <string.h>

#include "sluice/runtime.h"
#include "sluice/scope.h"
#include "sluice/stream.h"

/* Longer than any timeout of the code under test: virtual, so a hang shows at once. */
#define FUZZ_PATIENCE SL_MINUTES(60)

struct fuzz_input {
    const uint8_t *data;
    size_t size_bytes;
};

/* Takes one byte off the input; 0 at its end. */
static inline uint8_t fuzz_byte(struct fuzz_input *input)
{
    if (input->size_bytes == 0) {
        return 0;
    }
    input->size_bytes--;
    return *input->data++;
}

static inline void fuzz_quiet(void *context, enum sl_log_level level, const char *text)
{
    (void)context;
    (void)level;
    (void)text;
}

/* Runs fn(arg), which must end by itself within FUZZ_PATIENCE and with nothing but 0. */
static inline void fuzz_run(sl_task_fn fn, void *arg)
{
    static const struct sl_simulation_options simulation = {.seed = 1};
    sl_error *error = NULL;
    int64_t held = sl_memory_held();
    int code = sl_run(&(struct sl_run_options){.simulation = &simulation, .watchdog = SL_NEVER, .log = fuzz_quiet}, fn,
                      arg, &error);
    if (code != 0) {
        char text[1024];
        (void)sl_error_print(error, text, sizeof text);
        (void)fprintf(stderr, "%s: %s\n", sl_error_name(code), text);
        abort();
    }
    sl_error_unref(error);
    if (sl_memory_held() != held) {
        abort();
    }
}

/* A task that writes the input in pieces and ends its side; the stream is its own. */
struct fuzz_writer {
    sl_stream *stream;
    struct fuzz_input input;
    size_t chunk_bytes; /* 0: all at once */
};

static inline int fuzz_write(void *arg)
{
    struct fuzz_writer *writer = arg;
    while (writer->input.size_bytes > 0) {
        size_t bytes = writer->chunk_bytes == 0 || writer->chunk_bytes > writer->input.size_bytes
                           ? writer->input.size_bytes
                           : writer->chunk_bytes;
        if (sl_stream_write(writer->stream, writer->input.data, bytes) < 0) {
            return 0; /* the other side has had enough */
        }
        writer->input.data += bytes;
        writer->input.size_bytes -= bytes;
        SL_TRY(sl_checkpoint());
    }
    int code = sl_stream_shutdown(writer->stream);
    return code == SL_ECANCELED ? code : 0;
}

/* Reads until the end, whatever it is. */
static inline int fuzz_drain(void *arg)
{
    char buffer[512];
    size_t bytes = 0;
    int code = 0;
    while (code == 0) {
        code = sl_stream_read(arg, buffer, sizeof buffer, &bytes);
    }
    return code == SL_ECANCELED ? code : 0;
}

#endif
