/* SPDX-License-Identifier: MIT */
/* fetch URL: prints what is there. Redirects are followed and packed bodies unpacked; https is verified. */
#include <stdio.h>

#include "sluice/sluice.h"

static int fetch(void *arg)
{
    sl_auto(sl_http_client) *client = NULL;
    sl_auto(sl_response) *response = NULL;
    char part[4096];
    size_t bytes = 0;
    int code;
    SL_TRY(sl_http_client_open(NULL, &client));
    SL_TRY(sl_fetch(client, &(sl_request){.url = arg, .stream = true}, &response));
    (void)fprintf(stderr, "%d %s\n", sl_response_status(response), sl_response_url(response));
    while ((code = sl_response_read(response, part, sizeof part, &bytes)) == 0) {
        if (fwrite(part, 1, bytes, stdout) != bytes) {
            return sl_fail(SL_EPIPE, "the output is closed");
        }
    }
    return code == SL_EOF ? 0 : code;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: fetch URL\n");
        return 2;
    }
    return sl_main(fetch, argv[1]);
}
