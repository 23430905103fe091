/* SPDX-License-Identifier: MIT */
/* Posting to a loop without an allocation: for parts of the runtime that keep the node themselves. */
#ifndef SL_RUNTIME_POST_H
#define SL_RUNTIME_POST_H

#include "sluice/thread.h"

struct sl__post_node {
    struct sl__post_node *next;
    struct sl__post_node *bucket_next; /* among the coalescing posts of one hash */
    sl_post_fn fn;
    void *arg;
    bool allocated;
    bool coalesce;
};

/* Queues a node that stays valid until its call. 0, or SL_ECLOSED when the runtime has ended (then it is not queued). */
int sl__loop_post_node(sl_loop_ref *loop, struct sl__post_node *node);

#endif
