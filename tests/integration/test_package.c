/* SPDX-License-Identifier: MIT */
/* What is installed is enough for projects outside; `sluice new worker` writes one. `./dev package check` does more. */
#include "scratch_folder.h"
#include "shell_run.h"
#include "sl_test.h"

static void projects_outside_build_against_what_is_installed(void **state)
{
    (void)state;
    shell_expect("$SOURCE/scripts/package-check --short $BUILD . gcc 2>&1", 0,
                 "gcc: a new worker builds, runs and passes its test");
    /* Headers, an archive, the two descriptions, the licence: nothing else. */
    shell_expect("cd prefix && find . -type f ! -name '*.h' ! -name '*.cmake' | sed 's,.*/,,' | sort | tr '\\n' ' '", 0,
                 "copyright libsluice.a sluice.pc ");
    shell_expect("grep -rl \"$SOURCE\\|$BUILD\" prefix --include='*.cmake' --include='*.pc' --include='*.h'", 1, "");
}

/* An older or a much newer one is asked for, or one of its libraries is missing: found out when configured. */
static void what_does_not_fit_is_not_found(void **state)
{
    (void)state;
    shell_expect("cmake --install $BUILD --component library --prefix $PWD/prefix", 0, "sluice.pc");
    shell_expect("mkdir ask; printf 'cmake_minimum_required(VERSION 3.21)\\nproject(a C)\\n"
                 "find_package(Sluice ${WANTED} REQUIRED)\\n' >ask/CMakeLists.txt; "
                 "cmake -S ask -B a -DCMAKE_PREFIX_PATH=$PWD/prefix -DWANTED=0.2 2>&1",
                 1, "0.1.0");
    shell_expect("PKG_CONFIG_LIBDIR=$PWD/none cmake -S ask -B b -DCMAKE_PREFIX_PATH=$PWD/prefix 2>&1", 1,
                 "Sluice needs libuv");
    shell_expect("cmake -S ask -B c -DCMAKE_PREFIX_PATH=$PWD/prefix -DWANTED=0.1 2>&1", 0, "done");
}

static void a_new_worker_is_written(void **state)
{
    (void)state;
    shell_expect("$SLUICE new worker tick-feed 2>&1", 0, "tick-feed is in tick-feed");
    shell_expect(
        "ls -A tick-feed | tr '\\n' ' '", 0,
        ".dockerignore .gitignore CMakeLists.txt Dockerfile README.md settings.h test.sh worker.c worker.yaml ");
    shell_expect("test -x tick-feed/test.sh && ! test -x tick-feed/worker.c && grep -c tick-feed tick-feed/*", 0,
                 "tick-feed/Dockerfile:");
    shell_expect("grep -r '@[A-Z]*@' tick-feed", 1, ""); /* all words are filled in */
    shell_expect("$SLUICE version | sed 's/.* //' >version; grep \"find_package(Sluice $(cat version) \" "
                 "tick-feed/CMakeLists.txt",
                 0, "REQUIRED");
    shell_expect("$SLUICE new worker other elsewhere 2>&1", 0, "other is in elsewhere");
    shell_expect("grep project elsewhere/CMakeLists.txt", 0, "project(other ");
    shell_expect("mkdir begun && echo mine >begun/notes && $SLUICE new worker begun 2>&1 && cat begun/notes", 0,
                 "mine");
}

static void nothing_is_written_over(void **state)
{
    (void)state;
    shell_expect("$SLUICE new worker a 2>&1", 0, "");
    shell_expect("echo changed >a/worker.c; rm a/Dockerfile; $SLUICE new worker a 2>&1", 1,
                 "'a/worker.c' is there already; nothing was written");
    shell_expect("test ! -e a/Dockerfile && cat a/worker.c", 0, "changed\n");
    shell_expect("mkdir b; ln -s nowhere b/README.md; $SLUICE new worker b 2>&1", 1, "'b/README.md' is there already");
    shell_expect("test ! -e b/worker.c && test ! -e nowhere", 0, "");
    shell_expect("echo >file; $SLUICE new worker c file 2>&1", 1, "cannot be written: Not a directory");
    shell_expect("$SLUICE new worker c no/where 2>&1", 1, "'no/where' cannot be made: No such file");
}

static void names_that_are_none(void **state)
{
    (void)state;
    shell_expect("for name in A 1a a_b a- -a a/b 'a b' ../a 'a$' ''; do $SLUICE new worker -- \"$name\" >>said 2>&1; "
                 "test $? -eq 64 || echo \"'$name' was taken\"; done; ls",
                 0, "said\n");
    shell_expect("$SLUICE new worker abcdefghijklmnopqrstuvwxyz0123456789-abcde 2>&1", 64, "at most 40");
    shell_expect("$SLUICE new worker a '' 2>&1", 64, "the folder has no name");
    shell_expect("$SLUICE new 2>&1", 64, "worker");
    shell_expect("$SLUICE new worker 2>&1", 64, "");
    shell_expect("ls", 0, "said\n");
}

SL_TEST_MAIN(SCRATCH_CASE(projects_outside_build_against_what_is_installed),
             SCRATCH_CASE(what_does_not_fit_is_not_found), SCRATCH_CASE(a_new_worker_is_written),
             SCRATCH_CASE(nothing_is_written_over), SCRATCH_CASE(names_that_are_none))
