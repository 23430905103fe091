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
    for (long number; sl_channel_receive(stage->in, &number) == 0;) { /* until SL_EOF */
        number *= number;
        SL_TRY(sl_channel_send(stage->out, &number));
    }
    sl_sender_close(stage->out);
    return 0;
}

static int program(void *arg)
{
    (void)arg;
    struct sl_channel_options options = {.capacity = 8, .item_bytes = sizeof(long)};
    sl_auto(sl_sender) *numbers_out = NULL, *squares_out = NULL;
    sl_auto(sl_receiver) *numbers_in = NULL, *squares_in = NULL;
    SL_TRY(sl_channel_open(&options, &numbers_out, &numbers_in));
    SL_TRY(sl_channel_open(&options, &squares_out, &squares_in));
    struct stage stage = {numbers_in, squares_out};
    long square, sum = 0;
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, numbers, numbers_out));
    SL_TRY(sl_spawn(&scope, squares, &stage));
    while (sl_channel_receive(squares_in, &square) == 0) {
        sum += square;
    }
    printf("sum of squares: %ld\n", sum);
    return sl_scope_wait(&scope);
}

int main(void)
{
    return sl_main(program, NULL);
}
/* Output:
sum of squares: 338350
*/
