/* SPDX-License-Identifier: MIT */
/* The venues there are. A new one adds its folder, its line here, and its name to market/instrument.c. */
#include "venue.h"

#include "venues/binance/binance.h"
#include "venues/bitstamp/bitstamp.h"
#include "venues/bybit/bybit.h"
#include "venues/coinbase/coinbase.h"
#include "venues/kraken/kraken.h"
#include "venues/okx/okx.h"

static const sl_venue_driver *const drivers[SL_VENUE_COUNT] = {
    [SL_VENUE_BINANCE_SPOT] = &sl__binance_spot,
    [SL_VENUE_BINANCE_USDM] = &sl__binance_usdm,
    [SL_VENUE_BINANCE_COINM] = &sl__binance_coinm,
    [SL_VENUE_COINBASE] = &sl__coinbase,
    [SL_VENUE_KRAKEN] = &sl__kraken,
    [SL_VENUE_BYBIT_SPOT] = &sl__bybit_spot,
    [SL_VENUE_BYBIT_LINEAR] = &sl__bybit_linear,
    [SL_VENUE_BYBIT_INVERSE] = &sl__bybit_inverse,
    [SL_VENUE_OKX] = &sl__okx,
    [SL_VENUE_BITSTAMP] = &sl__bitstamp,
};

const sl_venue_driver *sl_venue_driver_of(sl_venue venue)
{
    return (unsigned)venue < SL_VENUE_COUNT ? drivers[venue] : NULL;
}

uint32_t sl_venue_cost(const sl_venue_driver *driver, const sl_venue_request *request)
{
    return driver->cost == NULL ? 1 : driver->cost(request);
}

int sl_venue_decoder_new(const sl_venue_decoder_options *options, sl_venue_decoder **ret_decoder)
{
    const sl_venue_driver *driver = sl_venue_driver_of(options->venue);
    return driver == NULL ? SL_EINVAL : driver->decoder_new(options, ret_decoder);
}

void sl_venue_decoder_free(sl_venue_decoder *decoder)
{
    if (decoder != NULL) {
        decoder->driver->decoder_free(decoder);
    }
}

static void begin(sl_venue_decoder *decoder)
{
    decoder->gave_event = false;
    decoder->gave_notice = false;
    decoder->left_row = false;
    decoder->output_code = 0;
}

/* Each message into exactly one count. What an output refused is not the message's fault. */
static void count(sl_venue_decoder *decoder, int code)
{
    sl_venue_stats *stats = &decoder->stats;
    if ((code == 0 && !decoder->left_row) || decoder->output_code < 0) {
        stats->notices += decoder->gave_notice && !decoder->gave_event;
        stats->decoded += !decoder->gave_notice || decoder->gave_event;
    } else if (code == SL_ENOTSUP) {
        stats->unknown++;
    } else {
        stats->bad++;
    }
}

int sl_venue_decode(sl_venue_decoder *decoder, const sl_venue_message *message, const sl_venue_output *output)
{
    begin(decoder);
    int code = decoder->driver->decode(decoder, message, output);
    count(decoder, code);
    return code;
}

int sl_venue_decode_rest(sl_venue_decoder *decoder, const sl_venue_request *request, const sl_venue_message *message,
                         const sl_venue_output *output, sl_instruments *instruments, sl_venue_answer *ret_answer)
{
    begin(decoder);
    *ret_answer = (sl_venue_answer){0};
    int code = decoder->driver->decode_rest(decoder, request, message, output, instruments, ret_answer);
    count(decoder, code);
    return code;
}
