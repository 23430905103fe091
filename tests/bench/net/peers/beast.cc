/* SPDX-License-Identifier: MIT */
// Boost.Beast: "beast receive PORT SECONDS [tls]" (synchronous: its fastest way), "beast echo PORT [CERT KEY]".
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast.hpp>
#include <boost/beast/ssl.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace ws = beast::websocket;
using tcp = asio::ip::tcp;
using secure = beast::ssl_stream<tcp::socket>;

static double seconds()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <class Stream> static void receive(ws::stream<Stream> &socket, double lasts)
{
    socket.handshake("127.0.0.1", "/");
    beast::flat_buffer buffer;
    buffer.reserve(65536);
    double since = seconds();
    unsigned long count = 0;
    while (count % 64 != 0 || seconds() - since < lasts) {
        socket.read(buffer);
        buffer.clear();
        count++;
    }
    std::printf("rate %.0f\n", static_cast<double>(count) / (seconds() - since));
    std::fflush(stdout);
    std::_Exit(0);
}

template <class Stream> struct session : std::enable_shared_from_this<session<Stream>> {
    ws::stream<Stream> socket;
    beast::flat_buffer buffer;

    template <class... Arguments>
    explicit session(Arguments &&...arguments) : socket(std::forward<Arguments>(arguments)...)
    {
    }
    void accept()
    {
        socket.async_accept([self = this->shared_from_this()](beast::error_code error) {
            if (!error) {
                self->read();
            }
        });
    }
    void read()
    {
        socket.async_read(buffer, [self = this->shared_from_this()](beast::error_code error, std::size_t) {
            if (error) {
                return;
            }
            self->socket.text(self->socket.got_text());
            self->socket.async_write(self->buffer.data(), [self](beast::error_code failed, std::size_t) {
                if (!failed) {
                    self->buffer.clear();
                    self->read();
                }
            });
        });
    }
};

static void accept_next(tcp::acceptor &acceptor, asio::ssl::context *tls)
{
    acceptor.async_accept([&acceptor, tls](beast::error_code error, tcp::socket socket) {
        if (!error) {
            socket.set_option(tcp::no_delay(true));
            if (tls == nullptr) {
                std::make_shared<session<tcp::socket>>(std::move(socket))->accept();
            } else {
                auto one = std::make_shared<session<secure>>(std::move(socket), *tls);
                one->socket.next_layer().async_handshake(asio::ssl::stream_base::server,
                                                         [one](beast::error_code failed) {
                                                             if (!failed) {
                                                                 one->accept();
                                                             }
                                                         });
            }
        }
        accept_next(acceptor, tls);
    });
}

int main(int argc, char **argv)
{
    asio::io_context context(1);
    tcp::endpoint where(asio::ip::address_v4::loopback(), static_cast<unsigned short>(std::stoi(argv[2])));
    if (std::strcmp(argv[1], "receive") == 0) {
        double lasts = std::stod(argv[3]);
        if (argc > 4) {
            asio::ssl::context tls(asio::ssl::context::tls_client);
            ws::stream<secure> socket(context, tls);
            beast::get_lowest_layer(socket).connect(where);
            socket.next_layer().handshake(asio::ssl::stream_base::client);
            receive(socket, lasts);
        }
        ws::stream<tcp::socket> socket(context);
        socket.next_layer().connect(where);
        receive(socket, lasts);
    }
    asio::ssl::context tls(asio::ssl::context::tls_server);
    if (argc > 4) {
        tls.use_certificate_chain_file(argv[3]);
        tls.use_private_key_file(argv[4], asio::ssl::context::pem);
    }
    tcp::acceptor acceptor(context, where);
    accept_next(acceptor, argc > 4 ? &tls : nullptr);
    context.run();
}
