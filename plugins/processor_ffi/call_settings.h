/* call_settings: what the configuration of processor_ffi says: which function is called, what it is
 * given of a record, and where its result goes. docs/plugins/ffi.md is the description for people.
 *
 * In: the instance's configuration, a JSON object. Out: a struct of views into it, or a sentence
 * that names the key. [control] */
#ifndef CALL_SETTINGS_H
#define CALL_SETTINGS_H

#include "json_find.h"
#include "native_library.h"
#include "native_signature.h"

#define CALL_TEXT_BYTES 512u /* of a sentence */

/* Where an argument comes from. */
enum call_source {
    SOURCE_VALUE,
    SOURCE_KEY,
    SOURCE_HEADER,   /* of the last header of that name */
    SOURCE_JSON,     /* at a path in the value */
    SOURCE_CONSTANT, /* set once */
    SOURCE_OUT,      /* the room for an out parameter */
};
struct call_argument {
    uint32_t source;
    uint32_t parameter;      /* its index in the signature */
    struct sluice_text name; /* of a header; the path's text */
    struct json_path path;
    struct sluice_text initial; /* a constant; or what stands for a missing one; raw JSON, empty:
                                   none */
};

/* Where the result goes. */
enum call_target {
    TARGET_NONE,
    TARGET_VALUE,
    TARGET_KEY,
    TARGET_HEADER,
    TARGET_JSON,
    TARGET_DROP,   /* the record goes if the result is as `when` says */
    TARGET_REJECT, /* likewise */
};
struct call_result {
    uint32_t target;
    bool when_zero; /* of drop_if and reject_if: "zero", else "nonzero" */
    bool hex;       /* an integer as text: hexadecimal, of all its digits */
    struct sluice_text name;
    struct json_path path;
};

struct call_settings {
    struct sluice_text library;
    struct native_signature signature; /* with the function's name */
    uint32_t argument_count;
    struct call_argument arguments[NATIVE_PARAMETERS_MAX];
    struct call_result result;
};

/* The text must outlive the settings. False: ret_text says why. */
bool call_settings_read(struct sluice_text json, struct call_settings *ret,
                        char ret_text[CALL_TEXT_BYTES]);

#endif
