/* SPDX-License-Identifier: MIT */
/* See scratch_folder.h. */
#include "scratch_folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct scratch_folder scratch_folder_make(void)
{
    struct scratch_folder folder;
    const char *base = getenv("TMPDIR");
    (void)snprintf(folder.path, sizeof(folder.path), "%s/sluice-test-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(folder.path) == NULL) {
        perror(folder.path);
        abort();
    }
    return folder;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

void scratch_remove(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void scratch_folder_remove(const struct scratch_folder *folder)
{
    if (getenv("SL_TEST_KEEP") == NULL) { /* what a failure has left is to be looked at */
        scratch_remove(folder->path);
    }
}

static struct scratch_folder entered;

int scratch_folder_enter(void **state)
{
    (void)state;
    entered = scratch_folder_make();
    return chdir(entered.path);
}

const char *scratch_folder_entered(void)
{
    return entered.path;
}

int scratch_folder_leave(void **state)
{
    (void)state;
    int code = chdir("/");
    scratch_folder_remove(&entered);
    return code;
}
