/* SPDX-License-Identifier: MIT */
/* plain.c once more, compiled for processors with AVX2: services/CMakeLists.txt sets the flags for this file alone. */
#ifdef __AVX2__
#include "plain.c" /* NOLINT(bugprone-suspicious-include): that is what this file is for */
#else
#include "binance.h"

bool sl__binance_read_plain_avx2(struct sl__binance *binance, const sl_venue_message *message,
                                 const sl_venue_output *output)
{
    return sl__binance_read_plain(binance, message, output);
}
#endif
