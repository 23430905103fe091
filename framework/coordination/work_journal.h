/* SPDX-License-Identifier: MIT */
/*
 * The file that keeps a local work queue: one line for each change, "OP KEY NUMBER WHEN TEXT", with what is not plain
 * written %XX. A line without its end was cut off by a crash and is none. Written anew, without what is gone, when it
 * has grown.
 */
#ifndef SL_COORDINATION_WORK_JOURNAL_H
#define SL_COORDINATION_WORK_JOURNAL_H

#include "sluice/stream.h"
#include "sluice/work_queue.h"

struct sl__work_note {
    char op;
    const char *key;
    int64_t number, when;
    struct sl_bytes text;
};

struct sl__work_journal {
    char path[1024];
    int file;                    /* -1: there is none */
    uint64_t bytes, bytes_first; /* now, and when it was last written anew */
};

/* What is written anew: a note for each thing that there is, through sl__work_journal_note(). */
typedef int (*sl__work_tell_fn)(void *arg, struct sl__work_journal *journal);
typedef int (*sl__work_replay_fn)(void *arg, const struct sl__work_note *note);

/*
 * Takes the file for this process and replays what is there; sl__work_journal_renew() must follow. 0; SL_EBUSY; SL_EPROTO;
 * SL_ENOMEM; the system's codes.
 */
SL_MUST_CHECK int sl__work_journal_open(struct sl__work_journal *journal, const char *path, sl__work_replay_fn replay,
                                        void *arg);

/* Writes it anew, beside the old one, in its place when it is whole. 0, or a code: it is as it was. */
SL_MUST_CHECK int sl__work_journal_renew(struct sl__work_journal *journal, sl__work_tell_fn tell, void *arg);

/* Adds a note. 0, or a code: then it is not there. Without a file it does nothing. */
SL_MUST_CHECK int sl__work_journal_note(struct sl__work_journal *journal, const struct sl__work_note *note);

/* The same, if it is worth it. */
void sl__work_journal_tidy(struct sl__work_journal *journal, sl__work_tell_fn tell, void *arg);

void sl__work_journal_close(struct sl__work_journal *journal);

#endif
