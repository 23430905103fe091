/* SPDX-License-Identifier: MIT */
/* A folder for one case, and its end with all that is in it. */
#ifndef SCRATCH_FOLDER_H
#define SCRATCH_FOLDER_H

#define SCRATCH_PATH_MAX 256

struct scratch_folder {
    char path[SCRATCH_PATH_MAX];
};

/* Makes one under TMPDIR or /tmp; ends the case when that fails. */
struct scratch_folder scratch_folder_make(void);
void scratch_folder_remove(const struct scratch_folder *folder);

/* Set-up and tear-down of a case that runs in a folder of its own, and its path; SCRATCH_CASE() makes it one. */
int scratch_folder_enter(void **state);
int scratch_folder_leave(void **state);
const char *scratch_folder_entered(void);
#define SCRATCH_CASE(function) cmocka_unit_test_setup_teardown(function, scratch_folder_enter, scratch_folder_leave)

/* Removes a path, and below it everything. Blocks. */
void scratch_remove(const char *path);

#endif
