/* SPDX-License-Identifier: MIT */
/*
 * Every fuzz target, without the fuzzer: its kept corpus, each input also cut short, and random changes of
 * them from a seed. Finds again what once was found; ./dev fuzz finds more.
 */
#include "sl_test.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES_MAX 65536
#define CHANGES 40
#define SEED UINT64_C(0x5eed)

#define SL_FUZZ_TARGET(name) int sl_fuzz_##name(const uint8_t *data, size_t size_bytes);
#include "fuzz_targets.h"
#undef SL_FUZZ_TARGET

typedef int (*target_fn)(const uint8_t *data, size_t size_bytes);

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* From a block of its own, so that AddressSanitizer sees a read behind the end. */
static void give(target_fn target, const uint8_t *data, size_t size_bytes)
{
    uint8_t *exact = malloc(size_bytes > 0 ? size_bytes : 1);
    assert_non_null(exact);
    memcpy(exact, data, size_bytes);
    assert_int_equal(target(exact, size_bytes), 0);
    free(exact);
}

static void give_changed(target_fn target, uint8_t *data, size_t size_bytes, uint64_t *random)
{
    give(target, data, size_bytes);
    for (int i = 0; i < CHANGES && size_bytes > 0; i++) {
        size_t at = next(random) % size_bytes;
        uint8_t before = data[at];
        data[at] = (uint8_t)next(random);
        give(target, data, next(random) % 4 == 0 ? next(random) % (size_bytes + 1) : size_bytes);
        if (next(random) % 2 == 0) {
            data[at] = before;
        }
    }
}

static void run_target(const char *name, target_fn target)
{
    static uint8_t input[INPUT_BYTES_MAX];
    char path[512];
    int files = 0;
    uint64_t random = SEED;
    (void)snprintf(path, sizeof path, "%s/tests/fuzz/corpus/%s", SL_TEST_SOURCE_DIR, name);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        fail_msg("no kept corpus %s", path);
        return;
    }
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/tests/fuzz/corpus/%s/%s", SL_TEST_SOURCE_DIR, name, entry->d_name);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t size_bytes = fread(input, 1, sizeof input, file);
        (void)fclose(file);
        (void)printf("%s, seed %llu\n", path, (unsigned long long)random);
        give_changed(target, input, size_bytes, &random);
        files++;
    }
    (void)closedir(folder);
    assert_true(files > 0);
}

#define SL_FUZZ_TARGET(name)                                                                                           \
    static void fuzz_##name(void **state)                                                                              \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        run_target(#name, sl_fuzz_##name);                                                                             \
    }
#include "fuzz_targets.h"
#undef SL_FUZZ_TARGET

#define SL_FUZZ_TARGET(name) cmocka_unit_test(fuzz_##name),
static const struct CMUnitTest cases[] = {
#include "fuzz_targets.h"
};
#undef SL_FUZZ_TARGET

int main(int argc, char **argv)
{
    return sl_test_main(cases, sizeof cases / sizeof cases[0], argc, argv);
}
