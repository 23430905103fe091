/* SPDX-License-Identifier: MIT */
// A libcurl multi loop with keep-alive: "curl_multi URL SECONDS CONNECTIONS": GET requests a second.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <curl/curl.h>
#include <string>

static double seconds()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static size_t take(char *, size_t size, size_t count, void *)
{
    return size * count;
}

int main(int, char **argv)
{
    double lasts = std::stod(argv[2]);
    int connections = std::stoi(argv[3]);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM *multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(connections));
    for (int i = 0; i < connections; i++) {
        CURL *easy = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
        curl_multi_add_handle(multi, easy);
    }
    long done = 0;
    double since = seconds();
    while (seconds() - since < lasts) {
        int running = 0;
        int left = 0;
        curl_multi_perform(multi, &running);
        while (CURLMsg *message = curl_multi_info_read(multi, &left)) {
            CURL *easy = message->easy_handle;
            if (message->data.result != CURLE_OK) {
                std::fprintf(stderr, "curl: %s\n", curl_easy_strerror(message->data.result));
                return 1;
            }
            done++;
            curl_multi_remove_handle(multi, easy);
            curl_multi_add_handle(multi, easy);
        }
        curl_multi_poll(multi, nullptr, 0, running > 0 ? 100 : 0, nullptr);
    }
    std::printf("rate %.0f\n", static_cast<double>(done) / (seconds() - since));
}
