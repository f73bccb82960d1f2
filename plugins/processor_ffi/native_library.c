/* native_library: see the header. */
#include "native_library.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

/* The resource of that library, or NULL. */
static const struct sluice_resource *find(const struct sluice_resources *resources,
                                          struct sluice_text name)
{
    const char *at = (const char *)resources->items;

    for (uint32_t i = 0; i < resources->count; i++, at += resources->stride) {
        const struct sluice_resource *item = (const struct sluice_resource *)(const void *)at;

        if (item->kind == SLUICE_RESOURCE_LIBRARY && item->name.size == name.size &&
            memcmp(item->name.data, name.data, (size_t)name.size) == 0) {
            return item;
        }
    }
    return NULL;
}

static void *load(const char *name, int descriptor, char *text, size_t text_size)
{
    char path[32];
    const char *error;
    void *library;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptor);
    library = dlopen(descriptor >= 0 ? path : name, RTLD_NOW | RTLD_LOCAL);
    if (library != NULL) {
        return library;
    }
    error = dlerror();
    error = error != NULL ? error : "unknown error";
    if (descriptor >= 0 && strncmp(error, path, strlen(path)) == 0) {
        error += strlen(path) + strspn(error + strlen(path), ": ");
    }
    snprintf(text, text_size, "the library %s cannot be loaded: %.300s%s", name, error,
             descriptor >= 0 ? ""
                             : "; a library outside the system's folders is named by its absolute "
                               "path, here and in the permission");
    return NULL;
}

void *native_library_open(const struct sluice_host *host, struct sluice_text name, char *text,
                          size_t text_size)
{
    const struct sluice_resources *resources = host->get_extension(host, SLUICE_EXT_RESOURCES);
    const struct sluice_resource *resource;
    char library[NATIVE_LIBRARY_BYTES];

    if (name.size == 0 || name.size >= sizeof(library) ||
        memchr(name.data, '\0', (size_t)name.size) != NULL) {
        snprintf(text, text_size, "the name of a library must have 1 to %u bytes",
                 NATIVE_LIBRARY_BYTES - 1);
        return NULL;
    }
    memcpy(library, name.data, (size_t)name.size);
    library[name.size] = '\0';
    if (resources == NULL) {
        snprintf(text, text_size,
                 "the library %s cannot be loaded: functions of libraries are called in workers "
                 "only, and this host is none",
                 library);
        return NULL;
    }
    resource = find(resources, name);
    if (resource == NULL) {
        snprintf(text, text_size,
                 "the library %s is not allowed: to allow it, write \"library %s\" into the list "
                 "plugins.instances.NAME.permissions, where NAME is this instance",
                 library, library);
        return NULL;
    }
    return load(library, resource->descriptor, text, text_size);
}

/* Calling data ends the worker; the symbol table knows better where there is one. */
static bool is_data(void *address)
{
    Dl_info info;
    const ElfW(Sym) *symbol = NULL;

    if (dladdr1(address, &info, (void **)(uintptr_t)&symbol, RTLD_DL_SYMENT) == 0 ||
        symbol == NULL || info.dli_saddr != address) {
        return false;
    }
    return (symbol->st_info & 0xf) == STT_OBJECT;
}

void *native_library_function(void *library, const char *library_name, const char *name, char *text,
                              size_t text_size)
{
    void *address;

    if (name[0] == '\0') {
        snprintf(text, text_size, "the function of %s has no name: write it before the '('",
                 library_name);
        return NULL;
    }
    address = dlsym(library, name);
    if (address == NULL || is_data(address)) {
        snprintf(text, text_size, "the library %s has no function %s%s", library_name, name,
                 address == NULL ? "" : ": it is data");
        return NULL;
    }
    return address;
}
