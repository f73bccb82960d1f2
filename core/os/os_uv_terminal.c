/* os_uv_terminal.c: whether a descriptor is a terminal. */
#include "os/os.h"

#include <unistd.h>

bool sl_descriptor_is_terminal(int descriptor) { return isatty(descriptor) == 1; }
