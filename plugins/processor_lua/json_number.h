/* json_number: numbers of JSON to integers and doubles, and back in the shortest form. Pure, any
 * thread. */
#ifndef JSON_NUMBER_H
#define JSON_NUMBER_H

#include "json_scan.h"

#define JSON_NUMBER_BYTES_MAX 40u

#define JSON_NUMBER_INTEGER 1 /* an integer within 64 bits */
#define JSON_NUMBER_REAL    2 /* a double whose shortest text has the same value */
#define JSON_NUMBER_TEXT    3 /* neither holds it: keep the text */

/* What holds the number, and the value in it. */
int json_number_parse(const struct json_token *token, int64_t *ret_integer, double *ret_real);

/* Size of the text put at `to`, which has JSON_NUMBER_BYTES_MAX bytes; 0: not finite. The shortest
 * text that reads back as the same double, always with a point or exponent. */
size_t json_integer_print(int64_t value, char *to);
size_t json_real_print(double value, char *to);

#endif
