/* cli_redact.h: what a debug bundle must not tell: secrets, and names where somebody asks for that.
 *
 * Secrets are found by the name of their member in any JSON, also in JSON that is a text in it:
 * what the option table knows by what it says (the broker does not even tell those), else by words
 * (password, token, …). Their values are then left out wherever else they stand. Names (of topics,
 * groups, clients) become "x-" and 12 hex digits of a hash under the key of this bundle, so that
 * what belongs together still can be seen to, and no list of likely names tells them. Pure. [any]
 */
#ifndef SL_CLI_CLI_REDACT_H
#define SL_CLI_CLI_REDACT_H

#include "base/buffer.h"

#define REDACT_NAMES_MAX        100000u
#define REDACT_NAME_BYTES       256u /* longer ones are cut to this: what begins so is hidden too */
#define REDACT_PHRASES_MAX      1000u
#define REDACT_SECRETS_MAX      1000u
#define REDACT_SECRET_BYTES_MIN 5u /* a shorter value is hidden in its place only */

struct cJSON;

struct redactor {
    bool hides_names;
    uint8_t key[16];
    char **names; /* owned; sorted when is_sorted */
    uint32_t name_count, name_room;
    bool is_sorted;
    char *phrases[REDACT_PHRASES_MAX]; /* owned: names that are no word, such as "my group" */
    uint32_t phrase_count;
    bool begins[256];                  /* a phrase begins with this byte */
    char *secrets[REDACT_SECRETS_MAX]; /* owned */
    uint32_t secret_count;
    bool is_full; /* more names or secrets than fit: what is told says so */
};

/* key: of hashes, random. */
void redactor_init(struct redactor *redactor, bool hides_names, const uint8_t key[16]);
void redactor_fini(struct redactor *redactor);
/* A name that is to be hidden, should names be hidden at all. Copies. */
void redactor_name_add(struct redactor *redactor, const char *name);
/* Adds all texts of members "topic", "group", "client" … at any depth. */
void redactor_names_find(struct redactor *redactor, const struct cJSON *json);
/* Whether a member of that name, or a key "plugins.instances.x.config.password", holds a secret. */
bool redactor_is_secret(const char *member);
/* Puts "(secret)" in the place of secrets, and remembers their values. Run it on all that has
 * members first. */
void redactor_secrets_hide(struct redactor *redactor, struct cJSON *json);
/* The text without secrets that are known, and without names. E_LIMIT, E_NO_MEMORY of `out`. */
sl_err redactor_text(struct redactor *redactor, struct sl_bytes text,
                     struct sl_buffer *out) SL_MUST_CHECK;
/* The same in the values of all texts, in place. Numbers that are texts stay. False: no memory. */
bool redactor_json(struct redactor *redactor, struct cJSON *json);

#endif
