/* SPDX-License-Identifier: MIT */
/* What went wrong with TLS, in words: refused certificates, alerts of the peer, bytes that are no TLS. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "tls.h"

#define NAMES_SHOWN 3
#define TEXT_BYTES 256

/* ---- certificates ---- */

/* What fits, always ended. */
static void copy_out(BIO *out, char *text, size_t text_bytes)
{
    char *data = NULL;
    long length = out == NULL ? 0 : BIO_get_mem_data(out, &data);
    size_t bytes = length > 0 ? (size_t)length : 0;
    bytes = bytes < text_bytes ? bytes : text_bytes - 1;
    if (bytes > 0) {
        memcpy(text, data, bytes);
    }
    text[bytes] = '\0';
    (void)BIO_free(out);
}

void sl__tls_subject(const X509_NAME *subject, char *text, size_t text_bytes)
{
    BIO *out = BIO_new(BIO_s_mem());
    if (out != NULL) { /* control characters are escaped: the text goes into logs */
        (void)X509_NAME_print_ex(out, subject, 0, XN_FLAG_RFC2253);
    }
    copy_out(out, text, text_bytes);
}

static void print_time(const ASN1_TIME *when, char *text, size_t text_bytes)
{
    struct tm fields;
    if (ASN1_TIME_to_tm(when, &fields) != 1 || strftime(text, text_bytes, "%Y-%m-%dT%H:%M:%SZ", &fields) == 0) {
        (void)snprintf(text, text_bytes, "?");
    }
}

static void print_alternative(BIO *out, const GENERAL_NAME *name)
{
    char address[INET6_ADDRSTRLEN] = "";
    if (name->type == GEN_DNS) {
        (void)ASN1_STRING_print_ex(out, name->d.dNSName, ASN1_STRFLGS_ESC_CTRL);
    } else if (name->type == GEN_IPADD) {
        const ASN1_OCTET_STRING *bytes = name->d.iPAddress;
        int family = ASN1_STRING_length(bytes) == 4 ? AF_INET : AF_INET6;
        if (family == AF_INET || ASN1_STRING_length(bytes) == 16) {
            (void)inet_ntop(family, ASN1_STRING_get0_data(bytes), address, sizeof address);
        }
        (void)BIO_puts(out, address);
    } else {
        (void)BIO_puts(out, "another kind of name");
    }
}

/* The names a certificate is for: "'a.example', 'b.example' and 7 more". */
static void print_names(const X509 *certificate, char *text, size_t text_bytes)
{
    BIO *out = BIO_new(BIO_s_mem());
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int count = sk_GENERAL_NAME_num(names); /* -1 without any */
    if (out != NULL && count <= 0) {
        (void)BIO_puts(out, "no name at all");
    }
    for (int i = 0; out != NULL && i < count && i < NAMES_SHOWN; i++) {
        (void)BIO_puts(out, i == 0 ? "'" : ", '");
        print_alternative(out, sk_GENERAL_NAME_value(names, i));
        (void)BIO_puts(out, "'");
    }
    if (out != NULL && count > NAMES_SHOWN) {
        (void)BIO_printf(out, " and %d more", count - NAMES_SHOWN);
    }
    GENERAL_NAMES_free(names);
    copy_out(out, text, text_bytes);
}

static int refuse(const char *name, const X509 *certificate, int error, int depth)
{
    char text[TEXT_BYTES];
    const char *which = depth == 0 ? "certificate" : "an authority's certificate";
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        print_time(X509_get0_notAfter(certificate), text, sizeof text);
        return sl_fail(SL_ECERTIFICATE, "%s of '%s' has expired (not after %s)", which, name, text);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        print_time(X509_get0_notBefore(certificate), text, sizeof text);
        return sl_fail(SL_ECERTIFICATE, "%s of '%s' is not valid yet (not before %s)", which, name, text);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return sl_fail(SL_ECERTIFICATE, "certificate of '%s' is self-signed", name);
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
        sl__tls_subject(X509_get_issuer_name(certificate), text, sizeof text);
        return sl_fail(SL_ECERTIFICATE, "certificate of '%s' is from an unknown CA: '%s'", name, text);
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        print_names(certificate, text, sizeof text);
        return sl_fail(SL_ECERTIFICATE, "certificate is for %s, not '%s'", text, name);
    default:
        return sl_fail(SL_ECERTIFICATE, "%s of '%s': %s", which, name, X509_verify_cert_error_string(error));
    }
}

int sl__tls_verified(int ok, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const struct sl__tls_peer *peer = SSL_get_app_data(ssl);
    if (ok != 1) {
        (void)refuse(peer->name, X509_STORE_CTX_get_current_cert(store), X509_STORE_CTX_get_error(store),
                     X509_STORE_CTX_get_error_depth(store));
    }
    return ok;
}

/* ---- everything else ---- */

static const struct {
    int reason, code;
    const char *text;
} reasons[] = {
    {SSL_R_UNSUPPORTED_PROTOCOL, SL_ETLS, "no protocol version in common"},
    {SSL_R_VERSION_TOO_LOW, SL_ETLS, "no protocol version in common"},
    {SSL_R_VERSION_TOO_HIGH, SL_ETLS, "no protocol version in common"},
    {SSL_R_WRONG_SSL_VERSION, SL_ETLS, "no protocol version in common"},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, SL_ETLS, "no protocol version in common"},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, SL_ETLS, "no protocol version in common, the peer says"},
    {SSL_R_NO_SHARED_CIPHER, SL_ETLS, "no cipher in common"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SL_ETLS, "no signature algorithm in common"},
    {SSL_R_NO_APPLICATION_PROTOCOL, SL_ETLS, "no application protocol (ALPN) in common"},
    {SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, SL_ETLS, "no application protocol (ALPN) in common, the peer says"},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, SL_ETLS, "the peer refused: nothing in common, or it wants a certificate"},
    {SSL_R_TLSV1_UNRECOGNIZED_NAME, SL_ETLS, "the peer does not serve this name"},
    {SSL_R_TLSV1_ALERT_INTERNAL_ERROR, SL_ETLS, "the peer has an internal error"},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, SL_ETLS, "a record was damaged on its way"},
    {SSL_R_SSLV3_ALERT_BAD_RECORD_MAC, SL_ETLS, "a record was damaged on its way, the peer says"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, SL_ECERTIFICATE, "the client showed no certificate"},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, SL_ECERTIFICATE, "the peer wants a client certificate"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, SL_ECERTIFICATE, "the peer refuses our certificate as bad"},
    {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, SL_ECERTIFICATE, "the peer refuses our certificate as unsupported"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, SL_ECERTIFICATE, "the peer refuses our certificate as revoked"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, SL_ECERTIFICATE, "the peer refuses our certificate as expired"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, SL_ECERTIFICATE, "the peer refuses our certificate"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, SL_ECERTIFICATE, "the peer refuses our certificate: unknown CA"},
    {SSL_R_TLSV1_ALERT_ACCESS_DENIED, SL_ECERTIFICATE, "the peer denies us access"},
};

static int fail(const struct sl__tls_peer *peer, int code, const char *text)
{
    return sl_fail(code, "%s '%s': %s", peer->shaking ? "TLS handshake with" : "TLS with", peer->name, text);
}

/* TLS begins with a record of type 20 to 23 (RFC 8446 section 5.1). */
static int explain_stranger(const struct sl__tls_peer *peer)
{
    static const char *const http[] = {"HTTP/", "GET ", "POST ", "PUT ", "HEAD ", "OPTIO", "DELET", "CONNE", "PATCH"};
    for (size_t i = 0; i < sizeof http / sizeof http[0]; i++) {
        size_t length = strlen(http[i]);
        if (peer->first_count >= length && memcmp(peer->first, http[i], length) == 0) {
            return fail(peer, SL_ETLS, "not TLS: looks like HTTP");
        }
    }
    char text[64];
    (void)snprintf(text, sizeof text, "not TLS: its first byte is 0x%02x", peer->first[0]);
    return fail(peer, SL_ETLS, text);
}

static bool is_stranger(const struct sl__tls_peer *peer)
{
    return peer->shaking && peer->first_count > 0 &&
           (peer->first[0] < SSL3_RT_CHANGE_CIPHER_SPEC || peer->first[0] > SSL3_RT_APPLICATION_DATA);
}

static int explain_reason(const struct sl__tls_peer *peer, int reason, const char *text)
{
    if (peer->was_asked && reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE) {
        return fail(peer, SL_ECERTIFICATE, "the peer wants a client certificate"); /* so TLS 1.2 says it */
    }
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].reason == reason) {
            return fail(peer, reasons[i].code, reasons[i].text);
        }
    }
    return fail(peer, SL_ETLS, text == NULL ? "broken off without a reason" : text);
}

/* The error that counts: no memory, else what TLS itself says, else the first. Empties the queue. */
static unsigned long take_error(void)
{
    unsigned long chosen = ERR_get_error();
    for (unsigned long next = chosen; next != 0; next = ERR_get_error()) {
        bool better = ERR_GET_LIB(chosen) != ERR_LIB_SSL && ERR_GET_LIB(next) == ERR_LIB_SSL;
        if (ERR_GET_REASON(next) == ERR_R_MALLOC_FAILURE) {
            ERR_clear_error();
            return next;
        }
        chosen = better ? next : chosen;
    }
    return chosen;
}

int sl__tls_explain(const SSL *ssl, const struct sl__tls_peer *peer)
{
    unsigned long error = take_error();
    int reason = ERR_GET_REASON(error);
    const char *text = ERR_reason_error_string(error);
    if (reason == ERR_R_MALLOC_FAILURE) {
        return sl_fail(SL_ENOMEM, "no memory for TLS");
    }
    if (ERR_GET_LIB(error) != ERR_LIB_SSL) {
        return fail(peer, SL_ETLS, text == NULL ? "broken off without a reason" : text);
    }
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        if (sl_error_last_code() == SL_ECERTIFICATE) { /* sl__tls_verified() said why */
            return SL_ECERTIFICATE;
        }
        return fail(peer, SL_ECERTIFICATE, X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
    }
    return is_stranger(peer) ? explain_stranger(peer) : explain_reason(peer, reason, text);
}
