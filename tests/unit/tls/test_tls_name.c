/* test_tls_name.c: names of certificates as Java has them. */
#include "tls/tls_name.h"

#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#define FOLDER SLUICE_SOURCE_DIR "/tests/data/tls/"

static X509 *read_certificate(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), FOLDER "names/%s", name);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    cr_assert_not_null(certificate, "%s", path);
    return certificate;
}

Test(tls_name, is_what_java_says)
{
    char line[1024];
    FILE *file = fopen(FOLDER "names.tsv", "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *expected = strchr(line, '\t');
        if (line[0] == '#' || expected == NULL) {
            continue;
        }
        *expected++ = '\0';
        char text[1024];
        X509 *certificate = read_certificate(line);
        cr_expect_eq(tls_name_text(X509_get_subject_name(certificate), text, sizeof(text)),
                     SLUICE_OK);
        cr_expect_str_eq(text, expected);
        X509_free(certificate);
    }
    fclose(file);
}

Test(tls_name, is_never_cut)
{
    char text[1024];
    X509 *certificate = read_certificate("n2.pem");
    const X509_NAME *name = X509_get_subject_name(certificate);
    cr_assert_eq(tls_name_text(name, text, sizeof(text)), SLUICE_OK);
    size_t size = strlen(text);
    cr_expect_eq(tls_name_text(name, text, size + 1), SLUICE_OK);
    for (size_t room = 1; room <= size; room++) {
        cr_expect_eq(tls_name_text(name, text, room), SLUICE_E_TRUNCATED);
    }
    X509_free(certificate);
}

Test(tls_name, has_a_zero_byte_as_bytes_so_that_it_is_nobody_elses)
{
    char text[256];
    X509_NAME *name = X509_NAME_new();
    const unsigned char value[] = "alice\0x";
    cr_assert_eq(X509_NAME_add_entry_by_txt(name, "CN", V_ASN1_UTF8STRING, value, 7, -1, 0), 1);
    cr_assert_eq(tls_name_text(name, text, sizeof(text)), SLUICE_OK);
    cr_expect_str_eq(text, "2.5.4.3=#0c07616c6963650078");
    X509_NAME_free(name);
}
