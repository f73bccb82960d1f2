/* layers.h: the walls around a worker as sentences: what is in force here, what is not and why. */
#ifndef SANDBOX_LAYERS_H
#define SANDBOX_LAYERS_H

#include <sandbox/sandbox.h>

#define SANDBOX_LAYER_IN_FORCE 0u
#define SANDBOX_LAYER_PARTLY   1u
#define SANDBOX_LAYER_UNAVAILABLE \
    2u                        /* this kernel, or what this process runs in, does not give it */
#define SANDBOX_LAYER_OFF  3u /* by a setting */
#define SANDBOX_LAYERS_MAX 16u

struct sandbox_layer {
    const char *name;  /* "seccomp", "landlock" … */
    uint32_t state;    /* SANDBOX_LAYER_* */
    const char *label; /* "in force", "partly", "not available", "off" */
    char text[320];
};
/* Fills ret_layers in the order in which a worker puts them up; returns how many. [any] */
uint32_t sandbox_layers(const struct sandbox_report *report,
                        struct sandbox_layer ret_layers[SANDBOX_LAYERS_MAX]);

#endif
