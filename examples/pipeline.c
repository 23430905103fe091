/* SPDX-License-Identifier: MIT */
/* A pipeline of channels: each stage ends when the one before it closed its end. */
#include <stdio.h>

#include "sluice/channel.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"

static int numbers(void *arg)
{
    for (long i = 1; i <= 100; i++) {
        SL_TRY(sl_channel_send(arg, &i)); /* waits while the buffer is full */
    }
    sl_sender_close(arg);
    return 0;
}

struct stage {
    sl_receiver *in;
    sl_sender *out;
};

static int squares(void *arg)
{
    struct stage *stage = arg;
    long number;
    while (sl_channel_receive(stage->in, &number) == 0) { /* SL_EOF ends it */
        number *= number;
        SL_TRY(sl_channel_send(stage->out, &number));
    }
    sl_sender_close(stage->out);
    return 0;
}

static int program(void *arg)
{
    (void)arg;
    struct stage first, second; /* a buffer of eight, and a rendezvous */
    SL_TRY(sl_channel_open(&(struct sl_channel_options){.capacity = 8, .item_bytes = sizeof(long)}, &first.out,
                           &first.in));
    SL_TRY(sl_channel_open(&(struct sl_channel_options){.item_bytes = sizeof(long)}, &second.out, &second.in));
    long sum = 0, square;
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, numbers, first.out));
    SL_TRY(sl_spawn(&scope, squares, &(struct stage){first.in, second.out}));
    while (sl_channel_receive(second.in, &square) == 0) {
        sum += square;
    }
    printf("sum of squares: %ld\n", sum);
    int code = sl_scope_wait(&scope);
    (void)(sl_sender_free(first.out) | sl_receiver_free(first.in) | sl_sender_free(second.out) |
           sl_receiver_free(second.in));
    return code;
}

int main(void)
{
    return sl_main(program, NULL);
}
/* Output:
sum of squares: 338350
*/
