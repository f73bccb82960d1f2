/* <sluice/security.h>: who a peer is and what it may do (extension "sluice.security/1").
 *
 * The calls of <sluice/broker.h> ask the one authorizer themselves, with the principal of their
 * context. This extension is for what they do not cover: authentication, what a protocol tells
 * about permissions, and the administration of access rules and users. Numbers are Kafka's. Calls
 * with a `done` end as those of the broker do. [loop] */
#ifndef SLUICE_SECURITY_H
#define SLUICE_SECURITY_H

#include <sluice/types.h>

/* Id of struct sluice_security, for sluice_host.get_extension. */
#define SLUICE_EXT_SECURITY "sluice.security/1"

/* ---- access rules ---- */

/* Kinds of resources; ANY only in filters. The one cluster is called "kafka-cluster". */
#define SLUICE_ACL_ANY              1
#define SLUICE_ACL_TOPIC            2
#define SLUICE_ACL_GROUP            3
#define SLUICE_ACL_CLUSTER          4
#define SLUICE_ACL_TRANSACTIONAL_ID 5
#define SLUICE_ACL_DELEGATION_TOKEN 6
#define SLUICE_ACL_USER             7
#define SLUICE_CLUSTER_NAME         "kafka-cluster"
/* How the name of a rule is compared; MATCH only in filters: all rules that hold for the name. */
#define SLUICE_PATTERN_ANY      1
#define SLUICE_PATTERN_MATCH    2
#define SLUICE_PATTERN_LITERAL  3 /* "*": every name */
#define SLUICE_PATTERN_PREFIXED 4
/* Operations; ALL only in rules, ANY only in filters. */
#define SLUICE_OP_ANY              1
#define SLUICE_OP_ALL              2
#define SLUICE_OP_READ             3
#define SLUICE_OP_WRITE            4
#define SLUICE_OP_CREATE           5
#define SLUICE_OP_DELETE           6
#define SLUICE_OP_ALTER            7
#define SLUICE_OP_DESCRIBE         8
#define SLUICE_OP_CLUSTER_ACTION   9
#define SLUICE_OP_DESCRIBE_CONFIGS 10
#define SLUICE_OP_ALTER_CONFIGS    11
#define SLUICE_OP_IDEMPOTENT_WRITE 12
#define SLUICE_OP_CREATE_TOKENS    13
#define SLUICE_OP_DESCRIBE_TOKENS  14
#define SLUICE_OP_TWO_PHASE_COMMIT 15
/* What a rule does; ANY only in filters. */
#define SLUICE_RULE_ANY   1
#define SLUICE_RULE_DENY  2
#define SLUICE_RULE_ALLOW 3

/* A rule: whoever is `principal` ("User:alice", "User:*") may, or may not, do `operation` on what
 * the name stands for, from `host` (an address, or "*"). As a filter: a text with data NULL matches
 * all. */
struct sluice_acl {
    int32_t resource;   /* SLUICE_ACL_* */
    int32_t pattern;    /* SLUICE_PATTERN_* */
    int32_t operation;  /* SLUICE_OP_* */
    int32_t permission; /* SLUICE_RULE_* */
    struct sluice_text name;
    struct sluice_text principal;
    struct sluice_text host;
};
/* What became of one rule that was to be made, or one filter by which rules were deleted. */
struct sluice_acl_result {
    sluice_status status;
    uint32_t acl_count; /* of those deleted */
    struct sluice_text reason;
    const struct sluice_acl *acls;
};
/* Ends `acls_create` and `acls_delete`: one result for each, in order, when all is durable. */
typedef void sluice_acl_results_done(void *arg, const struct sluice_acl_result *results,
                                     uint32_t count);
/* Ends `acls_describe`: the rules that the filter matches, those of one resource together. */
typedef void sluice_acls_done(void *arg, sluice_status status, const struct sluice_acl *acls,
                              uint32_t count);

/* ---- users ---- */

/* Mechanisms that users have credentials for (Kafka's KIP-554). */
#define SLUICE_SCRAM_SHA_256 1
#define SLUICE_SCRAM_SHA_512 2

/* A credential that is there, without its secrets; or, with a status, a user that has none. */
struct sluice_user {
    sluice_status status;
    int32_t mechanism; /* SLUICE_SCRAM_* */
    int32_t iterations;
    int32_t reserved;
    struct sluice_text name;
};
/* Ends `users_describe`: in the order asked for; a user may have two entries. */
typedef void sluice_users_done(void *arg, sluice_status status, const struct sluice_user *users,
                               uint32_t count);
/* A credential to be set, or with iterations 0 to be removed. */
struct sluice_user_change {
    int32_t mechanism;
    int32_t iterations;
    struct sluice_text name;
    struct sluice_bytes salt;
    struct sluice_bytes salted_password; /* RFC 5802's SaltedPassword */
};
/* What became of one change. */
struct sluice_user_result {
    sluice_status status;
    int32_t reserved;
    struct sluice_text name;
    struct sluice_text reason;
};
/* Ends `users_alter`: one result for each change, in order, when all is durable. */
typedef void sluice_user_results_done(void *arg, const struct sluice_user_result *results,
                                      uint32_t count);

/* ---- authentication ---- */

#define SLUICE_MECHANISMS_MAX 8u /* of a listener */

/* What one message of the peer came to. */
struct sluice_auth_result {
    sluice_status status; /* OK: go on, or it is complete; else it failed: E_AUTHENTICATION … */
    bool complete;
    uint8_t reserved[3];
    struct sluice_bytes answer;   /* to be sent to the peer */
    struct sluice_text principal; /* complete: who it is */
    int64_t lifetime_ms;          /* complete: until it has to do so again; 0: for ever */
    struct sluice_text reason;    /* failed: what may be told to the peer */
};
/* Ends `auth_step`; a failure comes late on purpose. */
typedef void sluice_auth_done(void *arg, const struct sluice_auth_result *result);

/* The calls. Borrowed from the host; lives as long as the instance. */
struct sluice_security {
    uint32_t size;
    uint32_t reserved;
    void *data;
    /* Which mechanisms a peer has to choose from before it may ask anything, on the listener of
     * the context; 0: none, whoever connects is who the context says. */
    uint32_t (*mechanisms)(const struct sluice_security *security,
                           const struct sluice_context *context,
                           struct sluice_text ret_names[SLUICE_MECHANISMS_MAX]);
    /* The peer has chosen; an exchange that was under way is forgotten.
     * SLUICE_E_UNSUPPORTED_MECHANISM. */
    sluice_status (*auth_start)(const struct sluice_security *security,
                                const struct sluice_context *context, struct sluice_text mechanism);
    /* The next message of the exchange; one at a time. [borrows message for the call] */
    void (*auth_step)(const struct sluice_security *security, const struct sluice_context *context,
                      struct sluice_bytes message, sluice_auth_done *done, void *arg);
    /* Whether the principal of the context may do it. */
    bool (*authorize)(const struct sluice_security *security, const struct sluice_context *context,
                      int32_t operation, int32_t resource, struct sluice_text name);
    /* All that it may do with the resource, a bit for each operation: 1 << SLUICE_OP_*. */
    uint32_t (*operations)(const struct sluice_security *security,
                           const struct sluice_context *context, int32_t resource,
                           struct sluice_text name);
    /* Rules; E_SECURITY_DISABLED where there is no authorizer. Asked are ALTER and DESCRIBE of the
     * cluster. At most 1000 at once. validate_only: the same checks and answers, nothing changes.
     */
    void (*acls_create)(const struct sluice_security *security,
                        const struct sluice_context *context, const struct sluice_acl *acls,
                        uint32_t count, bool validate_only, sluice_acl_results_done *done,
                        void *arg);
    void (*acls_delete)(const struct sluice_security *security,
                        const struct sluice_context *context, const struct sluice_acl *filters,
                        uint32_t count, bool validate_only, sluice_acl_results_done *done,
                        void *arg);
    void (*acls_describe)(const struct sluice_security *security,
                          const struct sluice_context *context, const struct sluice_acl *filter,
                          sluice_acls_done *done, void *arg);
    /* Users; count 0: all of them. Asked are DESCRIBE and ALTER of the cluster. */
    void (*users_describe)(const struct sluice_security *security,
                           const struct sluice_context *context, const struct sluice_text *names,
                           uint32_t count, sluice_users_done *done, void *arg);
    void (*users_alter)(const struct sluice_security *security,
                        const struct sluice_context *context,
                        const struct sluice_user_change *changes, uint32_t count,
                        bool validate_only, sluice_user_results_done *done, void *arg);
};

#endif
