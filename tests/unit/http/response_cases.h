/* SPDX-License-Identifier: MIT */
/*
 * Answers, and what the client makes of them: "200 [body]", or the code. The server sends the text, then ends the
 * connection. `<<9000 a>>` stands for 9000 times "a", `<<0>>` for a NUL. Limits of the client: head 1000, body 100 bytes.
 * Sections are those of RFC 9112.
 */
#ifndef RESPONSE_CASES_H
#define RESPONSE_CASES_H

#include "sluice/error.h"

struct response_case {
    const char *what;
    const char *text;
    int code;
    const char *answer;
    const char *method; /* NULL: GET */
};

#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

static const struct response_case response_cases[] = {
    /* ---- 4: status lines ---- */
    {"by length", OK "Content-Length: 5\r\n\r\nhello", 0, "200 [hello]", NULL},
    {"no reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 0, "200 []", NULL},
    {"no reason and no space", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 0, "200 []", NULL},
    {"long reason", "HTTP/1.1 200 All is well (quite)\r\nContent-Length: 0\r\n\r\n", 0, "200 []", NULL},
    {"reason beyond ASCII", "HTTP/1.1 200 \xc3\xa4\r\nContent-Length: 0\r\n\r\n", 0, "200 []", NULL},
    {"unknown status", "HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n", 0, "299 []", NULL},
    {"404", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone", 0, "404 [gone]", NULL},
    {"500", "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", 0, "500 []", NULL},
    {"status 600", "HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"status 999", "HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"status 000", "HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"status of two digits", "HTTP/1.1 20 X\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"status of four digits", "HTTP/1.1 2000 X\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"status of letters", "HTTP/1.1 abc X\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"negative status", "HTTP/1.1 -20 X\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nhello", 0, "200 [hello]", NULL},
    {"HTTP/1.0 with a length", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0, "200 [hello]", NULL},
    {"HTTP/0.9", "<html>hello</html>", SL_EPROTO, NULL, NULL},
    {"HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"HTTP/1.2", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"HTTP/11", "HTTP/11 200 OK\r\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"ICY", "ICY 200 OK\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"http in small letters", "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"SSH", "SSH-2.0-OpenSSH\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"a request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"space in front", " HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"empty line in front", "\r\n" OK "Content-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"two spaces before the status", "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"control character in the reason", "HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"NUL in the reason", "HTTP/1.1 200 O<<0>>K\r\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"status line ends in LF", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"status line ends in CR", "HTTP/1.1 200 OK\rContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"reason without end", "HTTP/1.1 200 <<3000 a>>", SL_EMSGSIZE, NULL, NULL},
    {"nothing", "", SL_ECONNRESET, NULL, NULL},
    {"status line cut off", "HTTP/1.1 20", SL_ECONNRESET, NULL, NULL},
    {"head cut off", OK "Content-Le", SL_ECONNRESET, NULL, NULL},
    /* ---- 15 of RFC 9110: interim answers ---- */
    {"100 first", "HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 2\r\n\r\nok", 0, "200 [ok]", NULL},
    {"102 and 103 first", "HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 H\r\nLink: x\r\n\r\n" OK "Content-Length: 0\r\n\r\n", 0,
     "200 []", NULL},
    {"100 with a length", "HTTP/1.1 100 C\r\nContent-Length: 5\r\n\r\n" OK "Content-Length: 0\r\n\r\n", 0, "200 []",
     NULL},
    {"only 100", "HTTP/1.1 100 Continue\r\n\r\n", SL_ECONNRESET, NULL, NULL},
    {"100 for ever", "<<9 HTTP/1.1 100 Continue\r\n>>", SL_EPROTO, NULL, NULL},
    {"101 unasked", "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", SL_EPROTO, NULL, NULL},
    /* ---- 5: headers ---- */
    {"folded", OK "A: x\r\n y\r\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"folded with a tab", OK "A: x\r\n\ty\r\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"space before the colon", OK "Content-Length : 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"no colon", OK "Nothing\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"no name", OK ": x\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"NUL in a value", OK "A: x<<0>>\r\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"bare CR in a value", OK "A: x\ry\r\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"bare LF behind a value", OK "A: x\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"CR CR LF", OK "A: x\r\r\nContent-Length: 0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"head ends in LF", OK "Content-Length: 0\r\n\n", SL_EPROTO, NULL, NULL},
    {"blanks around a value", OK "A: \t x \t\r\nContent-Length:  5 \r\n\r\nhello", 0, "200 [hello]", NULL},
    {"100 headers", OK "<<99 A:b>>Content-Length: 0\r\n\r\n", 0, "200 []", NULL},
    {"101 headers", OK "<<100 A:b>>Content-Length: 0\r\n\r\n", SL_EMSGSIZE, NULL, NULL},
    {"head without end", OK "A: <<3000 a>>", SL_EMSGSIZE, NULL, NULL},
    /* ---- 6.2, 6.3: lengths ---- */
    {"length 0", OK "Content-Length: 0\r\n\r\n", 0, "200 []", NULL},
    {"length, and bytes behind it", OK "Content-Length: 5\r\n\r\nhello there", 0, "200 [hello]", NULL},
    {"cut off", OK "Content-Length: 5\r\n\r\nhell", SL_ECONNRESET, NULL, NULL},
    {"two lengths", OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", SL_EPROTO, NULL, NULL},
    {"the same length twice", OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", SL_EPROTO, NULL, NULL},
    {"list of lengths", OK "Content-Length: 5, 5\r\n\r\nhello", SL_EPROTO, NULL, NULL},
    {"negative length", OK "Content-Length: -1\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"length with a plus", OK "Content-Length: +5\r\n\r\nhello", SL_EPROTO, NULL, NULL},
    {"length of letters", OK "Content-Length: x\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"empty length", OK "Content-Length:\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"length beyond 64 bits", OK "Content-Length: 99999999999999999999\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"length over the limit", OK "Content-Length: 101\r\n\r\n", SL_EMSGSIZE, NULL, NULL},
    {"length at the limit", OK "Content-Length: 100\r\n\r\n<<100 b>>", 0, "200 [<<100 b>>]", NULL},
    {"until the end", OK "\r\nhello", 0, "200 [hello]", NULL},
    {"nothing until the end", OK "\r\n", 0, "200 []", NULL},
    {"until the end, over the limit", OK "\r\n<<101 b>>", SL_EMSGSIZE, NULL, NULL},
    {"204", "HTTP/1.1 204 No Content\r\n\r\n", 0, "204 []", NULL},
    {"204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", 0, "204 []", NULL},
    {"304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 0, "304 []", NULL},
    {"HEAD", OK "Content-Length: 5\r\n\r\n", 0, "200 []", "HEAD"},
    {"HEAD with a length over the limit", OK "Content-Length: 9000\r\n\r\n", 0, "200 []", "HEAD"},
    {"HEAD chunked", CHUNKED, 0, "200 []", "HEAD"},
    {"HEAD without a length", OK "\r\n", 0, "200 []", "HEAD"},
    /* ---- 6.1, 7.1: chunks ---- */
    {"chunked", CHUNKED "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 0, "200 [hello]", NULL},
    {"chunked with extensions", CHUNKED "3;a=b\r\nhel\r\n2 ; c\r\nlo\r\n0\r\n\r\n", 0, "200 [hello]", NULL},
    {"chunked with trailers", CHUNKED "5\r\nhello\r\n0\r\nA: b\r\n\r\n", 0, "200 [hello]", NULL},
    {"chunked and nothing in it", CHUNKED "0\r\n\r\n", 0, "200 []", NULL},
    {"chunked over the limit", CHUNKED "65\r\n<<101 b>>\r\n0\r\n\r\n", SL_EMSGSIZE, NULL, NULL},
    {"chunk cut off", CHUNKED "5\r\nhel", SL_ECONNRESET, NULL, NULL},
    {"last chunk missing", CHUNKED "5\r\nhello\r\n", SL_ECONNRESET, NULL, NULL},
    {"end of the trailers missing", CHUNKED "5\r\nhello\r\n0\r\n", SL_ECONNRESET, NULL, NULL},
    {"size of letters", CHUNKED "xyz\r\n", SL_EPROTO, NULL, NULL},
    {"no size", CHUNKED "\r\nhello", SL_EPROTO, NULL, NULL},
    {"size line ends in LF", CHUNKED "5\nhello\r\n0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"data ends in LF", CHUNKED "5\r\nhello\n0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"data longer than its size", CHUNKED "4\r\nhello\r\n0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"trailer that is none", CHUNKED "0\r\nA b\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"length and chunked", OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", SL_EPROTO, NULL,
     NULL},
    {"chunked and length", OK "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", SL_EPROTO, NULL,
     NULL},
    {"chunked twice", OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", SL_EPROTO, NULL,
     NULL},
    {"gzip, chunked", OK "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", SL_EPROTO, NULL, NULL},
    {"identity", OK "Transfer-Encoding: identity\r\n\r\nhello", SL_EPROTO, NULL, NULL},
    {"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", SL_EPROTO, NULL, NULL},
    /* ---- packed bodies ---- */
    {"packed by something else", OK "Content-Encoding: zstd\r\nContent-Length: 1\r\n\r\nx", SL_ENOTSUP, NULL, NULL},
    {"identity as a packing", OK "Content-Encoding: identity\r\nContent-Length: 2\r\n\r\nok", 0, "200 [ok]", NULL},
    {"gzip that is none", OK "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", SL_EPROTO, NULL, NULL},
    {"brotli that is none", OK "Content-Encoding: br\r\nContent-Length: 5\r\n\r\n\xff\xff\xff\xff\xff", SL_EPROTO, NULL,
     NULL},
    {"gzip of nothing at all", OK "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", 0, "200 []", NULL},
    {"gzip with HEAD", OK "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\n", 0, "200 []", "HEAD"},
};

#endif
