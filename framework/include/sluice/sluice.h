/* SPDX-License-Identifier: MIT */
/* All of libsluice. */
#ifndef SLUICE_SLUICE_H
#define SLUICE_SLUICE_H

#include "sluice/breaker.h"
#include "sluice/bulkhead.h"
#include "sluice/channel.h"
#include "sluice/config.h"
#include "sluice/dns.h"
#include "sluice/error.h"
#include "sluice/fetch.h"
#include "sluice/histogram.h"
#include "sluice/http.h"
#include "sluice/json.h"
#include "sluice/json_write.h"
#include "sluice/limiter.h"
#include "sluice/lock.h"
#include "sluice/memory.h"
#include "sluice/metrics.h"
#include "sluice/net.h"
#include "sluice/rate_limit.h"
#include "sluice/redis.h"
#include "sluice/retry.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"
#include "sluice/signal.h"
#include "sluice/simulation.h"
#include "sluice/stream.h"
#include "sluice/supervisor.h"
#include "sluice/sync.h"
#include "sluice/task.h"
#include "sluice/thread.h"
#include "sluice/time.h"
#include "sluice/tls.h"
#include "sluice/ws.h"

#endif
