/* SPDX-License-Identifier: MIT */
/* For tests of `kind: receive`: a client in the same simulated world, with signatures. */
#ifndef SL_TESTS_RECEIVE_CLIENT_H
#define SL_TESTS_RECEIVE_CLIENT_H

#include <stdint.h>

#include "sluice/fetch.h"

#define RECEIVE_CLIENT_KEY "0123456789abcdef"
#define RECEIVE_CLIENT_LISTEN "127.0.0.1:7200"
#define RECEIVE_CLIENT_EVENT_BYTES 160

/* Time and signature of a body, for the headers. */
struct receive_client_signature {
    char time[24], text[65];
};

/* An event: the trade of that number of A-B. Returns `text`. */
const char *receive_client_trade(char text[RECEIVE_CLIENT_EVENT_BYTES], int id);

/* Signed now. 0, SL_ENOMEM. */
int receive_client_sign(const char *body, struct receive_client_signature *ret_signature);

/* Sends it to /ingest with these headers: the status of the answer, its body in `answer` (may be NULL); codes of fetching. */
int receive_client_post(sl_http_client *http, const char *body, const struct sl_http_field *headers, size_t count,
                        char *answer, size_t answer_bytes);

/* The same, with the signature in the usual headers. */
int receive_client_post_signed(sl_http_client *http, const char *body);

#endif
