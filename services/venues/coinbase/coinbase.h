/* SPDX-License-Identifier: MIT */
/* Coinbase Exchange: its driver, and what its files share. Source: docs.cdp.coinbase.com/exchange. */
#ifndef SLUICE_COINBASE_H
#define SLUICE_COINBASE_H

#include "venues/rest.h"

extern const sl_venue_driver sl__coinbase;

/* What was acknowledged of one instrument: bits of feeds, in the last message and in this one. */
struct sl__coinbase_state {
    uint16_t before, now;
};

struct sl__coinbase {
    sl_venue_decoder base;
    struct sl__beside states;
};

int sl__coinbase_decode(sl_venue_decoder *decoder, const sl_venue_message *message, const sl_venue_output *output);
int sl__coinbase_rest_path(const sl_venue_request *request, char *buffer, size_t size_bytes);
int sl__coinbase_decode_rest(sl_venue_decoder *decoder, const sl_venue_request *request,
                             const sl_venue_message *message, const sl_venue_output *output,
                             sl_instruments *instruments, sl_venue_answer *ret_answer);

/* What a product's flags come to. */
sl_instrument_status sl__coinbase_status(sl_json_text status, bool restricted);

#endif
