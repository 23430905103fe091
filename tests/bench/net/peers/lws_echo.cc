/* SPDX-License-Identifier: MIT */
// libwebsockets: an echo server: "lws_echo PORT [CERT KEY]". C++ only so that CMake, which builds the C peers, leaves it alone.
#include <cstdlib>
#include <cstring>
#include <libwebsockets.h>
#include <string>

static const size_t message_bytes_max = 4096;
static const int queue_max = 64;

struct connection {
    unsigned char data[queue_max][LWS_PRE + message_bytes_max];
    size_t length[queue_max];
    unsigned head, count;
};

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
    auto *self = static_cast<connection *>(user);
    if (reason == LWS_CALLBACK_RECEIVE) {
        if (length > message_bytes_max || self->count == queue_max) {
            return -1;
        }
        unsigned tail = (self->head + self->count++) % queue_max;
        std::memcpy(self->data[tail] + LWS_PRE, in, length);
        self->length[tail] = length;
        lws_callback_on_writable(wsi);
    } else if (reason == LWS_CALLBACK_SERVER_WRITEABLE && self->count > 0) {
        if (lws_write(wsi, self->data[self->head] + LWS_PRE, self->length[self->head], LWS_WRITE_TEXT) < 0) {
            return -1;
        }
        self->head = (self->head + 1) % queue_max;
        if (--self->count > 0) {
            lws_callback_on_writable(wsi);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct lws_protocols protocols[2];
    protocols[0].name = "echo";
    protocols[0].callback = on_event;
    protocols[0].per_session_data_size = sizeof(connection);
    protocols[0].rx_buffer_size = message_bytes_max;
    struct lws_context_creation_info info;
    std::memset(&info, 0, sizeof info);
    lws_set_log_level(LLL_ERR, nullptr);
    info.port = std::stoi(argv[1]);
    info.iface = "127.0.0.1";
    info.protocols = protocols;
    info.gid = info.uid = static_cast<decltype(info.gid)>(-1);
    if (argc > 3) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_cert_filepath = argv[2];
        info.ssl_private_key_filepath = argv[3];
    }
    struct lws_context *context = lws_create_context(&info);
    while (context != nullptr && lws_service(context, 0) >= 0) {
    }
    return 1;
}
