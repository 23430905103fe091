/* SPDX-License-Identifier: MIT */
/*
 * What both peers with Boost.Beast do with a message, which Beast has checked to be UTF-8: decode it by simdjson (on
 * demand) with exact prices and quantities, give it its time of receiving, drop what is repeated and count gaps by each
 * symbol's ids, keep the books, count. `Side` is the container of a side of a book: price to quantity.
 */
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <simdjson.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>

namespace market {

namespace ondemand = simdjson::ondemand;

inline double seconds()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline double busy_seconds()
{
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/* A string like "61800.20" exactly, in units of 10^-8, read where it stands up to its quote. */
inline int64_t exact(ondemand::raw_json_string text)
{
    static const int64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    const char *at = text.raw(), *begin = at;
    int64_t value = 0;
    for (; static_cast<unsigned char>(*at - '0') < 10; at++) {
        value = value * 10 + (*at - '0');
    }
    long digits = at - begin, places = 0;
    if (*at == '.') {
        const char *point = at++;
        for (; static_cast<unsigned char>(*at - '0') < 10; at++) {
            value = value * 10 + (*at - '0');
        }
        places = at - point - 1;
    }
    if (*at != '"' || digits < 1 || digits > 9 || places > 8) {
        throw std::range_error("a number");
    }
    return value * powers[8 - places];
}

template <typename Side> struct instrument {
    int64_t last = 0, received_ns = 0;
    Side bids, asks;
};

template <typename Side, typename Table> class feed {
  public:
    explicit feed(std::string_view mode) : trades(mode == "trades"), keep(mode == "books")
    {
    }

    void message(const char *data, size_t size, size_t capacity)
    {
        int64_t now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
        ondemand::document document = parser.iterate(simdjson::padded_string_view(data, size, capacity));
        ondemand::object event = document.get_object();
        if (trades) {
            on_trade(event, now);
        } else {
            on_depth(event["data"].get_object(), now);
        }
    }

    uint64_t gaps = 0, repeated = 0, events = 0;
    int64_t volume = 0;

  private:
    void on_trade(ondemand::object event, int64_t now)
    {
        int64_t sent = event["E"].get_int64();
        int64_t happened = event["T"].get_int64();
        instrument<Side> &one = all.find(event["s"].get_string());
        int64_t id = event["t"].get_int64();
        int64_t price = exact(event["p"].get_raw_json_string());
        int64_t quantity = exact(event["q"].get_raw_json_string());
        bool maker = event["m"].get_bool();
        if (one.last != 0 && id <= one.last) {
            repeated++;
            return;
        }
        gaps += one.last != 0 && id != one.last + 1;
        one.last = id;
        one.received_ns = now;
        volume += maker && sent >= happened && price > 0 ? quantity : 0;
        events++;
    }

    void change(ondemand::array levels, Side *book)
    {
        for (ondemand::array level : levels) {
            auto at = level.begin();
            int64_t price = exact((*at).get_raw_json_string());
            int64_t quantity = exact((*++at).get_raw_json_string());
            volume += quantity;
            if (book == nullptr) {
                continue;
            }
            if (quantity == 0) {
                book->erase(price);
            } else {
                book->insert_or_assign(price, quantity);
            }
        }
    }

    void on_depth(ondemand::object event, int64_t now)
    {
        int64_t sent = event["E"].get_int64();
        int64_t happened = event["T"].get_int64();
        instrument<Side> &one = all.find(event["s"].get_string());
        int64_t first = event["U"].get_int64();
        int64_t last = event["u"].get_int64();
        int64_t previous = event["pu"].get_int64();
        if (one.last != 0 && last <= one.last) {
            repeated++;
            return;
        }
        gaps += one.last != 0 && previous != one.last;
        one.last = last;
        one.received_ns = now;
        change(event["b"].get_array(), keep ? &one.bids : nullptr);
        change(event["a"].get_array(), keep ? &one.asks : nullptr);
        volume += sent >= happened && first <= last ? 0 : 1;
        if (keep && !one.bids.empty() && !one.asks.empty() && one.bids.rbegin()->first >= one.asks.begin()->first) {
            gaps++; /* crossed */
        }
        events++;
    }

    bool trades, keep;
    ondemand::parser parser;
    Table all;
};

/* From when each instrument was seen: messages a second. */
class meter {
  public:
    meter(double lasts_seconds, uint64_t of_instruments) : lasts(lasts_seconds), instruments(of_instruments)
    {
    }

    /* Before each message; false when the time is over. */
    bool go_on(uint64_t count)
    {
        if (count % 256 != 0) {
            return true;
        }
        double now = seconds();
        if (since == 0 && now - began > lasts / 10 && count >= 2 * instruments) {
            since = now;
            busy = busy_seconds();
            counted_from = count;
        }
        return since == 0 || now - since <= lasts;
    }

    template <typename Feed> [[noreturn]] void end(uint64_t count, const Feed &feed) const
    {
        double counted = static_cast<double>(count - counted_from);
        std::printf("rate %.0f rate_cpu %.0f gaps %llu volume %lld\n", counted / (seconds() - since),
                    counted / (busy_seconds() - busy), static_cast<unsigned long long>(feed.gaps + feed.repeated),
                    static_cast<long long>(feed.volume));
        std::fflush(stdout);
        std::_Exit(0); /* the feed answers no close */
    }

  private:
    double lasts, began = seconds(), since = 0, busy = 0;
    uint64_t instruments, counted_from = 0;
};

} // namespace market
