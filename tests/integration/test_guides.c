/* SPDX-License-Identifier: MIT */
/* Every command in the guides is run, as it stands there. */
#include "scratch_folder.h"
#include "shell_run.h"
#include "sl_test.h"

static void the_first_ten_minutes(void **state)
{
    (void)state;
    shell_expect("$SOURCE/tests/deploy/guide.sh $SLUICE $SOURCE/docs/guide/ten-minutes.md 2>&1", 0,
                 "the guide is true");
}

static void operating(void **state)
{
    (void)state;
    shell_expect("$SOURCE/tests/deploy/guide.sh $SLUICE $SOURCE/docs/guide/operating.md 2>&1", 0, "the guide is true");
    shell_expect("grep '^written ' run.log", 0, "written");
    shell_expect("grep '^written    0 ' run.log", 1, ""); /* what it writes to spools by */
}

static void troubleshooting(void **state)
{
    (void)state;
    shell_expect("$SOURCE/tests/deploy/guide.sh $SLUICE $SOURCE/docs/guide/troubleshooting.md 2>&1", 0,
                 "the guide is true");
}

/* Needs the library where it would be installed. */
static void writing_a_worker(void **state)
{
    (void)state;
    shell_expect(
        "cmake --install $BUILD --component library --prefix $PWD/prefix >install.log && "
        "CMAKE_PREFIX_PATH=$PWD/prefix PKG_CONFIG_PATH=$PWD/$(dirname $(find prefix -name libsluice.a))/pkgconfig "
        "$SOURCE/tests/deploy/guide.sh $SLUICE $SOURCE/docs/guide/writing-a-worker.md 2>&1",
        0, "the guide is true");
}

static void retry_and_limits(void **state)
{
    (void)state;
    shell_expect("$SOURCE/tests/deploy/guide.sh $SLUICE $SOURCE/docs/guide/retry-and-limits.md 2>&1", 0,
                 "the guide is true");
}

static void replicas(void **state)
{
    (void)state;
    shell_expect("$SOURCE/tests/deploy/guide.sh $SLUICE $SOURCE/docs/guide/replicas.md 2>&1", 0, "the guide is true");
    shell_expect("test $(wc -l <ids) -gt 20", 0, ""); /* there was something to compare */
}

static void sending_events(void **state)
{
    (void)state;
    shell_expect("$SOURCE/tests/deploy/guide.sh $SLUICE $SOURCE/docs/guide/sending-events.md 2>&1", 0,
                 "the guide is true");
}

/* Its C compiles, and the files that it names are there. */
static void writing_a_venue(void **state)
{
    (void)state;
    shell_expect("guide=$SOURCE/docs/guide/writing-a-venue.md; "
                 "{ echo '#include \"venues/fields.h\"'; echo '#include \"venue_kit.h\"'; "
                 "sed -n '/^```c$/,/^```$/{/^```/!p}' $guide; } >guide.c && "
                 "cc -std=gnu17 -D_GNU_SOURCE -DSL_VENUE_FOO=SL_VENUE_BITSTAMP -fsyntax-only -Wall -Werror "
                 "-Wno-unused-function -I$SOURCE/framework -I$SOURCE/framework/include -I$SOURCE/services "
                 "-I$SOURCE/tests/support guide.c 2>&1 && "
                 "for file in $(grep -oE '`(services|tests|docs)/[a-z0-9_./-]+`' $guide | tr -d '`' | grep -v foo); do "
                 "test -e $SOURCE/$file || { echo no $file; exit 1; }; done && echo the guide is true",
                 0, "the guide is true");
}

/* A command that fails, or is not there, is noticed. */
static void guides_that_lie(void **state)
{
    (void)state;
    shell_expect("printf '# A\\n```sh\\nsluice fly\\n```\\n' >a.md; $SOURCE/tests/deploy/guide.sh $SLUICE a.md 2>&1",
                 64, "fly");
}

SL_TEST_MAIN(SCRATCH_CASE(the_first_ten_minutes), SCRATCH_CASE(operating), SCRATCH_CASE(troubleshooting),
             SCRATCH_CASE(writing_a_worker), SCRATCH_CASE(writing_a_venue), SCRATCH_CASE(retry_and_limits),
             SCRATCH_CASE(replicas), SCRATCH_CASE(sending_events), SCRATCH_CASE(guides_that_lie))
