/* SPDX-License-Identifier: MIT */
/* Bitstamp v2: its driver, and what its files share. Source: www.bitstamp.net/websocket/v2, www.bitstamp.net/api. */
#ifndef SLUICE_BITSTAMP_H
#define SLUICE_BITSTAMP_H

#include "venues/rest.h"

extern const sl_venue_driver sl__bitstamp;

int sl__bitstamp_decode(sl_venue_decoder *decoder, const sl_venue_message *message, const sl_venue_output *output);
int sl__bitstamp_rest_path(const sl_venue_request *request, char *buffer, size_t size_bytes);
int sl__bitstamp_decode_rest(sl_venue_decoder *decoder, const sl_venue_request *request,
                             const sl_venue_message *message, const sl_venue_output *output,
                             sl_instruments *instruments, sl_venue_answer *ret_answer);

#endif
