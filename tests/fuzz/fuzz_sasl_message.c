/* fuzz_sasl_message.c: the messages of PLAIN and OAUTHBEARER: what is taken lies in the message,
 * and is what it says. The first byte chooses. */
#include "auth/sasl_message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool is_within(struct sl_bytes part, struct sl_bytes whole)
{
    return part.size == 0 ||
           (part.data >= whole.data && part.data + part.size <= whole.data + whole.size);
}

static void try_plain(struct sl_bytes message)
{
    struct sasl_plain plain;
    if (sasl_plain_parse(message, &plain) == SLUICE_OK) {
        expect(plain.name.size > 0 && plain.password.size > 0);
        expect(plain.authzid.size + plain.name.size + plain.password.size + 2 == message.size);
        expect(is_within(plain.authzid, message) && is_within(plain.name, message) &&
               is_within(plain.password, message));
        expect(memchr(plain.password.data, 0, plain.password.size) == NULL);
    }
}

static void try_bearer(struct sl_bytes message)
{
    struct sasl_bearer bearer;
    if (sasl_bearer_parse(message, &bearer) == SLUICE_OK) {
        expect(bearer.token.size > 0 && is_within(bearer.token, message) &&
               is_within(bearer.authzid, message));
        expect(memchr(bearer.token.data, 1, bearer.token.size) == NULL);
        expect(message.data[message.size - 1] == 1 && message.data[message.size - 2] == 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    uint8_t *exact = malloc(size); /* so that a step too far is seen */
    struct sl_bytes message = {exact + 1, size - 1};
    memcpy(exact, data, size);
    if (data[0] % 2 == 0) {
        try_plain(message);
    } else {
        try_bearer(message);
    }
    free(exact);
    return 0;
}
