/* SPDX-License-Identifier: MIT */
/*
 * The load side of the market data benchmark, on plain sockets: a venue that sends messages of Binance's form made
 * beforehand, instruments in turn, without end. Only their ids are written anew for each pass.
 *   feed PORT trades|depth|books INSTRUMENTS RATE [CERT KEY]     RATE 0: as fast as they are taken
 * "books" is depth behind a whole book of each instrument, which goes before it as a partial one of Binance's.
 * A trade's quantity is the time it was sent, in seconds of the monotonic clock, when there is a rate.
 */
#include "../net/wire.h"
#include "stamps.h"

#define ID_DIGITS 11
#define TIME_DIGITS 9      /* behind the point */
#define TIME_WHOLE 8       /* before it */
#define TIME_FROM 10000000 /* seconds that are added: no number begins with zeros */
#define PRICE_DIGITS 7     /* of STAMPS_PRICE */
#define PASS_MIN 2000
#define LEVELS 10        /* a side */
#define BOOK_LEVELS 100  /* likewise, of a whole one */
#define BOOK_BYTES 16384 /* its message, at most */
#define MESSAGE_BYTES 1024
#define WRITE_BYTES ((size_t)256 * 1024)

struct feed {
    bool depth, books, paced;
    size_t instruments, count; /* messages of a pass */
    char *bytes;
    size_t *ends;
    uint16_t ids[3], time, price; /* where the numbers stand, from a message's begin */
    size_t id_count;
    stamp_ns *stamps; /* when writes have ended; NULL: nobody wants to know */
};

static void put_digits(char *at, uint64_t value, int digits)
{
    while (digits-- > 0) {
        at[digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

static size_t put_side(char *at, size_t message, unsigned base, bool bids)
{
    size_t length = 0;
    for (unsigned level = 0; level < LEVELS; level++) {
        unsigned away = level * 10 + (unsigned)((message * 7 + (size_t)level * 3) % 10);
        unsigned price = bids ? base - away : base + 1 + away;
        unsigned quantity = (message + level) % 4 == 0 ? 0 : (unsigned)((message * 31 + (size_t)level * 17) % 20000);
        length += (size_t)snprintf(at + length, 64, "%s[\"%u.%02u\",\"%u.%03u\"]", level == 0 ? "" : ",", price / 100,
                                   price % 100, quantity / 1000, quantity % 1000);
    }
    return length;
}

static size_t make_text(const struct feed *feed, size_t message, char *text)
{
    size_t index = message % feed->instruments;
    if (!feed->depth) {
        return (size_t)snprintf(text, MESSAGE_BYTES,
                                "{\"e\":\"trade\",\"E\":1723161256322,\"T\":1723161256321,\"s\":\"S%05zuUSDT\","
                                "\"t\":%0*d,\"p\":\"%u.%02u\",\"q\":\"%s\",\"X\":\"MARKET\",\"m\":%s}",
                                index, ID_DIGITS, 0, feed->paced ? STAMPS_PRICE : (unsigned)(61000 + message % 1000),
                                (unsigned)(message % 100), feed->paced ? "10000000.000000014" : "0.01400000",
                                message % 2 == 0 ? "true" : "false");
    }
    size_t length =
        (size_t)snprintf(text, MESSAGE_BYTES,
                         "{\"stream\":\"S%05zuUSDT@depth@0ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":1723161256299,"
                         "\"T\":1723161256298,\"s\":\"S%05zuUSDT\",\"U\":%0*d,\"u\":%0*d,\"pu\":%0*d,\"b\":[",
                         index, index, ID_DIGITS, 0, ID_DIGITS, 0, ID_DIGITS, 0);
    length += put_side(text + length, message, 6180000, true);
    length += (size_t)snprintf(text + length, 16, "],\"a\":[");
    length += put_side(text + length, message, 6180000, false);
    return length + (size_t)snprintf(text + length, 16, "]}}");
}

/* "b" is above in make_text(): 61800.00 and downwards; "a" goes up from a cent above. */
static size_t make_book(size_t index, char *text)
{
    size_t length =
        (size_t)snprintf(text, 256,
                         "{\"stream\":\"S%05zuUSDT@depth100@0ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":1723161256299,"
                         "\"T\":1723161256298,\"s\":\"S%05zuUSDT\",\"U\":%d,\"u\":1%0*d,\"pu\":0,\"b\":[",
                         index, index, 1, ID_DIGITS - 1, 0);
    for (unsigned level = 0; level < 2 * BOOK_LEVELS; level++) {
        bool ask = level >= BOOK_LEVELS;
        unsigned price = ask ? 6180001 + level - BOOK_LEVELS : 6180000 - level;
        length += (size_t)snprintf(text + length, 64, "%s[\"%u.%02u\",\"0.014\"]",
                                   level == 0             ? ""
                                   : level == BOOK_LEVELS ? "],\"a\":["
                                                          : ",",
                                   price / 100, price % 100);
    }
    return length + (size_t)snprintf(text + length, 16, "]}}");
}

static uint16_t place_of(const char *text, const char *name)
{
    const char *found = strstr(text, name);
    if (found == NULL) {
        die("no such field");
    }
    return (uint16_t)(found - text + (ptrdiff_t)strlen(name));
}

static void find_places(struct feed *feed, const char *text)
{
    static const char *const names[] = {"\"U\":", "\"u\":", "\"pu\":"};
    feed->id_count = feed->depth ? 3 : 1;
    for (size_t at = 0; at < feed->id_count; at++) {
        feed->ids[at] = place_of(text, feed->depth ? names[at] : "\"t\":");
    }
    feed->time = feed->depth ? 0 : place_of(text, "\"q\":\"");
    feed->price = feed->depth ? 0 : place_of(text, "\"p\":\"");
}

static void make_pass(struct feed *feed)
{
    size_t rounds = feed->instruments < PASS_MIN ? PASS_MIN / feed->instruments : 1;
    feed->count = rounds * feed->instruments;
    feed->bytes = malloc(feed->count * MESSAGE_BYTES);
    feed->ends = malloc((feed->count + 1) * sizeof *feed->ends);
    if (feed->bytes == NULL || feed->ends == NULL) {
        die("malloc");
    }
    char text[MESSAGE_BYTES];
    size_t used = 0;
    for (size_t message = 0; message < feed->count; message++) {
        size_t length = make_text(feed, message, text);
        find_places(feed, text);
        used += ws_header((unsigned char *)feed->bytes + used, length);
        memcpy(feed->bytes + used, text, length);
        used += length;
        feed->ends[message] = used;
    }
}

/* JSON has no numbers that begin with zeros: ids begin at 10 ^ 10. */
static void number_message(const struct feed *feed, uint64_t pass, size_t message)
{
    static const uint64_t first = 10000000000;
    size_t begin = message == 0 ? 0 : feed->ends[message - 1];
    char *text = feed->bytes + begin + (feed->ends[message] - begin - 4 < 126 ? 2 : 4);
    uint64_t id = pass * (feed->count / feed->instruments) + message / feed->instruments + 1;
    if (!feed->depth) {
        put_digits(text + feed->ids[0], first + id, ID_DIGITS);
        return;
    }
    put_digits(text + feed->ids[0], first + id * 5 - 2, ID_DIGITS);
    put_digits(text + feed->ids[1], first + id * 5, ID_DIGITS);
    put_digits(text + feed->ids[2], first + id * 5 - 5, ID_DIGITS);
}

static void stamp(const struct feed *feed, size_t message, uint64_t sent)
{
    size_t begin = message == 0 ? 0 : feed->ends[message - 1];
    char *start = feed->bytes + begin + (feed->ends[message] - begin - 4 < 126 ? 2 : 4);
    char *text = start + feed->time;
    put_digits(start + feed->price, STAMPS_PRICE + sent % STAMPS, PRICE_DIGITS);
    uint64_t now = nanoseconds();
    put_digits(text, TIME_FROM + now / 1000000000, TIME_WHOLE);
    put_digits(text + TIME_WHOLE + 1, now % 1000000000, TIME_DIGITS);
}

static bool send_books(const struct feed *feed, struct wire *wire)
{
    static char text[BOOK_BYTES];
    static char frame[BOOK_BYTES];
    for (size_t index = 0; index < feed->instruments; index++) {
        size_t length = make_book(index, text);
        size_t head = ws_header((unsigned char *)frame, length);
        memcpy(frame + head, text, length);
        if (!wire_write_all(wire, frame, head + length)) {
            return false;
        }
    }
    return true;
}

static void send_all(const struct feed *feed, struct wire *wire, double rate)
{
    if (feed->books && !send_books(feed, wire)) {
        return;
    }
    double since = seconds();
    uint64_t sent = 0;
    for (uint64_t pass = 0;; pass++) {
        for (size_t message = 0, begin = 0; message < feed->count; message++) {
            number_message(feed, pass, message);
            if (rate > 0) {
                while (seconds() < since + (double)sent / rate) {
                }
                stamp(feed, message, sent);
            } else if (feed->ends[message] - begin < WRITE_BYTES && message + 1 < feed->count) {
                continue;
            }
            if (!wire_write_all(wire, feed->bytes + begin, feed->ends[message] - begin)) {
                return;
            }
            if (rate > 0 && feed->stamps != NULL) {
                atomic_store_explicit(&feed->stamps[sent % STAMPS], nanoseconds(), memory_order_release);
            }
            sent++;
            begin = feed->ends[message];
        }
    }
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc != 5 && argc != 7) {
        (void)fprintf(stderr, "feed: see the top of feed.c\n");
        return 2;
    }
    struct feed feed = {.depth = strcmp(argv[2], "trades") != 0,
                        .books = strcmp(argv[2], "books") == 0,
                        .instruments = (size_t)number(argv[3])};
    double rate = number(argv[4]);
    feed.paced = rate > 0;
    feed.stamps = feed.paced ? stamps_open() : NULL;
    if (feed.instruments < 1 || feed.instruments > 100000 || (feed.depth && rate > 0)) {
        (void)fprintf(stderr, "feed: 1 to 100000 instruments; a rate is for trades\n");
        return 2;
    }
    SSL_CTX *context = argc == 7 ? server_tls(argv[5], argv[6]) : NULL;
    make_pass(&feed);
    int listener = listen_on(number(argv[1]));
    (void)printf("ready\n");
    (void)fflush(stdout);
    for (;;) {
        struct wire wire = wire_accept(listener, context);
        if (ws_server_handshake(&wire)) {
            send_all(&feed, &wire, rate);
        }
        wire_close(&wire);
    }
}
