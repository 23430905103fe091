/* SPDX-License-Identifier: MIT */
/* The stack switch alone: it needs nothing but context.c, so that it can be tried under an emulator too. */
#include <stdint.h>
#include <stdlib.h>

#include "../../../framework/runtime/context.h"
#include "sl_test.h"

#define STACK_BYTES ((size_t)256 * 1024)
#define ROUNDS 10000

static sl_context caller;
static sl_context callee;
static uint64_t seen;
static double seen_double;

/* Values that live across the switch sit in registers which it must keep. */
static void run(void *argument)
{
    sl__context_entered();
    uint64_t a = *(uint64_t *)argument, b = a * 3, c = a * 5, d = a * 7, e = a * 11, f = a * 13;
    double x = 0.5, y = 0.25;
    for (;;) {
        seen = a + b + c + d + e + f;
        seen_double = x + y;
        sl__context_switch(&callee, &caller, 0);
        a++, b++, c++, d++, e++, f++;
        x += 1.0, y += 2.0;
    }
}

static void registers_and_stack_survive(void **state)
{
    (void)state;
    char *stack = test_malloc(STACK_BYTES);
    uint64_t start = 1000;
    sl__context_adopt(&caller);
    sl__context_make(&callee, stack, STACK_BYTES, run, &start);
    uint64_t g = 1, h = 2, i = 3, j = 4, k = 5, l = 6;
    double z = 1.5;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        sl__context_switch(&caller, &callee, 0);
        assert_int_equal(seen, start * 40 + 6 * round);
        assert_true(seen_double == 0.75 + 3.0 * (double)round);
        g++, h++, i++, j++, k++, l++;
        z += 0.5;
    }
    assert_int_equal(g + h + i + j + k + l, 21 + 6 * ROUNDS);
    assert_true(z == 1.5 + 0.5 * ROUNDS);
    sl__context_done(&callee);
    test_free(stack);
}

SL_TEST_MAIN(cmocka_unit_test(registers_and_stack_survive))
