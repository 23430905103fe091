/* SPDX-License-Identifier: MIT */
/* Makes keys and certificates with OpenSSL; see tls_certificates.h. */
#include "tls_certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVER_NAMES "DNS:localhost,DNS:server.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1"
#define OTHER_NAMES "DNS:other.example,DNS:b.example,IP:192.0.2.1,DNS:c.example,email:x@d.example"

struct recipe {
    const char *name; /* common name */
    const char *alternatives;
    int issuer; /* an enum tls_certificate, or -1: itself */
    bool authority;
    const char *from, *until;
};

static const struct recipe recipes[TLS_CERTIFICATES] = {
    [TLS_CA] = {"Test CA", NULL, -1, true, "20200101000000Z", "21200101000000Z"},
    [TLS_OTHER_CA] = {"Other CA", NULL, -1, true, "20200101000000Z", "21200101000000Z"},
    [TLS_SERVER] = {"server", SERVER_NAMES, TLS_CA, false, "20200101000000Z", "21200101000000Z"},
    [TLS_CLIENT] = {"client", NULL, TLS_CA, false, "20200101000000Z", "21200101000000Z"},
    [TLS_EXPIRED] = {"server", SERVER_NAMES, TLS_CA, false, "20200101000000Z", "20210304050607Z"},
    [TLS_NOT_YET] = {"server", SERVER_NAMES, TLS_CA, false, "21200101000000Z", "21210101000000Z"},
    [TLS_SELF_SIGNED] = {"server", SERVER_NAMES, -1, false, "20200101000000Z", "21200101000000Z"},
    [TLS_WRONG_HOST] = {"other", OTHER_NAMES, TLS_CA, false, "20200101000000Z", "21200101000000Z"},
    [TLS_NAMELESS] = {"server.test", NULL, TLS_CA, false, "20200101000000Z", "21200101000000Z"},
    [TLS_UNKNOWN_CA] = {"server", SERVER_NAMES, TLS_OTHER_CA, false, "20200101000000Z", "21200101000000Z"},
    [TLS_CHAIN] = {"server", SERVER_NAMES, TLS_CERTIFICATES, false, "20200101000000Z", "21200101000000Z"},
};
static const struct recipe between = {"Test CA Two", NULL, TLS_CA, true, "20200101000000Z", "21200101000000Z"};

struct made {
    EVP_PKEY *key;
    X509 *certificate;
    struct tls_identity text;
};

static struct made all[TLS_CERTIFICATES + 1]; /* the last one is the authority in between */
static char folder[64];
static pid_t owner;

static void must(int ok)
{
    if (!ok) {
        (void)fprintf(stderr, "a certificate for the test could not be made\n");
        abort();
    }
}

static void add_extension(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static char *text_of(BIO *bio)
{
    size_t length = BIO_ctrl_pending(bio);
    char *text = calloc(1, length + 1);
    must(text != NULL && length > 0 && BIO_read(bio, text, (int)length) == (int)length);
    (void)BIO_free(bio);
    return text;
}

static void make(struct made *made, const struct recipe *recipe, const struct made *issuer)
{
    static long serial = 1000;
    X509 *certificate = X509_new();
    X509_NAME *name = X509_NAME_new();
    made->key = EVP_EC_gen("P-256");
    must(made->key != NULL && certificate != NULL && name != NULL);
    must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)recipe->name, -1, -1, 0));
    must(X509_set_version(certificate, X509_VERSION_3) && X509_set_subject_name(certificate, name));
    must(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial));
    must(X509_set_issuer_name(certificate, issuer == NULL ? name : X509_get_subject_name(issuer->certificate)));
    must(ASN1_TIME_set_string(X509_getm_notBefore(certificate), recipe->from));
    must(ASN1_TIME_set_string(X509_getm_notAfter(certificate), recipe->until));
    must(X509_set_pubkey(certificate, made->key));
    X509 *signer = issuer == NULL ? certificate : issuer->certificate;
    add_extension(certificate, signer, NID_basic_constraints, recipe->authority ? "critical,CA:TRUE" : "CA:FALSE");
    if (recipe->alternatives != NULL) {
        add_extension(certificate, signer, NID_subject_alt_name, recipe->alternatives);
    }
    must(X509_sign(certificate, issuer == NULL ? made->key : issuer->key, EVP_sha256()) > 0);
    made->certificate = certificate;
    X509_NAME_free(name);
    BIO *bio = BIO_new(BIO_s_mem());
    must(PEM_write_bio_X509(bio, certificate));
    if (issuer == &all[TLS_CERTIFICATES]) {
        must(PEM_write_bio_X509(bio, issuer->certificate));
    }
    made->text.certificate = text_of(bio);
    bio = BIO_new(BIO_s_mem());
    must(PEM_write_bio_PrivateKey(bio, made->key, NULL, NULL, 0, NULL, NULL));
    made->text.key = text_of(bio);
}

const struct tls_identity *tls_identity(enum tls_certificate which)
{
    if (all[TLS_CA].key == NULL) {
        for (int i = 0; i < TLS_CERTIFICATES; i++) {
            if (recipes[i].issuer == TLS_CERTIFICATES) {
                make(&all[TLS_CERTIFICATES], &between, &all[TLS_CA]);
            }
            make(&all[i], &recipes[i], recipes[i].issuer < 0 ? NULL : &all[recipes[i].issuer]);
        }
    }
    return &all[which].text;
}

const char *tls_locked_key(void)
{
    static char *text;
    if (text == NULL) {
        BIO *bio = BIO_new(BIO_s_mem());
        (void)tls_identity(TLS_SERVER);
        must(PEM_write_bio_PrivateKey(bio, all[TLS_SERVER].key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6,
                                      NULL, NULL));
        text = text_of(bio);
    }
    return text;
}

static void file_path(char *path, size_t path_bytes, int which, bool key)
{
    (void)snprintf(path, path_bytes, "%s/%d.%s", folder, which, key ? "key" : "crt");
}

static void remove_folder(void)
{
    char path[128];
    if (getpid() != owner) {
        return;
    }
    for (int i = 0; i < 2 * TLS_CERTIFICATES; i++) {
        file_path(path, sizeof path, i / 2, i % 2 == 1);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

const char *tls_identity_file(enum tls_certificate which, bool key)
{
    static char paths[2][128];
    static unsigned turn;
    char *path = paths[turn++ % 2];
    const struct tls_identity *identity = tls_identity(which);
    if (owner != getpid()) {
        owner = getpid();
        (void)snprintf(folder, sizeof folder, "/tmp/sluice-tls-XXXXXX");
        must(mkdtemp(folder) != NULL);
        (void)atexit(remove_folder);
    }
    file_path(path, sizeof paths[0], which, key);
    FILE *file = fopen(path, "w");
    must(file != NULL && fputs(key ? identity->key : identity->certificate, file) >= 0);
    (void)fclose(file);
    return path;
}
