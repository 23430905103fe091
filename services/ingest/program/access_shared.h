/* SPDX-License-Identifier: MIT */
/* A way to a venue whose limit all replicas keep together: limits with `shared: redis`. */
#ifndef SL_INGEST_ACCESS_SHARED_H
#define SL_INGEST_ACCESS_SHARED_H

#include "ingest/program/access.h"
#include "sluice/shared_limit.h"

struct sl__access_shared {
    sl_shared_limit *limit; /* NULL: it is this process' alone */
    struct sl_limiter_shared ask;
    int on_redis_error; /* enum sl_conf_on_redis_error */
    double safety;
};

/* Has a limiter of these options ask Redis. `shared` must outlive the limiter. As sl_shared_limit_open(). */
SL_MUST_CHECK int sl__access_share(struct sl__access_shared *shared, const struct sl_access_sharing *sharing,
                                   const struct sl_conf_limit *limit, struct sl_limiter_options *options);

#endif
