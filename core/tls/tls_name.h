/* tls_name.h: a distinguished name as text: RFC 2253 in the form of Java's X500Principal.getName(),
 * which Kafka's principals and access rules have.
 *
 * Most specific part first, parts that RFC 2253 has no word for as OID=#DER. [any] */
#ifndef SL_TLS_TLS_NAME_H
#define SL_TLS_TLS_NAME_H

#include "base/base.h"

struct X509_name_st;

/* "CN=broker,OU=a\+b,O=Sluice\, Inc.,C=NL". E_TRUNCATED: it does not fit; E_NO_MEMORY. */
sl_err tls_name_text(const struct X509_name_st *name, char *ret_text, size_t size) SL_MUST_CHECK;

#endif
