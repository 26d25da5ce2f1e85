/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the reading of files that may be shared objects, with libelf. Called by the parts of check. */
#include "check/object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check/report.h"
#include "term/utf8.h"

#define PEEK 4096

#if defined __x86_64__
#define OWN_MACHINE EM_X86_64
#elif defined __aarch64__
#define OWN_MACHINE EM_AARCH64
#else
#define OWN_MACHINE EM_NONE /* whatever there is may be right: the loader will say */
#endif
#define OWN_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)
#define OWN_DATA (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)

/* ---- what is no ELF ---- */

static bool is_text(const char *p, size_t len)
{
    for (const char *end = p + len; p < end;) {
        uint32_t code;
        size_t n = ph_utf8_get(p, end, &code);
        if (n == 0 && end - p < 4)
            return true; /* cut in the middle of a character */
        if (n == 0 || (!ph_code_point_printable(code) && code > 32))
            return false;
        p += n;
    }
    return true;
}

static void not_elf(const char *p, size_t len, json_t *report)
{
    static const char archive[] = "!<arch>\n";
    static const unsigned char mach[] = {0xcf, 0xfa, 0xed, 0xfe};
    bool text = is_text(p, len);
    if (len >= 8 && memcmp(p, archive, 8) == 0)
        ph_report_problem(report, "archive", "it is a static library (ar archive): link its objects with -shared");
    else if (text && len > 2 && memcmp(p, "#!", 2) == 0)
        ph_report_problem(report, "text", "it is a script");
    else if (text && (memmem(p, len, "GROUP", 5) || memmem(p, len, "INPUT", 5)))
        ph_report_problem(report, "text", "it is a linker script: only the linker reads it; check the file that it names");
    else if (text)
        ph_report_problem(report, "text", "it is text, not a shared object");
    else if (len >= 2 && memcmp(p, "MZ", 2) == 0)
        ph_report_problem(report, "not_elf", "it is a DLL or program of Windows");
    else if (len >= 4 && memcmp(p, mach, 4) == 0)
        ph_report_problem(report, "not_elf", "it is a binary of macOS");
    else
        ph_report_problem(report, "not_elf", "it is not an ELF file");
}

/* ---- which ELF ---- */

static const char *machine_name(unsigned machine, char *buf, size_t cap)
{
    static const struct {
        unsigned machine;
        const char *name;
    } names[] = {{EM_X86_64, "x86-64"}, {EM_386, "i386"}, {EM_AARCH64, "aarch64"}, {EM_ARM, "arm"}, {EM_RISCV, "riscv"}, {EM_PPC64, "ppc64"}, {EM_S390, "s390"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].machine == machine)
            return names[i].name;
    snprintf(buf, cap, "machine %u", machine);
    return buf;
}

/* A program that is position independent has the type of a shared object, and a flag. */
static bool is_pie(const struct ph_object *o)
{
    GElf_Shdr head;
    Elf_Data *data;
    GElf_Dyn dyn;
    if (!ph_object_section(o, NULL, SHT_DYNAMIC, &head, &data))
        return false;
    for (int i = 0; gelf_getdyn(data, i, &dyn); i++)
        if (dyn.d_tag == DT_FLAGS_1)
            return (dyn.d_un.d_val & DF_1_PIE) != 0;
    return false;
}

static const char *type_name(const struct ph_object *o)
{
    switch (o->head.e_type) {
    case ET_REL:
        return "object file";
    case ET_EXEC:
        return "program";
    case ET_CORE:
        return "core dump";
    case ET_DYN:
        return is_pie(o) ? "program" : "shared object";
    default:
        return "file of an unknown type";
    }
}

static void describe(const struct ph_object *o, json_t *report)
{
    char machine[32], text[128];
    snprintf(text, sizeof text, "ELF %s-bit %s %s", gelf_getclass(o->elf) == ELFCLASS64 ? "64" : "32",
             machine_name(o->head.e_machine, machine, sizeof machine), type_name(o));
    json_object_set_new(report, "object", json_string(text));
}

static bool judge(const struct ph_object *o, json_t *report)
{
    char machine[32], own[32];
    const char *type = type_name(o);
    machine_name(o->head.e_machine, machine, sizeof machine);
    if (gelf_getclass(o->elf) != OWN_CLASS)
        ph_report_problem(report, "wrong_class", "it is built for %s bits, porthostd here for %zu: compile it for this machine",
                          gelf_getclass(o->elf) == ELFCLASS64 ? "64" : "32", sizeof(void *) * 8);
    else if (o->head.e_ident[EI_DATA] != OWN_DATA)
        ph_report_problem(report, "wrong_machine", "it is built for the other byte order: compile it for this machine");
    else if (OWN_MACHINE != EM_NONE && o->head.e_machine != OWN_MACHINE)
        ph_report_problem(report, "wrong_machine", "it is built for %s, porthostd here for %s: compile it for this machine",
                          machine_name(o->head.e_machine, machine, sizeof machine), machine_name(OWN_MACHINE, own, sizeof own));
    else if (o->head.e_type == ET_REL)
        ph_report_problem(report, "object_file", "it is an object file: link it with -shared");
    else if (strcmp(type, "program") == 0)
        ph_report_problem(report, "program", "it is a program, not a shared object: link it with -shared");
    else if (o->head.e_type != ET_DYN)
        ph_report_problem(report, "not_shared_object", "it is a %s, not a shared object", type);
    else
        return true;
    return false;
}

/* libelf takes what the header says on trust until it is used: sections must lie within the file. */
static bool is_whole(const struct ph_object *o, off_t size)
{
    Elf_Scn *scn = NULL;
    GElf_Shdr head;
    size_t segments;
    GElf_Phdr seg;
    while ((scn = elf_nextscn(o->elf, scn))) {
        if (!gelf_getshdr(scn, &head))
            return false;
        if (head.sh_type != SHT_NOBITS && (head.sh_offset > (GElf_Off)size || head.sh_size > (GElf_Off)size - head.sh_offset))
            return false;
    }
    if (elf_getphdrnum(o->elf, &segments) < 0)
        return false;
    for (size_t i = 0; i < segments; i++)
        if (!gelf_getphdr(o->elf, (int)i, &seg) || seg.p_offset > (GElf_Off)size || seg.p_filesz > (GElf_Off)size - seg.p_offset)
            return false;
    return true;
}

static bool open_elf(struct ph_object *o, int fd)
{
    *o = (struct ph_object){.fd = fd};
    elf_version(EV_CURRENT);
    o->elf = elf_begin(fd, ELF_C_READ, NULL);
    if (o->elf && elf_kind(o->elf) == ELF_K_ELF && gelf_getehdr(o->elf, &o->head) && elf_getshdrstrndx(o->elf, &o->names) == 0)
        return true;
    elf_end(o->elf);
    o->elf = NULL;
    return false;
}

static bool open_known_elf(struct ph_object *o, int fd, off_t size, json_t *report)
{
    if (!open_elf(o, fd)) {
        ph_report_problem(report, "damaged", "it begins like an ELF file, but is cut off or damaged");
        return false;
    }
    describe(o, report);
    if (judge(o, report)) {
        if (is_whole(o, size))
            return true;
        ph_report_problem(report, "damaged", "it is an ELF file that is cut off or damaged: parts that it names lie behind its end");
    }
    elf_end(o->elf);
    return false;
}

/* The size of a readable file that is not empty, or -1 with a problem in the report. */
static off_t measure(int fd, const char *file, json_t *report)
{
    struct stat st;
    if (fd < 0 && errno == ENOENT)
        ph_report_problem(report, "no_file", "there is no such file");
    else if (fd < 0)
        ph_report_problem(report, "unreadable", "it cannot be read: %s", strerror(errno));
    else if (fstat(fd, &st) < 0)
        ph_report_problem(report, "unreadable", "it cannot be read: %s", strerror(errno));
    else if (S_ISDIR(st.st_mode))
        ph_report_problem(report, "directory", "it is a directory: name the files in it, as in %s/*.so", file);
    else if (!S_ISREG(st.st_mode))
        ph_report_problem(report, "not_a_file", "it is a device, pipe or socket");
    else if (st.st_size == 0)
        ph_report_problem(report, "empty", "it is empty");
    else
        return st.st_size;
    return -1;
}

bool ph_object_open(struct ph_object *o, const char *file, json_t *report)
{
    char begin[PEEK];
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    off_t size = measure(fd, file, report);
    ssize_t n = size > 0 ? pread(fd, begin, sizeof begin, 0) : -1;
    if (size > 0 && n < 0)
        ph_report_problem(report, "unreadable", "it cannot be read: %s", strerror(errno));
    else if (n >= 0 && (n < SELFMAG || memcmp(begin, ELFMAG, SELFMAG) != 0))
        not_elf(begin, (size_t)n, report);
    else if (n >= 0 && open_known_elf(o, fd, size, report))
        return true;
    if (fd >= 0)
        close(fd);
    return false;
}

bool ph_object_open_quietly(struct ph_object *o, const char *file)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (fstat(fd, &st) == 0 && open_elf(o, fd)) {
        if (is_whole(o, st.st_size))
            return true;
        elf_end(o->elf);
    }
    close(fd);
    return false;
}

void ph_object_close(struct ph_object *o)
{
    elf_end(o->elf);
    close(o->fd);
}

/* ---- what is in it ---- */

Elf_Scn *ph_object_section(const struct ph_object *o, Elf_Scn *scn, unsigned type, GElf_Shdr *head, Elf_Data **data)
{
    while ((scn = elf_nextscn(o->elf, scn)))
        if (gelf_getshdr(scn, head) && head->sh_type == type && (*data = elf_getdata(scn, NULL)))
            return scn;
    return NULL;
}

void ph_object_symbols(const struct ph_object *o, unsigned type, bool (*fn)(void *arg, const char *name, const GElf_Sym *sym), void *arg)
{
    GElf_Shdr head;
    Elf_Data *data;
    GElf_Sym sym;
    for (Elf_Scn *scn = NULL; (scn = ph_object_section(o, scn, type, &head, &data));) {
        for (int i = 1; gelf_getsym(data, i, &sym); i++) {
            const char *name = elf_strptr(o->elf, head.sh_link, sym.st_name);
            if (name && *name && !fn(arg, name, &sym))
                return;
        }
    }
}

void ph_object_libraries(const struct ph_object *o, json_t *report)
{
    GElf_Shdr head;
    Elf_Data *data;
    GElf_Dyn dyn;
    if (!ph_object_section(o, NULL, SHT_DYNAMIC, &head, &data))
        return;
    for (int i = 0; gelf_getdyn(data, i, &dyn) && dyn.d_tag != DT_NULL; i++) {
        const char *name = dyn.d_tag == DT_NEEDED ? elf_strptr(o->elf, head.sh_link, dyn.d_un.d_val) : NULL;
        if (name)
            ph_report_add(report, "libraries", name);
    }
}
