/* SPDX-License-Identifier: MIT */
/* See receive_client.h. */
#include "receive_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ingest/receive/receive_auth.h"
#include "sluice/runtime.h"

const char *receive_client_trade(char text[RECEIVE_CLIENT_EVENT_BYTES], int id)
{
    (void)snprintf(text, RECEIVE_CLIENT_EVENT_BYTES,
                   "{\"kind\":\"trade\",\"instrument\":\"A-B\",\"id\":%d,\"price\":\"1.5\",\"quantity\":\"2\","
                   "\"taker\":\"buy\"}",
                   id);
    return text;
}

int receive_client_sign(const char *body, struct receive_client_signature *ret_signature)
{
    uint8_t bytes[SL_SHA256_BYTES];
    (void)snprintf(ret_signature->time, sizeof ret_signature->time, "%" PRId64, sl_now_wall() / SL_SECONDS(1));
    SL_TRY(sl_receive_sign(RECEIVE_CLIENT_KEY, ret_signature->time, body, strlen(body), bytes));
    for (size_t at = 0; at < SL_SHA256_BYTES; at++) {
        (void)snprintf(ret_signature->text + 2 * at, 3, "%02x", bytes[at]);
    }
    return 0;
}

int receive_client_post(sl_http_client *http, const char *body, const struct sl_http_field *headers, size_t count,
                        char *answer, size_t answer_bytes)
{
    sl_request request = {.method = "POST",
                          .url = "http://" RECEIVE_CLIENT_LISTEN "/ingest",
                          .headers = headers,
                          .header_count = count,
                          .body = body,
                          .body_bytes = strlen(body)};
    sl_auto(sl_response) *response = NULL;
    SL_TRY(sl_fetch(http, &request, &response));
    if (answer != NULL) {
        (void)snprintf(answer, answer_bytes, "%s", sl_response_body(response, NULL));
    }
    return sl_response_status(response);
}

int receive_client_post_signed(sl_http_client *http, const char *body)
{
    struct receive_client_signature signature;
    SL_TRY(receive_client_sign(body, &signature));
    const struct sl_http_field headers[] = {{"X-Timestamp", signature.time}, {"X-Signature", signature.text}};
    return receive_client_post(http, body, headers, 2, NULL, 0);
}
