/* client_login.c: see client_login.h. The hashes come from the application (sluice_client_hash):
 * the library itself has no cryptography. SCRAM wants names and passwords prepared by SASLprep (RFC
 * 4013), which leaves printable ASCII as it is; all else is refused here, as the library has no
 * tables of Unicode: a login would fail, or not, by how somebody's keyboard composes a letter. */
#include "client_login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONCE_BYTES    24u
#define ITERATIONS_MIN 4096u
#define ITERATIONS_MAX 1000000u /* a server may not keep the client busy for longer */
#define SALT_MAX       256u

/* The first message, of mechanisms where nothing but a bare word may follow. */
typedef sluice_status first_fn(struct client_login *login,
                               const struct sluice_client_options *options, char *ret_message,
                               size_t *ret_size);
static first_fn plain, bearer;

static const struct {
    const char *name;
    uint32_t bits; /* of SCRAM's hash; 0: none */
    uint32_t rank;
    bool wants_token;
    bool by_name; /* used only where the application names it */
    first_fn *first;
} mechanisms[] = {{"PLAIN", 0, 1, false, true, plain},
                  {"SCRAM-SHA-256", 256, 2, false, false, NULL},
                  {"SCRAM-SHA-512", 512, 3, false, false, NULL},
                  {"OAUTHBEARER", 0, 4, true, false, bearer}};

#define MECHANISM_COUNT (sizeof(mechanisms) / sizeof(mechanisms[0]))

/* The application gave what it needs, and lets it be used. */
static bool may_use(size_t index, const struct sluice_client_options *options)
{
    const char *name = mechanisms[index].name;
    bool named = options->mechanism != NULL && strcmp(options->mechanism, name) == 0;
    bool has = mechanisms[index].wants_token ? options->token != NULL : options->user != NULL;
    has = has && (mechanisms[index].bits == 0 || options->hash != NULL);
    return has && (named || (options->mechanism == NULL && !mechanisms[index].by_name));
}

const char *login_mechanism(struct sluice_text offered, const struct sluice_client_options *options)
{
    for (size_t i = 0; i < MECHANISM_COUNT; i++) {
        const char *name = mechanisms[i].name;
        if (strlen(name) == offered.size && memcmp(name, offered.data, (size_t)offered.size) == 0) {
            return may_use(i, options) ? name : NULL;
        }
    }
    return NULL;
}

uint32_t login_rank(const char *mechanism)
{
    for (size_t i = 0; i < MECHANISM_COUNT; i++) {
        if (mechanism != NULL && strcmp(mechanism, mechanisms[i].name) == 0) {
            return mechanisms[i].rank;
        }
    }
    return 0;
}

/* Their ranks are 1, 2, 3 … in the table's order. */
static size_t index_of(const char *mechanism)
{
    return login_rank(mechanism) - 1;
}

/* -- base64 (RFC 4648) -- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode(const uint8_t *data, size_t size, char *ret_text)
{
    size_t at = 0;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)data[i] << 16;
        three |= i + 1 < size ? (uint32_t)data[i + 1] << 8 : 0;
        three |= i + 2 < size ? data[i + 2] : 0;
        ret_text[at++] = digits[three >> 18];
        ret_text[at++] = digits[three >> 12 & 63];
        ret_text[at++] = i + 1 < size ? digits[three >> 6 & 63] : '=';
        ret_text[at++] = i + 2 < size ? digits[three & 63] : '=';
    }
    ret_text[at] = '\0';
}

/* False: it is no base64, or longer than `max` bytes. */
static bool decode(const char *text, size_t size, uint8_t *ret_data, size_t max, size_t *ret_size)
{
    uint32_t bits = 0;
    uint32_t count = 0;
    size_t at = 0;
    while (size > 0 && text[size - 1] == '=') {
        size--;
    }
    for (size_t i = 0; i < size; i++) {
        const char *digit = text[i] != '\0' ? strchr(digits, text[i]) : NULL;
        if (digit == NULL || at == max) {
            return false;
        }
        bits = bits << 6 | (uint32_t)(digit - digits);
        count += 6;
        if (count >= 8) {
            count -= 8;
            ret_data[at++] = (uint8_t)(bits >> count);
        }
    }
    *ret_size = at;
    return true;
}

/* -- PLAIN, OAUTHBEARER -- */

static sluice_status plain(struct client_login *login, const struct sluice_client_options *options,
                           char *ret_message, size_t *ret_size)
{
    (void)login;
    size_t user = strlen(options->user);
    size_t password = strlen(options->password);
    if (user + password + 2 > LOGIN_TEXT_MAX) {
        return SLUICE_E_LIMIT;
    }
    ret_message[0] = '\0';
    memcpy(ret_message + 1, options->user, user);
    ret_message[1 + user] = '\0';
    memcpy(ret_message + 2 + user, options->password, password);
    *ret_size = user + password + 2;
    return SLUICE_OK;
}

/* RFC 6750: letters, digits, - . _ ~ + / and = */
static bool is_token(const char *text)
{
    size_t size =
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=");
    return size > 0 && text[size] == '\0';
}

static sluice_status bearer(struct client_login *login, const struct sluice_client_options *options,
                            char *ret_message, size_t *ret_size)
{
    if (!is_token(options->token)) {
        login->problem = "the token is empty, or has characters that no token has (RFC 6750)";
        return SLUICE_E_UNACCEPTABLE_CREDENTIAL;
    }
    *ret_size = (size_t)snprintf(ret_message, LOGIN_MESSAGE_MAX, "n,,\001auth=Bearer %s\001\001",
                                 options->token);
    return SLUICE_OK;
}

/* -- SCRAM -- */

static bool is_prepared(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

static struct sluice_bytes bytes_of(const char *text)
{
    return (struct sluice_bytes){(const uint8_t *)text, strlen(text)};
}

/* A name with = and , written as RFC 5802 wants. False: it is too long. */
static bool escape(const char *name, char *ret_text, size_t capacity)
{
    size_t at = 0;
    for (; *name != '\0'; name++) {
        const char *written = *name == '=' ? "=3D" : *name == ',' ? "=2C" : NULL;
        size_t size = written != NULL ? 3 : 1;
        if (at + size >= capacity) {
            return false;
        }
        memcpy(ret_text + at, written != NULL ? written : name, size);
        at += size;
    }
    ret_text[at] = '\0';
    return true;
}

static sluice_status first_message(struct client_login *login,
                                   const struct sluice_client_options *options, char *ret_message,
                                   size_t *ret_size)
{
    uint8_t random[NONCE_BYTES];
    char name[LOGIN_TEXT_MAX / 2];
    if (!is_prepared(options->user) || !is_prepared(options->password)) {
        login->problem = "SCRAM: name and password must be printable ASCII here, as SASLprep "
                         "(RFC 4013) is not applied to other characters";
        return SLUICE_E_UNACCEPTABLE_CREDENTIAL;
    }
    if (!options->hash->random(random, sizeof(random))) {
        return SLUICE_E_INTERNAL;
    }
    if (!escape(options->user, name, sizeof(name))) {
        return SLUICE_E_LIMIT;
    }
    encode(random, sizeof(random), login->nonce);
    (void)snprintf(login->first, sizeof(login->first), "n=%s,r=%s", name, login->nonce);
    *ret_size = (size_t)snprintf(ret_message, LOGIN_TEXT_MAX, "n,,%s", login->first);
    return SLUICE_OK;
}

/* The value of a field `letter=…`, up to a comma. NULL: there is none. */
static const char *field(const char *message, char letter, size_t *ret_size)
{
    for (const char *at = message; at != NULL; at = strchr(at, ',')) {
        at += *at == ',' ? 1 : 0;
        if (at[0] == letter && at[1] == '=') {
            *ret_size = strcspn(at + 2, ",");
            return at + 2;
        }
    }
    return NULL;
}

struct scram_challenge {
    const char *nonce;
    size_t nonce_size;
    uint8_t salt[SALT_MAX];
    size_t salt_size;
    uint32_t iterations;
};

static bool parse_challenge(const struct client_login *login, const char *text,
                            struct scram_challenge *ret_challenge)
{
    size_t salt_size = 0;
    size_t count_size = 0;
    const char *salt = field(text, 's', &salt_size);
    const char *count = field(text, 'i', &count_size);
    ret_challenge->nonce_size = 0;
    ret_challenge->nonce = field(text, 'r', &ret_challenge->nonce_size);
    if (salt == NULL || count == NULL || ret_challenge->nonce == NULL) {
        return false;
    }
    unsigned long iterations = strtoul(count, NULL, 10);
    if (iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX) {
        return false;
    }
    ret_challenge->iterations = (uint32_t)iterations;
    size_t own = strlen(login->nonce);
    return ret_challenge->nonce_size > own &&
           memcmp(ret_challenge->nonce, login->nonce, own) == 0 &&
           decode(salt, salt_size, ret_challenge->salt, SALT_MAX, &ret_challenge->salt_size);
}

/* From the salted password: the proof, and what the server will have to show. */
static bool sign(struct client_login *login, const struct sluice_client_hash *hash,
                 const uint8_t *salted, const char *said, uint8_t *ret_proof)
{
    const uint32_t bits = login->bits;
    const size_t size = bits / 8;
    const struct sluice_bytes key = {salted, size};
    uint8_t client_key[LOGIN_MAC_BYTES];
    uint8_t stored_key[LOGIN_MAC_BYTES];
    uint8_t server_key[LOGIN_MAC_BYTES];
    uint8_t mac[LOGIN_MAC_BYTES];
    bool done = hash->hmac(bits, key, bytes_of("Client Key"), client_key) &&
                hash->digest(bits, (struct sluice_bytes){client_key, size}, stored_key) &&
                hash->hmac(bits, (struct sluice_bytes){stored_key, size}, bytes_of(said), mac) &&
                hash->hmac(bits, key, bytes_of("Server Key"), server_key) &&
                hash->hmac(bits, (struct sluice_bytes){server_key, size}, bytes_of(said),
                           login->server_mac);
    for (size_t i = 0; done && i < size; i++) {
        ret_proof[i] = client_key[i] ^ mac[i];
    }
    return done;
}

static sluice_status final_message(struct client_login *login,
                                   const struct sluice_client_options *options, const char *text,
                                   char *ret_message, size_t *ret_size)
{
    struct scram_challenge challenge;
    uint8_t salted[LOGIN_MAC_BYTES];
    uint8_t proof[LOGIN_MAC_BYTES];
    char proof_text[LOGIN_MAC_BYTES * 2];
    char without[LOGIN_TEXT_MAX];
    char said[3 * LOGIN_TEXT_MAX];
    if (!parse_challenge(login, text, &challenge)) {
        return SLUICE_E_AUTHENTICATION;
    }
    (void)snprintf(without, sizeof(without), "c=biws,r=%.*s", (int)challenge.nonce_size,
                   challenge.nonce);
    (void)snprintf(said, sizeof(said), "%s,%s,%s", login->first, text, without);
    const struct sluice_bytes salt = {challenge.salt, challenge.salt_size};
    if (!options->hash->stretch(login->bits, bytes_of(options->password), salt,
                                challenge.iterations, salted) ||
        !sign(login, options->hash, salted, said, proof)) {
        return SLUICE_E_INTERNAL;
    }
    encode(proof, login->bits / 8, proof_text);
    int size = snprintf(ret_message, LOGIN_TEXT_MAX, "%s,p=%s", without, proof_text);
    if (size < 0 || (size_t)size >= LOGIN_TEXT_MAX) {
        return SLUICE_E_LIMIT;
    }
    *ret_size = (size_t)size;
    return SLUICE_OK;
}

/* The server shows that it knows the password too. */
static sluice_status check_server(struct client_login *login, const char *text)
{
    uint8_t mac[LOGIN_MAC_BYTES];
    size_t size;
    size_t mac_size = 0;
    const char *shown = field(text, 'v', &size);
    if (shown == NULL || !decode(shown, size, mac, sizeof(mac), &mac_size) ||
        mac_size != login->bits / 8) {
        return SLUICE_E_AUTHENTICATION;
    }
    uint8_t differs = 0;
    for (size_t i = 0; i < mac_size; i++) {
        differs |= mac[i] ^ login->server_mac[i];
    }
    login->is_complete = differs == 0;
    return differs == 0 ? SLUICE_OK : SLUICE_E_AUTHENTICATION;
}

sluice_status login_step(struct client_login *login, const struct sluice_client_options *options,
                         struct sluice_bytes challenge, char ret_message[LOGIN_MESSAGE_MAX],
                         size_t *ret_size)
{
    char text[LOGIN_TEXT_MAX];
    if (challenge.size >= sizeof(text)) {
        return SLUICE_E_AUTHENTICATION;
    }
    if (challenge.size > 0) {
        memcpy(text, challenge.data, (size_t)challenge.size);
    }
    text[challenge.size] = '\0';
    *ret_size = 0;
    const size_t index = index_of(login->mechanism);
    login->bits = mechanisms[index].bits;
    login->step++;
    if (mechanisms[index].first != NULL) {
        login->is_complete = true;
        if (login->step == 1) {
            return mechanisms[index].first(login, options, ret_message, ret_size);
        }
        ret_message[0] = '\001'; /* RFC 7628: the server has said why not, and ends it now */
        *ret_size = mechanisms[index].wants_token ? 1 : 0;
        return SLUICE_OK;
    }
    switch (login->step) {
    case 1:
        return first_message(login, options, ret_message, ret_size);
    case 2:
        return final_message(login, options, text, ret_message, ret_size);
    case 3:
        return check_server(login, text);
    default:
        return SLUICE_E_AUTHENTICATION;
    }
}
