/* tls_name.c: see tls_name.h. */
#include "tls/tls_name.h"

#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

/* Cut texts are never given: they could be another's name. */
struct writer {
    char *text;
    size_t size, used;
    bool full;
};

static void put(struct writer *writer, char c)
{
    if (writer->used + 1 >= writer->size) {
        writer->full = true;
    } else {
        writer->text[writer->used++] = c;
    }
}

static void put_text(struct writer *writer, const char *text)
{
    while (*text != '\0') {
        put(writer, *text++);
    }
}

static void put_hex(struct writer *writer, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        put(writer, digits[bytes[i] >> 4]);
        put(writer, digits[bytes[i] & 15]);
    }
}

/* The words of RFC 2253, section 2.3. */
static const char *word_of(const ASN1_OBJECT *type)
{
    static const struct {
        int nid;
        const char *word;
    } words[] = {
        {NID_commonName, "CN"},
        {NID_localityName, "L"},
        {NID_stateOrProvinceName, "ST"},
        {NID_organizationName, "O"},
        {NID_organizationalUnitName, "OU"},
        {NID_countryName, "C"},
        {NID_streetAddress, "STREET"},
        {NID_domainComponent, "DC"},
        {NID_userId, "UID"},
    };
    int nid = OBJ_obj2nid(type);
    for (size_t i = 0; i < SL_COUNT_OF(words); i++) {
        if (words[i].nid == nid) {
            return words[i].word;
        }
    }
    return NULL;
}

static bool is_text(const ASN1_STRING *value)
{
    switch (ASN1_STRING_type(value)) {
    case V_ASN1_PRINTABLESTRING:
    case V_ASN1_UTF8STRING:
    case V_ASN1_T61STRING:
    case V_ASN1_IA5STRING:
    case V_ASN1_GENERALSTRING:
    case V_ASN1_BMPSTRING:
    case V_ASN1_UNIVERSALSTRING:
        return true;
    default:
        return false;
    }
}

/* Escaped are , = + < > # ; " \ wherever they are, and spaces at both ends. */
static void put_value(struct writer *writer, const uint8_t *value, size_t size)
{
    size_t lead = 0;
    size_t trail = size;
    while (lead < size && value[lead] == ' ') {
        lead++;
    }
    while (trail > lead && value[trail - 1] == ' ') {
        trail--;
    }
    for (size_t i = 0; i < size; i++) {
        char c = (char)value[i];
        if (i < lead || i >= trail || (c != '\0' && strchr(",=+<>#;\"\\", c) != NULL)) {
            put(writer, '\\');
        }
        put(writer, c);
    }
}

static sl_err put_der(struct writer *writer, const ASN1_OBJECT *type, const ASN1_STRING *value)
{
    char number[80];
    uint8_t *der = NULL;
    ASN1_TYPE any = {.type = ASN1_STRING_type(value)};
    any.value.asn1_string = (ASN1_STRING *)(uintptr_t)value;
    int size = i2d_ASN1_TYPE(&any, &der);
    if (size < 0) {
        return SLUICE_E_NO_MEMORY;
    }
    OBJ_obj2txt(number, sizeof(number), type, 1);
    put_text(writer, number);
    put_text(writer, "=#");
    put_hex(writer, der, (size_t)size);
    OPENSSL_free(der);
    return SLUICE_OK;
}

static sl_err put_entry(struct writer *writer, const X509_NAME_ENTRY *entry)
{
    const ASN1_OBJECT *type = X509_NAME_ENTRY_get_object(entry);
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(entry);
    const char *word = word_of(type);
    uint8_t *utf8 = NULL;
    int size = word != NULL && is_text(value) ? ASN1_STRING_to_UTF8(&utf8, value) : -1;
    if (size < 0 || memchr(utf8, 0, (size_t)size) != NULL) {
        OPENSSL_free(utf8); /* a zero byte would end the name for those who read it */
        return put_der(writer, type, value);
    }
    put_text(writer, word);
    put(writer, '=');
    put_value(writer, utf8, (size_t)size);
    OPENSSL_free(utf8);
    return SLUICE_OK;
}

sl_err tls_name_text(const struct X509_name_st *name, char *ret_text, size_t size)
{
    struct writer writer = {ret_text, size, 0, false};
    sl_err err = SLUICE_OK;
    /* Parts backwards, the entries of one part forwards. */
    for (int end = X509_NAME_entry_count(name); end > 0 && err == SLUICE_OK;) {
        int set = X509_NAME_ENTRY_set(X509_NAME_get_entry(name, end - 1));
        int first = end - 1;
        while (first > 0 && X509_NAME_ENTRY_set(X509_NAME_get_entry(name, first - 1)) == set) {
            first--;
        }
        if (writer.used > 0) {
            put(&writer, ',');
        }
        for (int i = first; i < end && err == SLUICE_OK; i++) {
            if (i > first) {
                put(&writer, '+');
            }
            err = put_entry(&writer, X509_NAME_get_entry(name, i));
        }
        end = first;
    }
    ret_text[writer.used] = '\0';
    return err != SLUICE_OK ? err : writer.full ? SLUICE_E_TRUNCATED : SLUICE_OK;
}
