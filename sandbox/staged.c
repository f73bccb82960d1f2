/* staged.c: checks the bounds of an ELF shared object and keeps an immutable copy of it.
 *
 * Format: System V gABI, ELF64 little-endian. dlopen of a file cut at half kills the process with
 * SIGBUS, and of one cut near its end it loads: hence the check that every segment and the section
 * table lie inside the file, before any worker maps it. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sandbox/staged.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__)
#define MACHINE      EM_X86_64
#define MACHINE_NAME "x86-64"
#elif defined(__aarch64__)
#define MACHINE      EM_AARCH64
#define MACHINE_NAME "aarch64"
#else
#error "add this machine to staged.c and policy.c"
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

static sluice_status refuse(char *text, size_t text_size, const char *why)
{
    snprintf(text, text_size, "%s", why);
    return SLUICE_E_PLUGIN_LOAD;
}

static bool inside(uint64_t at, uint64_t size, uint64_t total)
{
    return at <= total && size <= total - at;
}

static const char *header_fault(struct sluice_bytes bytes, Elf64_Ehdr *ret_header)
{
    if (bytes.size < sizeof(*ret_header)) {
        return "the file is too short to be a shared object";
    }
    memcpy(ret_header, bytes.data, sizeof(*ret_header));
    if (memcmp(ret_header->e_ident, ELFMAG, SELFMAG) != 0) {
        return "the file is not a shared object (no ELF header)";
    }
    if (ret_header->e_ident[EI_CLASS] != ELFCLASS64 ||
        ret_header->e_ident[EI_DATA] != ELFDATA2LSB || ret_header->e_machine != MACHINE) {
        return "the shared object is for another machine, not " MACHINE_NAME;
    }
    if (ret_header->e_type != ET_DYN) {
        return "the ELF file is not a shared object";
    }
    if (ret_header->e_phentsize != sizeof(Elf64_Phdr) || ret_header->e_phnum == 0 ||
        !inside(ret_header->e_phoff, (uint64_t)ret_header->e_phnum * sizeof(Elf64_Phdr),
                bytes.size)) {
        return "the shared object's segment table lies outside the file (truncated?)";
    }
    if (ret_header->e_shoff != 0 &&
        !inside(ret_header->e_shoff, (uint64_t)ret_header->e_shnum * ret_header->e_shentsize,
                bytes.size)) {
        return "the shared object's section table lies outside the file (truncated?)";
    }
    return NULL;
}

static Elf64_Phdr segment_at(struct sluice_bytes bytes, const Elf64_Ehdr *header, uint32_t index)
{
    Elf64_Phdr segment;

    memcpy(&segment, bytes.data + header->e_phoff + index * sizeof(segment), sizeof(segment));
    return segment;
}

static const char *segments_fault(struct sluice_bytes bytes, const Elf64_Ehdr *header)
{
    bool dynamic = false;

    for (uint32_t i = 0; i < header->e_phnum; i++) {
        const Elf64_Phdr segment = segment_at(bytes, header, i);

        if (segment.p_type != PT_NULL && segment.p_type != PT_GNU_STACK &&
            !inside(segment.p_offset, segment.p_filesz, bytes.size)) {
            return "a segment of the shared object lies outside the file (truncated?)";
        }
        if (segment.p_type == PT_GNU_STACK && (segment.p_flags & PF_X) != 0) {
            return "the shared object wants an executable stack";
        }
        dynamic = dynamic || segment.p_type == PT_DYNAMIC;
    }
    return dynamic ? NULL : "the shared object has no dynamic section";
}

sluice_status staged_check(struct sluice_bytes bytes, char *text, size_t text_size)
{
    Elf64_Ehdr header;
    const char *fault = header_fault(bytes, &header);

    if (fault == NULL && bytes.size > STAGED_MODULE_SIZE_MAX) {
        fault = "the shared object is larger than 64 MiB";
    }
    if (fault == NULL) {
        fault = segments_fault(bytes, &header);
    }
    return fault == NULL ? SLUICE_OK : refuse(text, text_size, fault);
}

/* Walks the notes of one segment: Elf64_Nhdr, name padded to 4, descriptor padded to 4. */
static bool find_note(const uint8_t *at, uint64_t size, struct sluice_text *ret_manifest)
{
    Elf64_Nhdr note;

    while (size >= sizeof(note)) {
        uint64_t name_size;
        uint64_t text_size;

        memcpy(&note, at, sizeof(note));
        name_size = ((uint64_t)note.n_namesz + 3) & ~3ull;
        text_size = ((uint64_t)note.n_descsz + 3) & ~3ull;
        if (name_size > size - sizeof(note) || note.n_descsz > size - sizeof(note) - name_size) {
            return false;
        }
        if (note.n_type == SLUICE_MANIFEST_TYPE && note.n_namesz == sizeof(SLUICE_MANIFEST_OWNER) &&
            memcmp(at + sizeof(note), SLUICE_MANIFEST_OWNER, sizeof(SLUICE_MANIFEST_OWNER)) == 0) {
            ret_manifest->data = (const char *)(at + sizeof(note) + name_size);
            ret_manifest->size = strnlen(ret_manifest->data, note.n_descsz);
            return ret_manifest->size <= STAGED_MANIFEST_SIZE_MAX;
        }
        if (sizeof(note) + name_size + text_size > size) {
            return false;
        }
        at += sizeof(note) + name_size + text_size;
        size -= sizeof(note) + name_size + text_size;
    }
    return false;
}

sluice_status staged_manifest(struct sluice_bytes bytes, struct sluice_text *ret_manifest)
{
    Elf64_Ehdr header;
    char text[128];
    const sluice_status status = staged_check(bytes, text, sizeof(text));

    if (status != SLUICE_OK) {
        return status;
    }
    memcpy(&header, bytes.data, sizeof(header));
    for (uint32_t i = 0; i < header.e_phnum; i++) {
        const Elf64_Phdr segment = segment_at(bytes, &header, i);

        if (segment.p_type == PT_NOTE &&
            find_note(bytes.data + segment.p_offset, segment.p_filesz, ret_manifest)) {
            return SLUICE_OK;
        }
    }
    return SLUICE_E_NOT_FOUND;
}

static bool write_all(int fd, struct sluice_bytes bytes)
{
    while (bytes.size > 0) {
        const ssize_t count = write(fd, bytes.data, bytes.size);

        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return false;
        }
        bytes.data += count;
        bytes.size -= (uint64_t)count;
    }
    return true;
}

sluice_status staged_module_open(struct sluice_bytes bytes, struct staged_module *ret_module,
                                 char *text, size_t text_size)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    const sluice_status status = staged_check(bytes, text, text_size);
    int fd;

    if (status != SLUICE_OK) {
        return status;
    }
    fd = memfd_create("sluice-module", flags | MFD_EXEC);
    if (fd < 0 && errno == EINVAL) { /* before Linux 6.3 */
        fd = memfd_create("sluice-module", flags);
    }
    if (fd < 0 || !write_all(fd, bytes) ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
        snprintf(text, text_size, "cannot keep a copy of the module: %s", strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return SLUICE_E_IO;
    }
    *ret_module = (struct staged_module){.fd = fd, .size = bytes.size};
    return SLUICE_OK;
}

void staged_module_close(struct staged_module *module)
{
    if (module->fd >= 0) {
        close(module->fd);
    }
    module->fd = -1;
}
