/* SPDX-License-Identifier: MIT */
/* The reader of captured sessions: gzip and plain, good files and damaged ones. */
#include "sl_test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "market/capture.h"
#include "sluice/json.h"

/* A file that is gone when the case ends well. */
struct file {
    char path[64];
};

static struct file new_file(void)
{
    struct file file = {"/tmp/sluice-capture-XXXXXX"};
    int fd = mkstemp(file.path);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    return file;
}

static void write_plain(const struct file *file, const char *text, size_t size_bytes)
{
    FILE *out = fopen(file->path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, size_bytes, out), size_bytes);
    assert_int_equal(fclose(out), 0);
}

static void write_gzip(const struct file *file, const char *mode, const char *text, size_t size_bytes)
{
    gzFile out = gzopen(file->path, mode);
    assert_non_null(out);
    assert_int_equal(gzwrite(out, text, (unsigned)size_bytes), size_bytes);
    assert_int_equal(gzclose(out), Z_OK);
}

static sl_capture *open_capture(const struct file *file, size_t line_max_bytes)
{
    sl_capture *capture = NULL;
    assert_int_equal(sl_capture_open(file->path, line_max_bytes, &capture), 0);
    return capture;
}

static void assert_line(sl_capture *capture, int64_t time_ns, const char *text)
{
    sl_capture_line line;
    assert_int_equal(sl_capture_next(capture, &line), 1);
    assert_true(line.receive_time_ns == time_ns);
    assert_int_equal(line.size_bytes, strlen(text));
    assert_memory_equal(line.text, text, line.size_bytes);
    /* the bytes behind it are readable */
    unsigned sum = 0;
    for (size_t at = 0; at < SL_JSON_PADDING; at++) {
        sum += (unsigned char)line.text[line.size_bytes + at];
    }
    assert_true(sum < 256 * SL_JSON_PADDING);
}

static void reads_plain_and_gzip(void **state)
{
    (void)state;
    static const char text[] = "1 {\"a\":1}\n1723161255030314667 {}\r\n3 [ 1, 2 ]";
    struct file file = new_file();
    for (int form = 0; form < 3; form++) {
        if (form == 0) {
            write_plain(&file, text, strlen(text));
        } else {
            /* form 2: two members, cut inside a line */
            write_gzip(&file, "wb", text, form == 1 ? strlen(text) : 12);
            if (form == 2) {
                write_gzip(&file, "ab", text + 12, strlen(text) - 12);
            }
        }
        sl_auto(sl_capture) *capture = open_capture(&file, 0);
        sl_capture_line line;
        assert_line(capture, 1, "{\"a\":1}");
        assert_line(capture, INT64_C(1723161255030314667), "{}");
        assert_line(capture, 3, "[ 1, 2 ]");
        assert_int_equal(sl_capture_next(capture, &line), 0);
        assert_int_equal(sl_capture_next(capture, &line), 0);
        assert_string_equal(sl_capture_problem(capture), "");
    }
    write_plain(&file, "", 0);
    sl_auto(sl_capture) *empty = open_capture(&file, 0);
    sl_capture_line line;
    assert_int_equal(sl_capture_next(empty, &line), 0);
    (void)unlink(file.path);
}

/* Lines of every length around the window's size come whole. */
static void reads_long_lines(void **state)
{
    (void)state;
    enum { LINES = 60, LONGEST = 600000 };
    struct file file = new_file();
    char *text = sl_malloc(LONGEST + 64);
    assert_non_null(text);
    gzFile out = gzopen(file.path, "wb1");
    assert_non_null(out);
    size_t lengths[LINES];
    for (int at = 0; at < LINES; at++) {
        lengths[at] = at % 3 == 0   ? (size_t)1 + (size_t)at
                      : at % 3 == 1 ? (size_t)65536 + (size_t)at - 30
                                    : (size_t)at * 10000;
        memset(text, 'a' + at % 26, lengths[at]);
        text[lengths[at]] = '\n';
        assert_true(gzprintf(out, "%d ", at) > 0);
        assert_int_equal(gzwrite(out, text, (unsigned)lengths[at] + 1), lengths[at] + 1);
    }
    assert_int_equal(gzclose(out), Z_OK);
    sl_capture *capture = open_capture(&file, 0);
    sl_capture_line line;
    for (int at = 0; at < LINES; at++) {
        assert_int_equal(sl_capture_next(capture, &line), 1);
        assert_int_equal(line.receive_time_ns, at);
        assert_int_equal(line.number, at + 1);
        assert_int_equal(line.size_bytes, lengths[at]);
        memset(text, 'a' + at % 26, lengths[at]);
        assert_memory_equal(line.text, text, lengths[at]);
    }
    assert_int_equal(sl_capture_next(capture, &line), 0);
    sl_capture_close(capture);
    /* and with a limit: the first line over it is the error, with its number */
    capture = open_capture(&file, 65530);
    int code = 0;
    while ((code = sl_capture_next(capture, &line)) > 0) {
        assert_true(line.size_bytes <= 65530);
    }
    assert_int_equal(code, SL_EMSGSIZE);
    assert_non_null(strstr(sl_capture_problem(capture), "longer than 65530 bytes"));
    assert_int_equal(sl_capture_next(capture, &line), SL_EMSGSIZE);
    sl_capture_close(capture);
    sl_free(text);
    (void)unlink(file.path);
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *problem;
    } cases[] = {
        {"1 {}\nx {}\n", "line 2: not of the form"},
        {"wss://a <-> x\n", "line 1: neither '<URL> <-> <time>'"},
        {"wss://a <-> 1 x\n", "line 1: neither '<URL> <-> <time>'"},
        {"http://a -> 1.5 {}\n", "line 1: neither '<URL> <-> <time>'"},
        {"1.5 {}\n", "line 1: not of the form"},
        {"1.5:{}\n", "line 1: not of the form"},
        {"{}\n", "line 1: not of the form"},
        {"12\n", "line 1: not of the form"},
        {"12 \n", "line 1: not of the form"},
        {" 12 {}\n", "line 1: not of the form"},
        {"-1 {}\n", "line 1: not of the form"},
        {"1\t{}\n", "line 1: not of the form"},
        {"9223372036854775808 {}\n", "line 1: the receipt time is too large"},
        {"99999999999999999999999 {}\n", "line 1: the receipt time is too large"},
    };
    struct file file = new_file();
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        sl_capture_line line;
        int code = 1;
        write_plain(&file, cases[at].text, strlen(cases[at].text));
        sl_auto(sl_capture) *capture = open_capture(&file, 0);
        while (code > 0) {
            code = sl_capture_next(capture, &line);
        }
        assert_int_equal(code, SL_EPROTO);
        if (strstr(sl_capture_problem(capture), cases[at].problem) == NULL) {
            fail_msg("%s: %s", cases[at].text, sl_capture_problem(capture));
        }
    }
    (void)unlink(file.path);
}

/* cryptofeed's files: four kinds of lines, two that are passed over. */
static void reads_the_form_of_cryptofeed(void **state)
{
    (void)state;
    static const char text[] = "configuration: {}\n"
                               "wss://a.b/c <-> 1633998511.159679\n"
                               "wss://a.b/c <- 1633998511.5: {\"op\": 1}\n"
                               "\n"
                               "1633998512.0633569: {\"e\": \"x -> y\"}\n"
                               "https://a.b/d?e=f -> 1633998513: [1]\n";
    static const struct {
        sl_capture_kind kind;
        int64_t time_ns;
        const char *url, *text;
    } expected[] = {
        {SL_CAPTURE_CONNECTED, 1633998511159679000, "wss://a.b/c", ""},
        {SL_CAPTURE_SENT, 1633998511500000000, "wss://a.b/c", "{\"op\": 1}"},
        {SL_CAPTURE_RECEIVED, 1633998512063356900, "", "{\"e\": \"x -> y\"}"},
        {SL_CAPTURE_RESPONSE, 1633998513000000000, "https://a.b/d?e=f", "[1]"},
    };
    struct file file = new_file();
    write_gzip(&file, "wb", text, strlen(text));
    sl_auto(sl_capture) *capture = open_capture(&file, 0);
    sl_capture_line line;
    for (size_t at = 0; at < 4; at++) {
        assert_int_equal(sl_capture_next(capture, &line), 1);
        assert_int_equal(line.kind, expected[at].kind);
        assert_true(line.receive_time_ns == expected[at].time_ns);
        assert_int_equal(line.url_bytes, strlen(expected[at].url));
        assert_memory_equal(line.url_bytes > 0 ? line.url : "", expected[at].url, line.url_bytes);
        assert_int_equal(line.size_bytes, strlen(expected[at].text));
        assert_memory_equal(line.text, expected[at].text, line.size_bytes);
    }
    assert_int_equal(sl_capture_next(capture, &line), 0);
    (void)unlink(file.path);
}

/* A gzip file cut off anywhere, or with any byte changed, ends in an error or reads as lines: never worse. */
static void damaged_files_are_harmless(void **state)
{
    (void)state;
    static const char text[] = "1 {\"stream\":\"btcusdt@trade\"}\n2 {\"stream\":\"btcusdt@depth\"}\n3 {\"x\":12345}\n";
    struct file file = new_file();
    write_gzip(&file, "wb", text, strlen(text));
    char good[512];
    FILE *in = fopen(file.path, "rb");
    assert_non_null(in);
    size_t size_bytes = fread(good, 1, sizeof(good), in);
    assert_int_equal(fclose(in), 0);
    assert_true(size_bytes > 20 && size_bytes < sizeof(good));
    for (size_t at = 0; at < 2 * size_bytes; at++) {
        char damaged[512];
        memcpy(damaged, good, size_bytes);
        bool cut = at < size_bytes;
        if (!cut) {
            damaged[at - size_bytes] = (char)(damaged[at - size_bytes] ^ 0x55);
        }
        write_plain(&file, damaged, cut ? at : size_bytes);
        sl_capture *capture = NULL;
        sl_capture_line line;
        int code = sl_capture_open(file.path, 0, &capture);
        while (code == 0 && (code = sl_capture_next(capture, &line)) > 0) {
            code = 0;
        }
        assert_true(!cut || at == 0 || code == SL_EPROTO);
        assert_true(code == 0 || code == SL_EPROTO);
        sl_capture_close(capture);
    }
    (void)unlink(file.path);
}

static void a_missing_file_is_told(void **state)
{
    (void)state;
    sl_capture *capture = NULL;
    assert_int_equal(sl_capture_open("/nonexistent/file.gz", 0, &capture), SL_ENOENT);
    assert_int_equal(sl_capture_open("x", SL_CAPTURE_LINE_MAX_BYTES + 1, &capture), SL_EINVAL);
    /* a folder can be opened, but not read */
    int code = sl_capture_open("/tmp", 0, &capture);
    assert_true(code < 0);
    sl_capture_close(NULL);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    struct file file = new_file();
    char *text = sl_malloc(400000);
    assert_non_null(text);
    memset(text, 'x', 400000);
    text[0] = '7';
    text[1] = ' ';
    write_gzip(&file, "wb", text, 400000);
    sl_free(text);
    int64_t held = sl_memory_held();
    bool done = false;
    int64_t n = 0;
    for (; !done; n++) {
        sl_capture *capture = NULL;
        sl_capture_line line;
        sl_memory_fail_after(n);
        int code = sl_capture_open(file.path, 0, &capture);
        code = code < 0 ? code : sl_capture_next(capture, &line);
        sl_memory_fail_after(-1);
        done = code == 1;
        assert_true(done || code == SL_ENOMEM);
        sl_capture_close(capture);
        assert_int_equal(sl_memory_held(), held);
    }
    assert_true(n > 5);
    (void)unlink(file.path);
}

SL_TEST_MAIN(cmocka_unit_test(reads_plain_and_gzip), cmocka_unit_test(reads_long_lines),
             cmocka_unit_test(bad_lines_are_named), cmocka_unit_test(reads_the_form_of_cryptofeed),
             cmocka_unit_test(damaged_files_are_harmless), cmocka_unit_test(a_missing_file_is_told),
             cmocka_unit_test(survives_every_failed_allocation))
