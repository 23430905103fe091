/* SPDX-License-Identifier: MIT */
/*
 * Boost.Beast with simdjson as fast as it gets: "beast trades|depth|books PORT SECONDS INSTRUMENTS". Reads that block, one
 * buffer made once, books as sorted vectors (flat_map), symbols looked up without a copy. See market.hpp.
 */
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <boost/container/flat_map.hpp>
#include <deque>

#include "market.hpp"

namespace asio = boost::asio;
namespace beast = boost::beast;
using tcp = asio::ip::tcp;
using side = boost::container::flat_map<int64_t, int64_t>;

class table {
  public:
    market::instrument<side> &find(std::string_view symbol)
    {
        auto found = by_symbol.find(symbol);
        if (found != by_symbol.end()) {
            return *found->second;
        }
        instruments.emplace_back();
        symbols.emplace_back(symbol);
        by_symbol.emplace(symbols.back(), &instruments.back());
        return instruments.back();
    }

  private:
    std::deque<std::string> symbols;
    std::deque<market::instrument<side>> instruments;
    std::unordered_map<std::string_view, market::instrument<side> *> by_symbol;
};

int main(int argc, char **argv)
{
    if (argc != 5) {
        return 2;
    }
    asio::io_context context;
    beast::websocket::stream<tcp::socket> socket(context);
    socket.next_layer().connect(
        {asio::ip::address_v4::loopback(), static_cast<unsigned short>(std::strtod(argv[2], nullptr))});
    socket.next_layer().set_option(tcp::no_delay(true));
    socket.handshake("127.0.0.1", "/");
    beast::flat_buffer buffer;
    buffer.reserve(1 << 20);
    market::feed<side, table> feed(argv[1]);
    market::meter meter(std::strtod(argv[3], nullptr), static_cast<uint64_t>(std::strtod(argv[4], nullptr)));
    uint64_t count = 0;
    for (; meter.go_on(count); count++) {
        socket.read(buffer);
        feed.message(static_cast<const char *>(buffer.cdata().data()), buffer.size(), buffer.capacity());
        buffer.clear();
    }
    meter.end(count, feed);
}
