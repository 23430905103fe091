/* SPDX-License-Identifier: MIT */
/*
 * Boost.Beast with simdjson: "beast trades|depth|books PORT SECONDS". Decodes each message, checks its sequence, keeps
 * the books (sorted vectors, prices and quantities as double) and counts. Prints messages a second, from when each
 * instrument was seen.
 */
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <boost/container/flat_map.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <simdjson.h>
#include <string>
#include <string_view>
#include <unordered_map>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace ondemand = simdjson::ondemand;
using tcp = asio::ip::tcp;
using side = boost::container::flat_map<double, double>;

struct instrument {
    std::string symbol;
    int64_t last = 0;
    side bids, asks;
};

struct market {
    std::deque<instrument> instruments;
    std::unordered_map<std::string_view, instrument *> by_symbol;
    uint64_t gaps = 0;
    double volume = 0;

    instrument &find(std::string_view symbol)
    {
        auto found = by_symbol.find(symbol);
        if (found != by_symbol.end()) {
            return *found->second;
        }
        instruments.push_back({std::string(symbol)});
        instrument &added = instruments.back();
        by_symbol.emplace(added.symbol, &added);
        return added;
    }
};

static double seconds()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static double busy_seconds()
{
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

static void on_trade(market &all, ondemand::object event)
{
    int64_t sent = event["E"].get_int64();
    int64_t happened = event["T"].get_int64();
    instrument &one = all.find(event["s"].get_string());
    int64_t id = event["t"].get_int64();
    double price = event["p"].get_double_in_string();
    double quantity = event["q"].get_double_in_string();
    bool maker = event["m"].get_bool();
    all.gaps += one.last != 0 && id != one.last + 1;
    one.last = id;
    all.volume += maker && sent >= happened ? price * quantity : 0;
}

static double change(ondemand::array levels, side *book)
{
    double sum = 0;
    for (ondemand::array level : levels) {
        auto at = level.begin();
        double price = (*at).get_double_in_string();
        double quantity = (*++at).get_double_in_string();
        sum += quantity;
        if (book == nullptr) {
            continue;
        }
        if (quantity == 0) {
            book->erase(price);
        } else {
            book->insert_or_assign(price, quantity);
        }
    }
    return sum;
}

static void on_depth(market &all, ondemand::object event, bool keep)
{
    int64_t sent = event["E"].get_int64();
    int64_t happened = event["T"].get_int64();
    instrument &one = all.find(event["s"].get_string());
    int64_t first = event["U"].get_int64();
    int64_t last = event["u"].get_int64();
    int64_t previous = event["pu"].get_int64();
    all.gaps += one.last != 0 && previous != one.last;
    one.last = last;
    all.volume += change(event["b"].get_array(), keep ? &one.bids : nullptr);
    all.volume += change(event["a"].get_array(), keep ? &one.asks : nullptr);
    all.volume += sent >= happened && first <= last ? 0 : 1;
    if (keep && !one.bids.empty() && !one.asks.empty() && one.bids.rbegin()->first >= one.asks.begin()->first) {
        all.gaps++; /* crossed */
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        return 2;
    }
    std::string mode = argv[1];
    double lasts = std::strtod(argv[3], nullptr);
    auto instruments = static_cast<uint64_t>(std::strtod(argv[4], nullptr));
    asio::io_context context;
    beast::websocket::stream<tcp::socket> socket(context);
    socket.next_layer().connect(
        {asio::ip::address_v4::loopback(), static_cast<unsigned short>(std::strtod(argv[2], nullptr))});
    socket.next_layer().set_option(tcp::no_delay(true));
    socket.handshake("127.0.0.1", "/");
    beast::flat_buffer buffer;
    buffer.reserve(1 << 20);
    ondemand::parser parser;
    market all;
    uint64_t count = 0, counted_from = 0;
    double began = seconds(), since = 0, busy = 0;
    for (;; count++) {
        if (count % 256 == 0) {
            double now = seconds();
            if (since == 0 && now - began > lasts / 10 && count >= 2 * instruments) {
                since = now;
                busy = busy_seconds();
                counted_from = count;
            } else if (since != 0 && now - since > lasts) {
                break;
            }
        }
        socket.read(buffer);
        auto data = buffer.cdata();
        simdjson::padded_string_view text(static_cast<const char *>(data.data()), data.size(), buffer.capacity());
        ondemand::document document = parser.iterate(text);
        if (mode == "trades") {
            on_trade(all, document.get_object());
        } else {
            ondemand::object envelope = document.get_object();
            on_depth(all, envelope["data"].get_object(), mode == "books");
        }
        buffer.clear();
    }
    double counted = static_cast<double>(count - counted_from);
    std::printf("rate %.0f rate_cpu %.0f gaps %llu volume %.0f\n", counted / (seconds() - since),
                counted / (busy_seconds() - busy), static_cast<unsigned long long>(all.gaps), all.volume);
    std::fflush(stdout);
    std::_Exit(0);
}
