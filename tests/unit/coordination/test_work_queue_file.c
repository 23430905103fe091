/* SPDX-License-Identifier: MIT */
/* The file of a local work queue: what a killed process left, what a crash cut off, what is no such file. */
#include <sys/stat.h>
#include <unistd.h>

#include "scratch_folder.h"
#include "work_kit.h"

static char file[SCRATCH_PATH_MAX + 8], copy[SCRATCH_PATH_MAX + 8];

static int open_file(sl_scope *scope, const char *path, sl_work **ret_work)
{
    return sl_work_open(scope, WORK_OPTIONS(.path = path), ret_work);
}

/* As kill -9 leaves it: the file as it is while the queue is open. */
static int copy_file(long cut)
{
    char bytes[65536];
    FILE *from = fopen(file, "r"), *to = fopen(copy, "w");
    CHECK(from != NULL && to != NULL);
    size_t size = fread(bytes, 1, sizeof bytes, from);
    CHECK(size < sizeof bytes);
    size = cut > 0 && (size_t)cut < size ? size - (size_t)cut : size;
    CHECK_EQ(fwrite(bytes, 1, size, to), size);
    CHECK_EQ(fclose(from) | fclose(to), 0);
    return 0;
}

static int write_file(const char *path, const char *text)
{
    FILE *to = fopen(path, "w");
    CHECK(to != NULL);
    CHECK(fputs(text, to) >= 0);
    CHECK_EQ(fclose(to), 0);
    return 0;
}

static int steps(sl_work *work, sl_scope *scope)
{
    sl_job *job = NULL;
    CHECK_EQ(sl_work_add(work, &(struct sl_job_spec){.key = "a b%", .body = "\0\n ", .body_bytes = 3}, NULL), 0);
    CHECK_EQ(work_add(work, "done", "body"), 1);
    CHECK_EQ(work_add(work, "dead", "x"), 1);
    CHECK_EQ(work_add(work, "back", "y"), 1);
    CHECK_EQ(sl_work_add(work, &(struct sl_job_spec){.key = "later", .delay = SL_SECONDS(100)}, NULL), 0);
    CHECK_EQ(sl_work_take(work, scope, &job), 0);
    CHECK_EQ(sl_job_checkpoint(job, "page 7\n"), 0); /* and stays in hand */
    CHECK_EQ(sl_work_take(work, scope, &job), 0);
    CHECK_EQ(sl_job_done(job), 0);
    CHECK_EQ(sl_work_take(work, scope, &job), 0);
    CHECK_EQ(sl_job_bury(job, "no hope"), 0);
    CHECK_EQ(sl_work_take(work, scope, &job), 0);
    CHECK_EQ(sl_job_checkpoint(job, "half"), 0);
    return sl_job_give_back(job);
}

/* What steps() leaves. */
static int check_left(sl_work *work, uint32_t failures)
{
    struct work_dead dead = {.count = 0};
    CHECK_DEPTH(work, 2, 0, 1, 1);
    CHECK_EQ(sl_work_dead_list(work, work_note_dead, &dead), 0);
    CHECK_STRING(dead.reason, "no hope");
    CHECK_EQ(work_add(work, "done", "body"), 0);
    SL_SCOPE(scope);
    for (int i = 0; i < 2; i++) {
        sl_job *job = NULL;
        size_t size_bytes = 0;
        CHECK_EQ(sl_work_take(work, &scope, &job), 0);
        bool back = strcmp(sl_job_key(job), "back") == 0;
        CHECK_STRING(sl_job_key(job), back ? "back" : "a b%");
        CHECK_STRING(sl_job_progress(job), back ? "half" : "page 7\n");
        CHECK(memcmp(sl_job_body(job, &size_bytes), back ? "y" : "\0\n ", back ? 2 : 4) == 0);
        CHECK_EQ(size_bytes, back ? 1 : 3);
        CHECK_EQ(sl_job_failures(job), back ? 0 : failures);
        CHECK_EQ(sl_job_fence(job), 2);
    }
    sl_scope_cancel(&scope, NULL); /* both given back */
    (void)sl_scope_close(&scope, 0);
    CHECK_DEPTH(work, 2, 0, 1, 1);
    return 0;
}

static int in_folder(int (*body)(void))
{
    struct scratch_folder folder = scratch_folder_make();
    (void)snprintf(file, sizeof file, "%s/work", folder.path);
    (void)snprintf(copy, sizeof copy, "%s/copy", folder.path);
    int code = body();
    scratch_folder_remove(&folder);
    return code;
}

#define FILE_TEST(name, behaviour)                                                                                     \
    static int name##_steps(void);                                                                                     \
    C_TEST_REAL_FEW(name, behaviour, "issue 5: work queue")                                                            \
    {                                                                                                                  \
        return in_folder(name##_steps);                                                                                \
    }                                                                                                                  \
    static int name##_steps(void)

FILE_TEST(it_survives_a_kill, "all is there again; what was in hand has failed once, in case it was why")
{
    SL_SCOPE(first);
    sl_work *work = NULL;
    CHECK_EQ(open_file(&first, file, &work), 0);
    {
        SL_SCOPE(inner);
        CHECK_EQ(steps(work, &inner), 0);
        CHECK_EQ(copy_file(0), 0);
        SL_SCOPE(second);
        sl_work *again = NULL;
        CHECK_EQ(open_file(&second, copy, &again), 0);
        CHECK_EQ(check_left(again, 1), 0);
        CHECK_EQ(sl_scope_wait(&second), 0);
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    CHECK_EQ(sl_scope_wait(&first), 0); /* in order: given back */
    for (int i = 0; i < 2; i++) {
        SL_SCOPE(third);
        CHECK_EQ(open_file(&third, file, &work), 0);
        if (i == 0) {
            CHECK_EQ(check_left(work, 0), 0);
        } else {
            CHECK_DEPTH(work, 2, 0, 1, 1);
        }
        CHECK_EQ(sl_scope_wait(&third), 0);
    }
    return 0;
}

FILE_TEST(poison_is_put_aside, "a job that kills its process three times is put aside when it is opened again")
{
    CHECK_EQ(write_file(file, "sluice work queue 1\na poison 0 0 \nt poison 1 0 \nf poison 1 0 why\nt poison 2 0 \n"
                              "f poison 2 0 why\nt poison 3 0 \n"),
             0);
    SL_SCOPE(scope);
    sl_work *work = NULL;
    CHECK_EQ(open_file(&scope, file, &work), 0);
    struct work_dead dead = {.count = 0};
    CHECK_EQ(sl_work_dead_list(work, work_note_dead, &dead), 0);
    CHECK_EQ(dead.count, 1);
    CHECK_STRING(dead.reason, "its worker fell silent");
    return sl_scope_wait(&scope);
}

FILE_TEST(cut_off_anywhere, "a file that ends in the middle of a line is what it was before that line")
{
    for (long cut = 1; cut < 400; cut++) {
        SL_SCOPE(scope);
        sl_work *work = NULL;
        if (cut == 1) {
            CHECK_EQ(open_file(&scope, file, &work), 0);
            SL_SCOPE(inner);
            CHECK_EQ(steps(work, &inner), 0);
            CHECK_EQ(sl_scope_wait(&inner), 0);
        }
        CHECK_EQ(copy_file(cut), 0);
        CHECK_EQ(open_file(&scope, copy, &work), 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

FILE_TEST(what_is_none_is_refused, "another file, a broken line, another process': said with the line's number")
{
    static const char *const bad[] = {"sqlite\n",
                                      "sluice work queue 1\nnonsense\n",
                                      "sluice work queue 1\na k 0 0 body\nt k x 0 \n",
                                      "sluice work queue 1\na k 0 0 %G1\n",
                                      "sluice work queue 1\na k 0 0 b more\n",
                                      "sluice work queue 1\nt unknown 0 0 \n",
                                      "sluice work queue 1\na k 0 0 \nz k 0 0 \n"};
    sl_work *work = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        SL_SCOPE(scope);
        CHECK_EQ(write_file(file, bad[i]), 0);
        CHECK_EQ(open_file(&scope, file, &work), SL_EPROTO);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    CHECK_EQ(unlink(file), 0);
    SL_SCOPE(scope);
    CHECK_EQ(open_file(&scope, file, &work), 0);
    CHECK_EQ(open_file(&scope, file, &work), SL_EBUSY);
    CHECK_EQ(open_file(&scope, "/nowhere/at/all", &work), SL_ENOENT);
    CHECK_EQ(mkdir(copy, 0700), 0);
    CHECK(open_file(&scope, copy, &work) < 0);
    return sl_scope_wait(&scope);
}

FILE_TEST(it_does_not_grow, "written anew without what is gone, while it is used")
{
    SL_SCOPE(scope);
    sl_work *work = NULL;
    CHECK_EQ(open_file(&scope, file, &work), 0);
    static char progress[SL_WORK_PROGRESS_MAX];
    memset(progress, 'x', sizeof progress - 1);
    CHECK_EQ(work_add(work, "a", "body"), 1);
    {
        SL_SCOPE(inner);
        sl_job *job = NULL;
        CHECK_EQ(sl_work_take(work, &inner, &job), 0);
        for (int i = 0; i < 1000; i++) {
            CHECK_EQ(sl_job_checkpoint(job, progress), 0);
        }
        struct stat status;
        CHECK_EQ(stat(file, &status), 0);
        CHECK(status.st_size < 1200000);
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    CHECK_EQ(sl_scope_wait(&scope), 0);
    SL_SCOPE(again);
    CHECK_EQ(open_file(&again, file, &work), 0);
    SL_SCOPE(inner);
    sl_job *job = NULL;
    CHECK_EQ(sl_work_take(work, &inner, &job), 0);
    CHECK_STRING(sl_job_progress(job), progress);
    CHECK_EQ(sl_scope_wait(&inner), 0);
    return sl_scope_wait(&again);
}

/* Whatever allocation fails, the queue is as before or as after the step, and so is its file. */
FILE_TEST(without_memory_at_each_step, "no step is half done")
{
    for (int64_t n = 0;; n++) {
        sl_work *work = NULL;
        bool failed = false;
        {
            SL_SCOPE(scope);
            (void)unlink(file);
            sl_memory_fail_after(n);
            int code = open_file(&scope, file, &work);
            SL_SCOPE(inner);
            if (code == 0) {
                code = work_add(work, "a", "body");
                sl_job *job = NULL;
                code = code >= 0 ? sl_work_take(work, &inner, &job) : code;
                code = code == 0 ? sl_job_checkpoint(job, "half") : code;
                code = code == 0 ? sl_job_fail(job, "why") : code;
            }
            failed = sl_memory_failed() != 0;
            sl_memory_fail_after(-1);
            CHECK(code == 0 || code == SL_ENOMEM);
            (void)sl_scope_close(&inner, 0);
            CHECK_EQ(sl_scope_wait(&scope), 0);
        }
        SL_SCOPE(scope);
        CHECK_EQ(open_file(&scope, file, &work), 0);
        struct sl_work_depth depth;
        CHECK_EQ(sl_work_depth(work, &depth), 0);
        CHECK_EQ(depth.in_hand + depth.dead, 0);
        CHECK(depth.waiting + depth.later <= 1);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        if (!failed) {
            return n > 10 ? 0 : SL_CHECK_FAILED;
        }
    }
}

SL_TEST_MAIN(cmocka_unit_test(it_survives_a_kill), cmocka_unit_test(poison_is_put_aside),
             cmocka_unit_test(cut_off_anywhere), cmocka_unit_test(what_is_none_is_refused),
             cmocka_unit_test(it_does_not_grow), cmocka_unit_test(without_memory_at_each_step))
