/* sasl_session.c: see sasl_session.h. */
#include "intake/sasl_session.h"

#include "auth/sasl_message.h"
#include "auth/scram.h"
#include "base/bytes.h"
#include "intake/login_desk.h"
#include "shard/access.h"

#include <stdio.h>
#include <string.h>

enum sasl_state { STATE_FIRST, STATE_FINAL, STATE_ENDED };

struct sasl_session {
    struct sasl_peer peer;
    uint32_t mechanism;
    enum sasl_state state;
    bool busy;      /* a step is under way */
    bool orphan;    /* the connection is gone */
    bool succeeded; /* a login before, or this one */
    struct scram scram;
    struct login_step step;
    struct credential credential;
    uint8_t password[1024]; /* PLAIN, until it is checked */
    size_t password_size;
    bool fits;
    struct {
        struct jwt_keys *keys; /* a reference, so the next; until it is checked */
        struct jwt_rules rules;
        uint8_t *message; /* owned */
        size_t message_size;
        int64_t wall_ms, expires_ms;
        sl_err err;
        char why[JWT_WHY_BYTES];
    } bearer;
    char name[CREDENTIAL_NAME_BYTES_MAX + 1u];
    char principal[JWT_NAME_BYTES + 8];
    char answer[SCRAM_MESSAGE_BYTES_MAX];
    struct sluice_auth_result result;
    struct sl_timer *timer;
    sluice_auth_done *done;
    void *arg;
};

static const char *const names[SASL_MECHANISM_COUNT] = {"", "PLAIN", "SCRAM-SHA-256",
                                                        "SCRAM-SHA-512", "OAUTHBEARER"};

const char *sasl_mechanism_name(uint32_t mechanism)
{
    return names[mechanism];
}

uint32_t sasl_mechanism_number(struct sluice_text name)
{
    for (uint32_t i = 1; i < SASL_MECHANISM_COUNT; i++) {
        if (strlen(names[i]) == name.size && memcmp(names[i], name.data, (size_t)name.size) == 0) {
            return i;
        }
    }
    return SASL_NONE;
}

/* ---- life ---- */

static void forget_token(struct sasl_session *session)
{
    if (session->bearer.message != NULL) {
        explicit_bzero(session->bearer.message, session->bearer.message_size);
    }
    sl_free(session->bearer.message);
    session->bearer.message = NULL;
    session->bearer.keys = jwt_keys_unref(session->bearer.keys);
}

static void session_free(struct sasl_session *session)
{
    forget_token(session);
    scram_fini(&session->scram);
    sl_timer_free(session->timer);
    explicit_bzero(session, sizeof(*session));
    sl_free(session);
}

sl_err sasl_session_start(struct sasl_session **session, const struct sasl_peer *peer,
                          struct sluice_text mechanism)
{
    uint32_t number = sasl_mechanism_number(mechanism);
    if (number == SASL_NONE || (peer->settings->mechanisms & (1u << number)) == 0) {
        return SLUICE_E_UNSUPPORTED_MECHANISM;
    }
    if (*session != NULL && (*session)->busy) {
        return SLUICE_E_AUTHENTICATION_STATE;
    }
    struct sasl_session *made = sl_alloc_zero(1, sizeof(*made));
    if (made == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    made->peer = *peer;
    made->mechanism = number;
    made->succeeded = sasl_session_succeeded(*session);
    sasl_session_drop(*session);
    *session = made;
    return SLUICE_OK;
}

bool sasl_session_succeeded(const struct sasl_session *session)
{
    return session != NULL && session->succeeded;
}

void sasl_session_drop(struct sasl_session *session)
{
    if (session != NULL && session->busy) {
        session->orphan = true;
    } else if (session != NULL) {
        session_free(session);
    }
}

/* The step ends. */
static void answer(struct sasl_session *session)
{
    struct shard *home = session->peer.home;
    sluice_auth_done *done = session->done;
    void *arg = session->arg;
    session->busy = false;
    session->timer = sl_timer_free(session->timer);
    explicit_bzero(session->password, sizeof(session->password));
    if (session->orphan) {
        const struct sluice_auth_result gone = {.status = SLUICE_E_CANCELLED};
        session_free(session);
        done(arg, &gone);
    } else {
        struct sluice_auth_result result = session->result; /* its views are of the session */
        session->busy = true;                               /* done may close the connection */
        done(arg, &result);
        session->busy = false;
        if (session->orphan) {
            session_free(session);
        }
    }
    shard_request_end(home);
}

static void late(void *arg)
{
    answer(arg);
}

static void fail(struct sasl_session *session, const char *reason)
{
    session->state = STATE_ENDED;
    session->result = (struct sluice_auth_result){.status = SLUICE_E_AUTHENTICATION,
                                                  .reason = sluice_text_of(reason)};
    if (session->orphan || session->peer.settings->failure_delay_ms == 0 ||
        sl_timer_new(session->peer.home->loop, late, session, &session->timer) != SLUICE_OK) {
        answer(session);
        return;
    }
    sl_timer_start(session->timer, session->peer.settings->failure_delay_ms * 1000000);
}

/* Too many wait: nothing is wrong with the login. */
static void put_off(struct sasl_session *session)
{
    session->state = STATE_ENDED;
    if (!session->orphan) {
        session->peer.put_off(session->peer.arg);
    }
    session->result = (struct sluice_auth_result){
        .status = SLUICE_E_BUSY,
        .reason =
            sluice_text_of("too many logins at once (security.logins_waiting_max); try again")};
    answer(session);
}

/* The step goes on on a helper. */
static void go_away(struct sasl_session *session, void (*work)(struct login_step *step),
                    void (*done)(struct login_step *step))
{
    session->step = (struct login_step){.work = work, .done = done};
    if (login_desk_submit(session->peer.desk, &session->step, false) != SLUICE_OK) {
        put_off(session);
    }
}

/* It is who it says. expires_ms: wall clock; 0: never. */
static void succeed(struct sasl_session *session, const char *name, size_t answer_size,
                    int64_t expires_ms)
{
    int64_t lifetime_ms = session->orphan ? 0 : session->peer.settings->session_lifetime_ms;
    session->state = STATE_ENDED;
    session->succeeded = true;
    snprintf(session->principal, sizeof(session->principal), "User:%s", name);
    if (expires_ms > 0) {
        int64_t left_ms = SL_MAX(expires_ms - shard_wall_ms(session->peer.home), (int64_t)1);
        lifetime_ms = lifetime_ms > 0 ? SL_MIN(lifetime_ms, left_ms) : left_ms;
    }
    session->result = (struct sluice_auth_result){
        .status = SLUICE_OK,
        .complete = true,
        .answer = {(const uint8_t *)session->answer, answer_size},
        .principal = sluice_text_of(session->principal),
        .lifetime_ms = lifetime_ms,
    };
    answer(session);
}

static const char wrong[] = "Authentication failed: Invalid username or password";

/* ---- PLAIN ---- */

/* [helper] */
static void check_password(struct login_step *step)
{
    struct sasl_session *session = SL_CONTAINER_OF(step, struct sasl_session, step);
    struct sl_bytes password = {session->password, session->password_size};
    session->fits = scram_password_fits(&session->credential, password);
}

static void password_checked(struct login_step *step)
{
    struct sasl_session *session = SL_CONTAINER_OF(step, struct sasl_session, step);
    if (session->fits) {
        succeed(session, session->name, 0, 0);
    } else {
        fail(session, wrong);
    }
}

static void plain_found(void *arg, const struct credential *credential);

static void look_for(struct sasl_session *session, int32_t mechanism, access_found_fn *found)
{
    session->credential.mechanism = (uint8_t)mechanism;
    access_find_start(session->peer.home, sl_bytes_of_text(session->name), mechanism, found,
                      session);
}

static void plain_found(void *arg, const struct credential *credential)
{
    struct sasl_session *session = arg;
    if (credential == NULL && session->credential.mechanism == SLUICE_SCRAM_SHA_256) {
        look_for(session, SLUICE_SCRAM_SHA_512, plain_found);
        return;
    }
    if (credential == NULL) {
        fail(session, wrong);
        return;
    }
    session->credential = *credential;
    go_away(session, check_password, password_checked);
}

/* Who logs in as another is refused: nobody may. */
static bool take_plain(struct sasl_session *session, struct sluice_bytes message)
{
    struct sasl_plain plain;
    if (sasl_plain_parse((struct sl_bytes){message.data, (size_t)message.size}, &plain) !=
            SLUICE_OK ||
        plain.name.size >= sizeof(session->name) ||
        plain.password.size > sizeof(session->password) ||
        (plain.authzid.size > 0 && !sl_bytes_equal(plain.authzid, plain.name))) {
        return false;
    }
    memcpy(session->name, plain.name.data, plain.name.size);
    session->name[plain.name.size] = '\0';
    memcpy(session->password, plain.password.data, plain.password.size);
    session->password_size = plain.password.size;
    return true;
}

static void step_plain(struct sasl_session *session, struct sluice_bytes message)
{
    if (!take_plain(session, message)) {
        fail(session, "Authentication failed: the message is not one of PLAIN");
        return;
    }
    look_for(session, SLUICE_SCRAM_SHA_256, plain_found);
}

/* ---- SCRAM ---- */

static void scram_found(void *arg, const struct credential *credential)
{
    static const char digits[] = "0123456789abcdef";
    struct sasl_session *session = arg;
    uint8_t random[SCRAM_NONCE_BYTES / 2];
    char nonce[SCRAM_NONCE_BYTES + 1] = "";
    struct sl_bytes message;
    sl_os_random(session->peer.home->config.os, random, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++) {
        nonce[2 * i] = digits[random[i] >> 4];
        nonce[2 * i + 1] = digits[random[i] & 15];
    }
    if (credential == NULL ||
        scram_challenge(&session->scram, credential, nonce, &message) != SLUICE_OK) {
        fail(session, wrong);
        return;
    }
    session->state = STATE_FINAL;
    session->result =
        (struct sluice_auth_result){.status = SLUICE_OK, .answer = {message.data, message.size}};
    answer(session);
}

static void step_scram(struct sasl_session *session, struct sluice_bytes message)
{
    struct sl_bytes bytes = {message.data, (size_t)message.size};
    int32_t mechanism =
        session->mechanism == SASL_SCRAM_SHA_256 ? SLUICE_SCRAM_SHA_256 : SLUICE_SCRAM_SHA_512;
    size_t size = 0;
    if (session->state == STATE_FIRST) {
        if (scram_begin(&session->scram, scram_digest(mechanism), credential_key_bytes(mechanism),
                        bytes) != SLUICE_OK) {
            fail(session, "Authentication failed: the message is not one of SCRAM");
            return;
        }
        snprintf(session->name, sizeof(session->name), "%s", session->scram.user);
        look_for(session, mechanism, scram_found);
    } else if (scram_finish(&session->scram, bytes, session->answer, &size) != SLUICE_OK) {
        fail(session, wrong);
    } else {
        succeed(session, session->name, size, 0);
    }
}

/* ---- OAUTHBEARER ---- */

/* [helper] */
static void check_token(struct login_step *step)
{
    struct sasl_session *session = SL_CONTAINER_OF(step, struct sasl_session, step);
    struct sasl_bearer bearer;
    char name[JWT_NAME_BYTES];
    char *why = session->bearer.why;
    snprintf(why, JWT_WHY_BYTES, "the message holds no token");
    sl_err err = sasl_bearer_parse(
        (struct sl_bytes){session->bearer.message, session->bearer.message_size}, &bearer);
    if (err == SLUICE_OK) {
        err = jwt_check(session->bearer.keys, &session->bearer.rules, bearer.token,
                        session->bearer.wall_ms, name, &session->bearer.expires_ms, why);
    }
    if (err == SLUICE_OK && bearer.authzid.size > 0 &&
        !sl_bytes_equal(bearer.authzid, sl_bytes_of_text(name))) {
        snprintf(why, JWT_WHY_BYTES, "the token is not for the name that was asked for");
        err = SLUICE_E_AUTHENTICATION;
    }
    if (err == SLUICE_OK) {
        snprintf(session->name, sizeof(session->name), "%s", name);
    }
    session->bearer.err = err;
}

static void token_checked(struct login_step *step)
{
    struct sasl_session *session = SL_CONTAINER_OF(step, struct sasl_session, step);
    forget_token(session);
    if (session->bearer.err == SLUICE_OK) {
        succeed(session, session->name, 0, session->bearer.expires_ms);
    } else {
        snprintf(session->answer, sizeof(session->answer), "Authentication failed: %s",
                 session->bearer.why);
        fail(session, session->answer);
    }
}

static void step_bearer(struct sasl_session *session, struct sluice_bytes message)
{
    struct jwt_keys *keys = __atomic_load_n(session->peer.settings->keys, __ATOMIC_ACQUIRE);
    session->bearer.message = message.size > 0 ? sl_alloc((size_t)message.size) : NULL;
    if (keys == NULL || session->bearer.message == NULL) {
        fail(session, "Authentication failed: the message holds no token");
        return;
    }
    memcpy(session->bearer.message, message.data, (size_t)message.size);
    session->bearer.message_size = (size_t)message.size;
    session->bearer.keys = jwt_keys_ref(keys);
    session->bearer.rules = session->peer.settings->jwt;
    session->bearer.wall_ms = shard_wall_ms(session->peer.home);
    go_away(session, check_token, token_checked);
}

void sasl_session_step(struct sasl_session *session, struct sluice_bytes message,
                       sluice_auth_done *done, void *arg)
{
    if (session == NULL || session->busy || session->state == STATE_ENDED ||
        message.size > SASL_MESSAGE_BYTES_MAX) {
        const struct sluice_auth_result refused = {.status = SLUICE_E_AUTHENTICATION_STATE};
        done(arg, &refused);
        return;
    }
    shard_request_begin(session->peer.home);
    session->busy = true;
    session->done = done;
    session->arg = arg;
    if (session->mechanism == SASL_PLAIN) {
        step_plain(session, message);
    } else if (session->mechanism == SASL_OAUTHBEARER) {
        step_bearer(session, message);
    } else {
        step_scram(session, message);
    }
}
