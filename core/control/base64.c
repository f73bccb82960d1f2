/* base64.c: three bytes are four characters. */
#include "control/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct sl_bytes bytes, char *ret_text)
{
    char *out = ret_text;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t word = (uint32_t)bytes.data[i] << 16;
        word |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        word |= left > 2 ? (uint32_t)bytes.data[i + 2] : 0;
        *out++ = digits[word >> 18];
        *out++ = digits[(word >> 12) & 63];
        *out++ = left > 1 ? digits[(word >> 6) & 63] : '=';
        *out++ = left > 2 ? digits[word & 63] : '=';
    }
    *out = '\0';
}

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

sl_err base64_decode(const char *text, size_t size, uint8_t *ret_bytes, size_t *ret_size)
{
    size_t at = 0;
    if (size % 4 != 0) {
        return SLUICE_E_MALFORMED;
    }
    for (size_t i = 0; i < size; i += 4) {
        uint32_t word = 0;
        size_t pads = 0;
        for (size_t j = 0; j < 4; j++) {
            bool is_pad = text[i + j] == '=' && i + 4 == size && j >= 2;
            int value = is_pad ? 0 : digit_value(text[i + j]);
            if (value < 0 || (pads > 0 && !is_pad)) {
                return SLUICE_E_MALFORMED;
            }
            pads += is_pad;
            word = word << 6 | (uint32_t)value;
        }
        for (size_t j = 0; j < 3 - pads; j++) {
            ret_bytes[at++] = (uint8_t)(word >> (16 - 8 * j));
        }
    }
    *ret_size = at;
    return SLUICE_OK;
}
