/* SPDX-License-Identifier: MIT */
/*
 * Boost.Beast with simdjson as its documentation shows a client ("websocket-client-async"): async_read() with a completion
 * handler for each message, beast::tcp_stream, a flat_buffer; books as std::map, instruments in an std::unordered_map by
 * their symbol. "beast_async trades|depth|books PORT SECONDS INSTRUMENTS"; what is done with a message: market.hpp.
 */
#include <boost/asio/strand.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <map>
#include <memory>

#include "market.hpp"

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;
using side = std::map<int64_t, int64_t>;

class table {
  public:
    market::instrument<side> &find(std::string_view symbol)
    {
        return instruments[std::string(symbol)];
    }

  private:
    std::unordered_map<std::string, market::instrument<side>> instruments;
};

class session : public std::enable_shared_from_this<session> {
  public:
    session(asio::io_context &context, char **argv)
        : socket(asio::make_strand(context)), feed(argv[1]),
          meter(std::strtod(argv[3], nullptr), static_cast<uint64_t>(std::strtod(argv[4], nullptr)))
    {
        buffer.reserve(1 << 16); /* with what simdjson may read behind a message */
    }

    void run(unsigned short port)
    {
        beast::get_lowest_layer(socket).async_connect(
            tcp::endpoint(asio::ip::address_v4::loopback(), port),
            beast::bind_front_handler(&session::on_connect, shared_from_this()));
    }

  private:
    static void check(beast::error_code error)
    {
        if (error) {
            throw beast::system_error(error);
        }
    }

    void on_connect(beast::error_code error)
    {
        check(error);
        beast::get_lowest_layer(socket).expires_never();
        socket.set_option(websocket::stream_base::timeout::suggested(beast::role_type::client));
        socket.async_handshake("127.0.0.1", "/", beast::bind_front_handler(&session::on_handshake, shared_from_this()));
    }

    void on_handshake(beast::error_code error)
    {
        check(error);
        read();
    }

    void read()
    {
        socket.async_read(buffer, beast::bind_front_handler(&session::on_read, shared_from_this()));
    }

    void on_read(beast::error_code error, std::size_t)
    {
        check(error);
        feed.message(static_cast<const char *>(buffer.cdata().data()), buffer.size(), buffer.capacity());
        buffer.consume(buffer.size());
        if (!meter.go_on(++count)) {
            meter.end(count, feed);
        }
        read();
    }

    websocket::stream<beast::tcp_stream> socket;
    beast::flat_buffer buffer;
    market::feed<side, table> feed;
    market::meter meter;
    uint64_t count = 0;
};

int main(int argc, char **argv)
{
    if (argc != 5) {
        return 2;
    }
    asio::io_context context{1};
    std::make_shared<session>(context, argv)->run(static_cast<unsigned short>(std::strtod(argv[2], nullptr)));
    context.run();
    return 1;
}
